/**
 * The rows of the tables `sources` and `series`, kept in memory: there is one for each container, not for each line.
 * A source keeps its id when its release becomes known, and moves to another series.
 */
import type { SourceLabels } from "../../access/source.ts";

export interface Source {
  readonly id: number;
  readonly labels: SourceLabels;
  readonly series: number;
}

export interface Series {
  readonly id: number;
  readonly origin: SourceLabels["origin"];
  readonly cluster: string;
  readonly service: string;
  readonly release: number;
  readonly commit: string;
}

export class Sources {
  readonly #sources = new Map<number, Source>();
  readonly #series = new Map<number, Series>();
  readonly #idByLabels = new Map<string, number>();
  readonly #seriesByKey = new Map<string, number>();
  /** The highest id: those of sources that are gone leave holes. */
  #lastSource = 0;
  #unsavedSources = new Set<number>();
  #unsavedSeries = new Set<number>();

  constructor(known: { readonly sources: readonly Source[]; readonly series: readonly Series[] }) {
    for (const one of known.series) this.#putSeries(one);
    for (const one of known.sources) this.#put(one);
  }

  get(id: number): Source | undefined {
    return this.#sources.get(id);
  }

  /** A source that is not known counts as series 0, which nobody sees. */
  seriesOf(id: number): number {
    return this.#sources.get(id)?.series ?? 0;
  }

  idOf(labels: SourceLabels): number {
    const known = this.#idByLabels.get(keyOf(labels));
    if (known !== undefined) return known;
    const id = this.#lastSource + 1;
    this.#put({ id, labels: { ...labels }, series: this.seriesFor(labels) });
    this.#unsavedSources.add(id);
    return id;
  }

  seriesFor({ origin, cluster, service, release, commit }: SourceLabels): number {
    const known = this.#seriesByKey.get(seriesKey({ origin, cluster, service, release, commit }));
    if (known !== undefined) return known;
    const id = this.#series.size + 1;
    this.#putSeries({ id, origin, cluster, service, release, commit });
    this.#unsavedSeries.add(id);
    return id;
  }

  /** After it has been stored, or for a source that is not stored yet. */
  replace(source: Source): void {
    const before = this.#sources.get(source.id);
    if (before !== undefined && this.#idByLabels.get(keyOf(before.labels)) === source.id) {
      this.#idByLabels.delete(keyOf(before.labels));
    }
    this.#put(source);
  }

  isStored(id: number): boolean {
    return this.#sources.has(id) && !this.#unsavedSources.has(id);
  }

  takeUnsaved(): { readonly sources: readonly Source[]; readonly series: readonly Series[] } {
    const sources = [...this.#unsavedSources].map((id) => this.#sources.get(id) as Source);
    const series = [...this.#unsavedSeries].map((id) => this.#series.get(id) as Series);
    this.#unsavedSources = new Set();
    this.#unsavedSeries = new Set();
    return { sources, series };
  }

  /** Gives back what was taken when its transaction failed. */
  putBack(taken: { readonly sources: readonly Source[]; readonly series: readonly Series[] }): void {
    for (const { id } of taken.sources) this.#unsavedSources.add(id);
    for (const { id } of taken.series) this.#unsavedSeries.add(id);
  }

  #put(source: Source): void {
    this.#sources.set(source.id, source);
    this.#lastSource = Math.max(this.#lastSource, source.id);
    const key = keyOf(source.labels);
    if (!this.#idByLabels.has(key)) this.#idByLabels.set(key, source.id);
  }

  #putSeries(series: Series): void {
    this.#series.set(series.id, series);
    this.#seriesByKey.set(seriesKey(series), series.id);
  }
}

function keyOf(labels: SourceLabels): string {
  const { origin, cluster, namespace, node, pod, container, service, release, commit } = labels;
  return [origin, cluster, namespace, node, pod, container, service, release, commit].join("\0");
}

function seriesKey({ origin, cluster, service, release, commit }: Omit<Series, "id">): string {
  return [origin, cluster, service, release, commit].join("\0");
}
