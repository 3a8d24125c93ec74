/** How checks of deployed services reach them: through the API server of their cluster. */
import { SlipwayError } from "@slipway/base";
import type { Target } from "../release/model.ts";
import type { ServiceAccess } from "../verify/run.ts";
import type { WorldState } from "../world/state.ts";
import type { CliContext } from "./command.ts";
import type { Project } from "./project.ts";

/** One answer; checks ask again until theirs is right. */
const ANSWERS_MS = 5000;

/** Clusters are opened when the first of their services is asked. */
export function deployedServices(
  context: CliContext,
  project: Project,
  world: WorldState | undefined,
): ServiceAccess & { close(): Promise<void> } {
  let opening: Promise<readonly Target[]> | undefined;
  const targets = (): Promise<readonly Target[]> => {
    opening ??= import("./compose.ts").then(({ targetsOf }) => targetsOf(context, project, world));
    return opening;
  };
  return {
    async fetch(cluster, service, port, path, { method, headers, body, signal }) {
      const { askService } = await import("../verify/cluster/service.ts");
      const { name, client } = targetNamed(await targets(), cluster);
      signal.throwIfAborted();
      const answer = await askService(
        client,
        { cluster: name, namespace: project.config.namespace, name: service, port },
        { url: path, method, headers, body, timeoutMs: ANSWERS_MS, isInsecure: false },
        context.clock,
      );
      if ("error" in answer) throw new Error(answer.message);
      return { ...answer, body: Buffer.from(answer.body) };
    },
    async close() {
      const opened = await opening?.catch(() => []);
      await Promise.all((opened ?? []).map(({ client }) => client.close()));
    },
  };
}

function targetNamed(targets: readonly Target[], cluster: string | undefined): Target {
  const found = cluster === undefined ? targets[0] : targets.find(({ name }) => name === cluster);
  if (found !== undefined) return found;
  throw new SlipwayError({
    code: "SERVICE_CLUSTER",
    where: `describeService/${cluster}`,
    message: `no such cluster in this environment, only ${targets.map(({ name }) => name).join(", ")}`,
    exitCode: 2,
  });
}
