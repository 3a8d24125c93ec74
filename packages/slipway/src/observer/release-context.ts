/** Releases as the pages beside a local world see and change them, from the configuration that the command line had read. */
import { join } from "node:path";
import { type Clock, isProcessAlive, type Random, shellLine, thisProcess } from "@slipway/base";
import type { Config } from "../config/types.ts";
import { whoAmI } from "../config/who-am-i.ts";
import { createRegistryClient } from "../images/registry/client.ts";
import { dockerCredentials } from "../images/registry/credentials.ts";
import { imageCheck } from "../images/registry/image-check.ts";
import { createTelling } from "../notify/notify.ts";
import { createFileStore } from "../notify/outbox/store.ts";
import type { ReleaseContext, Target } from "../release/model.ts";
import { createDeeds } from "../server/deeds.ts";
import { worldPaths } from "../world/state.ts";
import type { RollBack } from "./pages/ports.ts";

export interface ReleaseContextOptions {
  readonly config: Config;
  readonly targets: readonly Target[];
  readonly clock: Clock;
  readonly random: Random;
  readonly env: NodeJS.ProcessEnv;
}

export function releaseContext(options: ReleaseContextOptions): ReleaseContext {
  const { config, targets, clock, random, env } = options;
  const { kubeconfig } = worldPaths(config.root);
  return {
    service: config.name,
    namespace: config.namespace,
    environment: config.environment,
    targets,
    clock,
    random,
    who: whoAmI(env),
    from: "dashboard",
    ...thisProcess(),
    release: config.release,
    unreachableAfterMs: config.release.unreachableAfterMs,
    preflight: config.preflight,
    isHolderAlive: (holder) => isProcessAlive(holder),
    kubectl: (cluster) => shellLine(["kubectl", "--kubeconfig", kubeconfig, "--context", cluster]),
  };
}

/** A rollback needs neither gates nor what hooks need: it has none. */
export function rollBackOf(options: ReleaseContextOptions, log: (line: string) => void): RollBack {
  const { config, clock, random, env } = options;
  const paths = worldPaths(config.root);
  const deeds = createDeeds({
    from: "dashboard",
    clock,
    log: ({ message }) => log(message),
    telling: () =>
      createTelling({
        slack: config.notify.slack,
        clock,
        store: createFileStore({
          folder: join(paths.root, "outbox"),
          self: thisProcess(),
          isAlive: (sender) => isProcessAlive(sender),
          now: () => clock.now(),
        }),
        write: log,
        onWarning: log,
      }),
    withRelease: async (work) => {
      const registry = createRegistryClient({ clock, random, credentials: dockerCredentials(env) });
      try {
        return await work({ ...releaseContext(options), images: imageCheck(registry) });
      } finally {
        await registry.close();
      }
    },
  });
  return ({ leaves, to }, who, signal) => {
    const on = { service: config.name, environment: config.environment, number: leaves };
    return deeds.rollBack({ on, to }, who, signal);
  };
}
