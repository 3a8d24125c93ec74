/**
 * What the records of past releases say, newest first: what runs where, what was good, what is held back, where a release
 * goes back to, and which records may go. Pure; how they are kept in the clusters is in `records.ts`.
 */
import type { ReleaseRecord } from "../model.ts";

/** What a release leaves behind for later ones to look at. */
export type PastRelease = Pick<
  ReleaseRecord,
  "number" | "outcome" | "clusters" | "objects" | "images" | "content" | "held" | "only"
>;

/** What runs in each cluster: the newest release that says so. */
export function runningIn<T extends PastRelease>(records: readonly T[], cluster: string): T | undefined {
  for (const record of records) {
    const runs = record.clusters[cluster]?.runs;
    if (runs !== undefined) return records.find((one) => one.number === runs) ?? record;
  }
  return undefined;
}

/**
 * Releases whose objects may still be in a cluster, newest first: what runs there, and before it those after which nothing
 * was pruned, because they failed, were cut off or left another cluster behind. The last one is the newest that was
 * healthy as a whole: whatever was there before has gone with it.
 */
export function mayBeIn<T extends PastRelease>(records: readonly T[], cluster: string): readonly T[] {
  const running = runningIn(records, cluster);
  const found = new Set<T>(running === undefined ? [] : [running]);
  for (const record of records) {
    const there = record.clusters[cluster];
    if (there?.runs === undefined) continue;
    found.add(record);
    if (record.outcome === "healthy" && there.verdict === "healthy") break;
  }
  return [...found].sort((a, b) => b.number - a.number);
}

/** A rollback of some clusters alone says nothing about the others, and so is never healthy everywhere. */
export function isHealthyEverywhere(record: PastRelease): boolean {
  const clusters = Object.values(record.clusters);
  return (
    record.outcome === "healthy" &&
    record.only === undefined &&
    clusters.length > 0 &&
    clusters.every((cluster) => cluster.verdict === "healthy")
  );
}

/**
 * Was it good in these clusters? One that failed in another cluster was not, wherever; one that another could not
 * confirm was. Clusters that came to the environment after it are not held against it.
 */
export function isHealthyIn(record: PastRelease, clusters: readonly string[]): boolean {
  if (record.outcome !== "healthy" && record.outcome !== "unknown") return false;
  const { only } = record;
  if (only !== undefined && !clusters.every((name) => only.includes(name))) return false;
  const asked = clusters.flatMap((name) => record.clusters[name] ?? []);
  return (
    asked.length > 0 &&
    asked.every(({ verdict, restored }) => verdict === "healthy" && restored === undefined)
  );
}

/** Is its content, or one of its images, among the held? */
export function isHeld(record: PastRelease, held: ReadonlyMap<string, number>): boolean {
  return held.has(record.content) || record.images.some((image) => held.has(image.digest));
}

/** What a release that fails goes back to; undefined when there is none. Newest record first. */
export function newestHealthy<T extends PastRelease>(records: readonly T[]): T | undefined {
  const held = heldBy(records);
  return records.find((record) => isHealthyEverywhere(record) && !isHeld(record, held));
}

/** Where a release with this content goes back to when it fails: to the very same objects would change nothing. */
export function wayBack<T extends PastRelease>(
  records: readonly T[],
  { content }: { readonly content: string },
): T | undefined {
  const newest = newestHealthy(records);
  return newest?.content === content ? undefined : newest;
}

/** Digests and contents that no release may bring back until a later healthy one lifts the hold. */
export function heldBy(records: readonly PastRelease[]): ReadonlyMap<string, number> {
  const held = new Map<string, number>();
  for (const record of [...records].sort((a, b) => a.number - b.number)) {
    if (isHealthyEverywhere(record)) {
      held.delete(record.content);
      for (const image of record.images) held.delete(image.digest);
    }
    for (const bad of record.held) held.set(bad, record.number);
  }
  return held;
}

/**
 * Which records may go: all but the newest `keep`, what runs anywhere, the newest healthy one, and the one that a
 * rollback from there goes to, which many failed releases in a row must not push out.
 */
export function expired<T extends PastRelease>(
  records: readonly T[],
  keep: number,
  clusters: readonly string[],
): readonly T[] {
  const needed = new Set<number>();
  for (const cluster of clusters) {
    const runs = runningIn(records, cluster);
    if (runs !== undefined) needed.add(runs.number);
  }
  const healthy = records.filter(isHealthyEverywhere);
  const held = heldBy(records);
  const earlier = healthy.find((record) => record.content !== healthy[0]?.content && !isHeld(record, held));
  for (const record of [healthy[0], earlier]) if (record !== undefined) needed.add(record.number);
  return records.slice(Math.max(1, keep)).filter((record) => !needed.has(record.number));
}
