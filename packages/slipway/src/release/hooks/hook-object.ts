/** The Jobs of hooks as a cluster gets them: what a plan tries and a release creates are the same objects. Pure. */
import type { AnyObject } from "@slipway/kube";
import { plainNameOf } from "../manifests/config-names.ts";
import { MANAGED_BY_LABEL, SERVICE_LABEL } from "../manifests/render.ts";
import type { Hook, HookRecord } from "./hook.ts";

export const HOOK_LABEL = "slipway.dev/hook";

/** A Job cannot be changed once it is there, so each release has one of its own: `migrate-17`. */
export function jobOfRelease(
  hook: Pick<Hook, "name">,
  job: AnyObject,
  release: { readonly number: number; readonly service: string },
): AnyObject {
  const suffix = `-${release.number}`;
  const labels = {
    ...job.metadata.labels,
    [MANAGED_BY_LABEL]: "slipway",
    [SERVICE_LABEL]: release.service,
    [HOOK_LABEL]: hook.name.replaceAll(/[^A-Za-z0-9_.-]/g, "-").slice(0, 63),
  };
  const name = `${job.metadata.name.slice(0, 63 - suffix.length)}${suffix}`;
  return { ...job, metadata: { ...job.metadata, name, labels } };
}

export interface HookJob {
  readonly hook: Pick<Hook, "name" | "when">;
  readonly object: AnyObject;
}

/** The Jobs that a release creates in one cluster. `isFirst`: there, too, run those that run in one cluster only. */
export function hookJobs(
  hooks: readonly HookRecord[],
  at: { readonly isFirst: boolean; readonly number: number; readonly service: string },
): readonly HookJob[] {
  return hooks.flatMap(({ hook }) => {
    const { run } = hook;
    if (run.kind !== "job" || (run.in === "first-cluster" && !at.isFirst)) return [];
    return [{ hook, object: jobOfRelease(hook, run.job, at) }];
  });
}

/**
 * What of the release is there when the hook runs. Before the first change those are ConfigMaps and Secrets with a hash
 * in their names: they are new beside those that run, so nothing that runs changes by them.
 */
export function broughtFor(hook: Pick<Hook, "when">, objects: readonly AnyObject[]): readonly AnyObject[] {
  return hook.when === "after" ? objects : objects.filter((object) => plainNameOf(object) !== undefined);
}
