/** What would go, or stay although the release no longer has it. */
import { type AnyObject, findObject, type ObjectRef } from "@slipway/kube";
import { gone, isDataToDelete, toPrune } from "../apply/prune.ts";
import { expired, mayBeIn, type PastRelease } from "../history/history.ts";
import { SERVICE_LABEL } from "../manifests/render.ts";
import { type Discovery, servedRef } from "../manifests/served.ts";
import type { ReleaseContext, ReleaseRecord, RenderedRelease, Target } from "../model.ts";
import type { ConfigVersions } from "./config-versions.ts";
import type { PlannedObject } from "./planned-object.ts";

interface Pruning {
  readonly target: Target;
  readonly discovery: Discovery;
  readonly config: ConfigVersions;
}

/** Nothing of what holds data goes unless it says so itself, in the cluster. */
export async function planPrune(
  { target, discovery, config }: Pruning,
  written: ObjectRef,
  context: ReleaseContext,
): Promise<readonly PlannedObject[]> {
  const ref = await servedRef(discovery, written);
  const { kind, namespace } = ref;
  const plain = config.plainNames.get(ref.name);
  const named =
    plain === undefined ? { name: ref.name } : { name: plain.slice(kind.length + 1), appliedAs: ref.name };
  const live = await findObject(target.client, ref);
  if (live === undefined || live.metadata.labels?.[SERVICE_LABEL] !== context.service) return [];
  const action = isDataToDelete(live, context.namespace) === false ? "left" : "prune";
  return [{ kind, namespace, ...named, action, changes: [] }];
}

/** The release as its record will be if all goes well. */
export function onceHealthy(
  context: ReleaseContext,
  rendered: Pick<RenderedRelease, "objects" | "images" | "content">,
  records: readonly ReleaseRecord[],
): PastRelease {
  const number = (records[0]?.number ?? 0) + 1;
  const clusters = Object.fromEntries(
    context.targets.map(({ name }) => [name, { verdict: "healthy", step: "done", runs: number } as const]),
  );
  return { ...rendered, number, outcome: "healthy", clusters, held: [] };
}

/**
 * What goes from a cluster when the first of `records` is healthy: the inventory before it, and the config of releases
 * that leave the history. `cluster` is a name.
 */
export function pruneRefs(
  context: ReleaseContext,
  records: readonly PastRelease[],
  cluster: string,
): ReturnType<typeof toPrune> {
  const leaving = leavingRecords(context, records);
  const staying = records.filter((record) => !leaving.includes(record));
  return toPrune({
    before: [...inventory(records, cluster), ...configIn(leaving)],
    after: records[0]?.objects ?? [],
    kept: staying.flatMap((record) => record.objects),
  });
}

/**
 * What the first of `records` no longer has, and what leaves the history with it: in the cluster for no other reason
 * than an earlier release, even where it is not pruned yet.
 */
export function leftBehind(
  context: ReleaseContext,
  records: readonly PastRelease[],
  cluster: string,
): readonly AnyObject[] {
  const before = [...inventory(records, cluster), ...configIn(leavingRecords(context, records))];
  return gone(before, records[0]?.objects ?? []);
}

/** What came before the first of `records`, in that order, so that the newest manifest of an object speaks for it. */
function inventory(records: readonly PastRelease[], cluster: string): readonly AnyObject[] {
  return mayBeIn(records.slice(1), cluster)
    .toReversed()
    .flatMap((record) => record.objects);
}

function leavingRecords(context: ReleaseContext, records: readonly PastRelease[]): readonly PastRelease[] {
  const names = context.targets.map((target) => target.name);
  return expired(records, context.release.keep, names);
}

function configIn(records: readonly PastRelease[]): readonly AnyObject[] {
  return records
    .flatMap((record) => record.objects)
    .filter((object) => object.kind === "ConfigMap" || object.kind === "Secret");
}
