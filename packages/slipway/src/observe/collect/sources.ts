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
  readonly #complete: (labels: SourceLabels) => SourceLabels;
  readonly #byPod = new Map<string, Map<number, Used>>();
  readonly #labels = new Map<number, SourceLabels>();

  /** `complete` adds what is known of the pod to labels that only name it, as the edge's do. */
  constructor(
    warehouse: Pick<Warehouse, "sourceOf" | "relabel">,
    complete: (labels: SourceLabels) => SourceLabels = (labels) => labels,
  ) {
    this.#warehouse = warehouse;
    this.#complete = complete;
  }

  of(written: SourceLabels): number {
    const labels = this.#complete(written);
    const source = this.adopt(labels);
    this.#labels.set(source, labels);
    return source;
  }

  /** Takes these labels as they are; also those of an earlier process, whose release was not known then. */
  adopt(labels: SourceLabels): number {
    const { cluster, pod, release, commit } = labels;
    const source = this.#warehouse.sourceOf(labels);
    const key = `${cluster}/${pod}`;
    const used = this.#byPod.get(key) ?? new Map<number, Used>();
    this.#byPod.set(key, used);
    if (!used.has(source)) used.set(source, { source, release, commit });
    return source;
  }

  /** As they are known now; undefined for ids that this process has not given out. */
  labelsOf(source: number): SourceLabels | undefined {
    return this.#labels.get(source);
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
    for (const { used, release, commit } of changed) {
      Object.assign(used, { release, commit });
      const labels = this.#labels.get(used.source);
      if (labels !== undefined) this.#labels.set(used.source, { ...labels, release, commit });
    }
  }
}
