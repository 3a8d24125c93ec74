/**
 * Which ids of the warehouse's table `sources` the lines of each pod have, so that a release that becomes known late is
 * written to all of them.
 */
import type { SourceLabels } from "../access/source.ts";
import type { Warehouse } from "../warehouse/warehouse.ts";

export interface ReleaseOfPod {
  readonly cluster: string;
  readonly pod: string;
  readonly release: number;
  readonly commit: string;
}

interface Used {
  readonly source: number;
  release: number;
  commit: string;
}

export class Sources {
  readonly #warehouse: Pick<Warehouse, "sourceOf" | "relabel">;
  readonly #byPod = new Map<string, Map<number, Used>>();

  constructor(warehouse: Pick<Warehouse, "sourceOf" | "relabel">) {
    this.#warehouse = warehouse;
  }

  of(labels: SourceLabels): number {
    const source = this.#warehouse.sourceOf(labels);
    const key = `${labels.cluster}/${labels.pod}`;
    const used = this.#byPod.get(key) ?? new Map<number, Used>();
    this.#byPod.set(key, used);
    if (!used.has(source)) used.set(source, { source, release: labels.release, commit: labels.commit });
    return source;
  }

  /** Writes what is known now of these pods to their sources, where it is something else. */
  async learn(pods: readonly ReleaseOfPod[]): Promise<void> {
    const changed = pods.flatMap(({ cluster, pod, release, commit }) =>
      [...(this.#byPod.get(`${cluster}/${pod}`)?.values() ?? [])]
        .filter((used) => used.release !== release || used.commit !== commit)
        .map((used) => ({ used, release, commit })),
    );
    if (changed.length === 0) return;
    await this.#warehouse.relabel(
      changed.map(({ used, release, commit }) => ({ source: used.source, release, commit })),
    );
    for (const { used, release, commit } of changed) Object.assign(used, { release, commit });
  }

  forget(cluster: string, pod: string): void {
    this.#byPod.delete(`${cluster}/${pod}`);
  }
}
