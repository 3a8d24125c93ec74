/**
 * Clusters that were taken out of the configuration while a release still ran in them. Nothing looks at them any more, and
 * nothing deletes what is there: that has to be said, or a version nobody thinks of serves on. Pure.
 */
import { isHealthyEverywhere, type PastRelease, runningIn } from "./history.ts";

export interface GoneCluster {
  readonly name: string;
  /** The release that ran there when it was last in the configuration. */
  readonly runs: number;
  /** A later release was healthy everywhere without it, so whoever releases has gone on without it. */
  readonly isSettled: boolean;
}

/** `records` newest first, under the names that the clusters have now; `present` are those names. */
export function goneClusters(
  records: readonly PastRelease[],
  present: readonly string[],
): readonly GoneCluster[] {
  const known = [...new Set(records.flatMap(({ clusters }) => Object.keys(clusters)))];
  return known
    .filter((name) => !present.includes(name))
    .sort()
    .flatMap((name) => {
      const runs = runningIn(records, name)?.number;
      if (runs === undefined) return [];
      const last = records.find(({ clusters }) => clusters[name] !== undefined)?.number ?? 0;
      const isSettled = records.some((record) => record.number > last && isHealthyEverywhere(record));
      return [{ name, runs, isSettled }];
    });
}

export function describeGone({ name, runs }: Pick<GoneCluster, "name" | "runs">): string {
  return `${name} ran release ${runs} when it was last in the configuration; what runs there stays, and is not looked at any more`;
}

/** What plan and deploy say, until a release was healthy everywhere without the cluster. */
export function goneWarnings(records: readonly PastRelease[], present: readonly string[]): readonly string[] {
  return goneClusters(records, present)
    .filter(({ isSettled }) => !isSettled)
    .map(describeGone);
}
