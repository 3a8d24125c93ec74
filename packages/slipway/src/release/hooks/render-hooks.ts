/** Hooks from the configuration to what is stored with a release: a Job's file is read and gets the release's images. */
import { relative } from "node:path";
import { SlipwayError } from "@slipway/base";
import type { AnyObject } from "@slipway/kube";
import type { Config, HookConfig } from "../../config/types.ts";
import { type LoadedObject, loadManifests } from "../manifests/manifests.ts";
import { identityIn } from "../manifests/scope.ts";
import type { HookRecord } from "./hook.ts";

export interface LoadedHook {
  readonly config: HookConfig;
  /** Undefined for a program. */
  readonly job: LoadedObject | undefined;
  /** Its manifest, relative to the configuration. */
  readonly file?: string | undefined;
}

/** Throws with the place when a file does not hold exactly one Job. */
export async function loadHooks(
  config: Pick<Config, "root" | "namespace"> & { readonly release: Pick<Config["release"], "hooks"> },
): Promise<readonly LoadedHook[]> {
  const hooks = await Promise.all(
    (config.release.hooks ?? []).map(async (hook): Promise<LoadedHook> => {
      if (hook.run.kind === "command") return { config: hook, job: undefined };
      const where = `slipway.config.ts/release/hooks/${hook.when}`;
      const { file } = hook.run;
      const loaded = await loadManifests([file], config.root).catch((error: unknown) => {
        throw isMissing(error) ? notThere(where, relative(config.root, file)) : error;
      });
      const [job] = loaded;
      if (job !== undefined && loaded.length === 1 && job.object.kind === "Job") {
        return { config: hook, job, file: relative(config.root, file) };
      }
      throw new SlipwayError({
        code: "HOOK_NOT_A_JOB",
        where,
        message: `${file} should hold exactly one Job, and holds ${kindsOf(loaded)}`,
        hint: "Give every hook a file of its own, outside of the manifests' folders.",
        exitCode: 2,
      });
    }),
  );
  refuseSameJob(hooks, config.namespace);
  return hooks;
}

const isMissing = (error: unknown): boolean =>
  error instanceof SlipwayError && error.code === "MANIFEST_NOT_FOUND";

function notThere(where: string, file: string): SlipwayError {
  return new SlipwayError({
    code: "HOOK_NOT_FOUND",
    where,
    message: `${file}: no such file`,
    hint: "Correct `job` of this hook: the file of its Job, relative to slipway.config.ts. Nothing was changed.",
    exitCode: 2,
  });
}

/** A Job is known by its name and the release's number: of two with one name the second would count as done already. */
function refuseSameJob(hooks: readonly LoadedHook[], namespace: string): void {
  const files = new Map<string, string>();
  for (const { config, job, file = "" } of hooks) {
    if (job === undefined) continue;
    const { name } = job.object.metadata;
    const key = identityIn(job.object, namespace);
    const first = files.get(key);
    if (first !== undefined) {
      throw new SlipwayError({
        code: "HOOK_JOB_TWICE",
        where: `slipway.config.ts/release/hooks/${config.when}`,
        message:
          first === file
            ? `${file} is the Job of two hooks: ${name} would run once`
            : `${file} and ${first} both hold a Job ${name}: it would run once`,
        hint: "Give the Job of each hook a name of its own (metadata.name), in a file of its own.",
        exitCode: 2,
      });
    }
    files.set(key, file);
  }
}

function kindsOf(loaded: readonly LoadedObject[]): string {
  if (loaded.length === 0) return "nothing";
  return loaded.map(({ object }) => `${object.kind} ${object.metadata.name}`).join(", ");
}

/** `jobs` in the order of those hooks that have one. */
export function withJobs(hooks: readonly LoadedHook[], jobs: readonly AnyObject[]): readonly HookRecord[] {
  let next = 0;
  return hooks.map(({ config, file }): HookRecord => {
    const { name, when, timeoutMs, onRollback, run } = config;
    const common = { name, when, timeoutMs, onRollback };
    if (run.kind === "command") return { hook: { ...common, run }, runs: [] };
    const job = jobs[next] as AnyObject;
    next += 1;
    const place = { in: run.in, keep: run.keep, ...(file === undefined ? {} : { file }) };
    return { hook: { ...common, run: { kind: "job", job, ...place } }, runs: [] };
  });
}
