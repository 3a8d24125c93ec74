/**
 * Revisions: which ReplicaSet is the current one, how the others are numbered, and how many are kept.
 *
 * A rollback is a template that was seen before: the ReplicaSet that has it becomes the new one again and takes the
 * next number, and its former numbers move to the history annotation. So numbers only rise:
 *
 *   v1 -> rev 1 | v2 -> rev 2 | undo to v1 -> its ReplicaSet has rev 3, history "1" | undo to v2 -> rev 4, history "2"
 */
import type { Deployment, ReplicaSet, StringMap } from "@slipway/kube";
import { isSameTemplate } from "./hash.ts";

export const REVISION = "deployment.kubernetes.io/revision";
export const REVISION_HISTORY = "deployment.kubernetes.io/revision-history";
export const DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas";
export const MAX_REPLICAS = "deployment.kubernetes.io/max-replicas";

/** Not copied from a Deployment to its ReplicaSets: each has its own, or none. */
const OWN_ANNOTATIONS = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  "deprecated.deployment.rollback.to",
]);

/** Characters of the history annotation; the oldest numbers are dropped first. */
const MAX_HISTORY_LENGTH = 2000;

/** The oldest ReplicaSet with the Deployment's template. More than one can exist only after someone's tampering. */
export function findNewReplicaSet(
  deployment: Deployment,
  replicaSets: readonly ReplicaSet[],
): ReplicaSet | undefined {
  return byAge(replicaSets).find(({ spec }) => isSameTemplate(spec.template, deployment.spec.template));
}

/** Oldest first, by creation and then by name. */
export function byAge(replicaSets: readonly ReplicaSet[]): readonly ReplicaSet[] {
  return [...replicaSets].sort(
    (a, b) => compare(createdAt(a), createdAt(b)) || compare(a.metadata.name, b.metadata.name),
  );
}

function createdAt(replicaSet: ReplicaSet): string {
  return replicaSet.metadata.creationTimestamp ?? "";
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** 0 when there is none, or none that is a number. */
export function revisionOf(object: { readonly metadata: { readonly annotations?: StringMap } }): number {
  const text = object.metadata.annotations?.[REVISION] ?? "";
  return /^\d+$/.test(text) ? Number(text) : 0;
}

export function nextRevision(old: readonly ReplicaSet[]): number {
  return Math.max(0, ...old.map(revisionOf)) + 1;
}

/** The annotations of the new ReplicaSet: the Deployment's own, the revision, and where it was used before. */
export function newReplicaSetAnnotations(
  deployment: Deployment,
  current: StringMap | undefined,
  revision: number,
): StringMap {
  const annotations: Record<string, string> = { ...current };
  for (const [name, value] of Object.entries(deployment.metadata.annotations ?? {})) {
    if (!OWN_ANNOTATIONS.has(name)) annotations[name] = value;
  }
  const before = current?.[REVISION];
  if (before !== undefined && before !== "" && !/^\d+$/.test(before)) return annotations; // not ours to number
  // Its number may be higher than any other plus one, when those were deleted: it stays.
  if (Number(before ?? 0) >= revision) return annotations;
  annotations[REVISION] = String(revision);
  if (before !== undefined && before !== "") {
    annotations[REVISION_HISTORY] = appendHistory(current?.[REVISION_HISTORY], before);
  }
  return annotations;
}

function appendHistory(history: string | undefined, revision: string): string {
  let kept = history === undefined || history === "" ? revision : `${history},${revision}`;
  while (kept.length > MAX_HISTORY_LENGTH && kept.includes(",")) kept = kept.slice(kept.indexOf(",") + 1);
  return kept;
}

/**
 * The old ReplicaSets that may be deleted: all but the newest `revisionHistoryLimit` revisions, and of those only the
 * ones without pods whose status is up to date.
 */
export function expiredReplicaSets(
  deployment: Deployment,
  old: readonly ReplicaSet[],
): readonly ReplicaSet[] {
  const limit = deployment.spec.revisionHistoryLimit;
  if (limit === undefined || limit === 2_147_483_647) return [];
  const alive = old.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  return [...byAge(alive)]
    .sort((a, b) => revisionOf(a) - revisionOf(b))
    .slice(0, Math.max(0, alive.length - limit))
    .filter(
      ({ metadata, spec, status }) =>
        (spec.replicas ?? 1) === 0 &&
        (status?.replicas ?? 0) === 0 &&
        (metadata.generation ?? 0) <= (status?.observedGeneration ?? 0),
    );
}
