/**
 * What the pods of the newest releases went through, as far as somebody watched: the steps between two looks. Kept in
 * this process alone, for the last releases.
 */
import type { PodCell, PodChange } from "../../../server/api.ts";

export const MOST_CHANGES = 5000;
const MOST_RELEASES = 10;

export interface PodChanges {
  /** What a cluster's pods of a release are now. A pod that is not among them any more is gone. */
  look(release: number, cluster: string, cells: readonly PodCell[], at: number): void;
  of(release: number): readonly PodChange[];
}

export function createPodChanges(): PodChanges {
  const releases = new Map<
    number,
    { readonly changes: PodChange[]; readonly last: Map<string, Map<string, PodCell>> }
  >();
  return {
    look(release, cluster, cells, at) {
      const known = releases.get(release) ?? { changes: [], last: new Map<string, Map<string, PodCell>>() };
      if (!releases.has(release)) {
        releases.set(release, known);
        if (releases.size > MOST_RELEASES) releases.delete(Math.min(...releases.keys()));
      }
      const before = known.last.get(cluster) ?? new Map<string, PodCell>();
      const now = new Map(cells.map((cell) => [cell.name, cell]));
      for (const change of stepsBetween(before, now, at)) {
        if (known.changes.length < MOST_CHANGES) known.changes.push(change);
      }
      known.last.set(cluster, now);
    },
    of: (release) => releases.get(release)?.changes ?? [],
  };
}

function stepsBetween(
  before: ReadonlyMap<string, PodCell>,
  now: ReadonlyMap<string, PodCell>,
  at: number,
): readonly PodChange[] {
  const changed = [...now.values()].filter((cell) => {
    const was = before.get(cell.name);
    return was === undefined || was.state !== cell.state || was.revision !== cell.revision;
  });
  const gone = [...before.values()].filter(({ name, state }) => !now.has(name) && state !== "gone");
  return [
    ...changed.map(({ cluster, name, revision, state }) => ({ at, cluster, name, revision, state })),
    ...gone.map(({ cluster, name, revision }) => ({ at, cluster, name, revision, state: "gone" as const })),
  ];
}
