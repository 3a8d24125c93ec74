/**
 * What watches a service: reads the logs of its clusters into the warehouse, and tells whoever plugs in here (pages,
 * alerts, scheduled queries, metrics) what came. One process has one; it owns the warehouse.
 */
import type { Clock } from "@slipway/base";
import type { ObserveConfig } from "../config/observe.ts";
import type { LineBatch } from "../observe/access/batch.ts";
import type { SourceLabels, StreamKey } from "../observe/access/source.ts";
import { Collector, type LineReader } from "../observe/collect/collector.ts";
import { Pods } from "../observe/collect/pods.ts";
import { retireStreams } from "../observe/collect/retire.ts";
import { Sources } from "../observe/collect/sources.ts";
import { type LogPlace, Tail } from "../observe/collect/tail.ts";
import type { Warehouse } from "../observe/warehouse/warehouse.ts";
import type { ReleaseRecord, Target } from "../release/model.ts";
import { followRecords, releaseFactsOf, releaseRowsOf } from "./records.ts";

export interface ObserverOptions {
  readonly service: string;
  readonly namespace: string;
  readonly config: ObserveConfig;
  readonly targets: readonly Target[];
  /** What may be read of the clusters, where that is not everything. */
  readonly scope?: { readonly namespace: string; readonly readsReleases: boolean };
  /** Log files of this machine; none for a collector, to which agents send. */
  readonly places: readonly LogPlace[];
  readonly warehouse: Warehouse;
  /** Made with the ids of sources, because lines of the edge have many. */
  readonly readers: (sources: Sources) => (stream: StreamKey) => LineReader;
  readonly clock: Clock;
  readonly log: (line: string) => void;
}

export interface ObserverFigures {
  /** Lines stored by this process. */
  readonly lines: number;
  /** Lines that were read for that: as many, or some went nowhere. */
  readonly read: number;
  /** Bytes of log files that are written and not stored. */
  readonly unread: number;
  readonly logs: number;
  readonly gaps: number;
  /** How late lines of the last half minute were stored. */
  readonly lagMs: number;
}

export interface Observer {
  readonly warehouse: Warehouse;
  /** Labels of the ids in the lines that `onLines` gets. */
  readonly sources: Sources;
  /** Where batches go that come over the network. */
  readonly collector: Collector;
  /** Newest first; as the clusters that answer remember them. */
  releases(): readonly ReleaseRecord[];
  figures(): ObserverFigures;
  /** Lines that were stored just now, once each; the batch is used again afterwards. */
  onLines(listener: (lines: LineBatch) => void): void;
  onReleases(listener: (releases: readonly ReleaseRecord[]) => void): void;
  /** Stores what is already written, then closes the warehouse. */
  close(): Promise<void>;
}

/** The newest; the records know no older releases either. */
const UNLABELLED = 50_000;
const TIDY_EVERY_MS = 60_000;
/** What was away while this process did not run has come back by then. */
const RETIRE_FIRST_MS = 3_600_000;
const RETIRE_EVERY_MS = 86_400_000;

export function startObserver(options: ObserverOptions): Observer {
  const { clock, log, targets, warehouse } = options;
  const closing = new AbortController();
  const { signal } = closing;
  const lineListeners: ((lines: LineBatch) => void)[] = [];
  const releaseListeners: ((releases: readonly ReleaseRecord[]) => void)[] = [];
  let releases: readonly ReleaseRecord[] = [];
  const tell = teller(clock, log);

  const pods = new Pods({
    clock,
    namespace: options.scope?.namespace,
    onProblem: (cluster, error) => tell(`pods of ${cluster}`, error),
    onLearned: (known) => void sources.learn(known).catch((error) => tell("releases of pods", error)),
  });
  const sources = new Sources(warehouse, (labels) => pods.complete(labels));
  const collector = new Collector({
    warehouse,
    sources,
    labelsOf: (logOrigin) => pods.labelsOf(logOrigin),
    openReader: options.readers(sources),
    now: () => clock.now(),
    onLines: (lines) => {
      for (const listener of lineListeners) listener(lines);
    },
  });
  const tail = new Tail({
    places: options.places,
    taker: collector,
    clock,
    onProblem: (error) => tell("logs", error),
  });
  void unlabelledSources(warehouse).then(
    (unlabelled) => {
      for (const labels of unlabelled) sources.adopt(labels);
      if (releases.length > 0) pods.setReleases(releaseFactsOf(releases));
    },
    (error) => tell("sources of before", error),
  );
  const running = [
    ...targets.map(({ name, client }) => pods.follow(name, client, signal)),
    followRecords({
      service: options.service,
      namespace: options.namespace,
      targets: options.scope?.readsReleases === false ? [] : targets,
      clock,
      signal,
      onProblem: (cluster, error) => tell(`releases in ${cluster}`, error),
      onRecords(records) {
        releases = records;
        pods.setReleases(releaseFactsOf(records));
        void warehouse.recordReleases(releaseRowsOf(records)).catch((error) => tell("releases", error));
        for (const listener of releaseListeners) listener(records);
      },
    }),
    tail.run(signal),
    tidy(),
  ];

  return {
    warehouse,
    sources,
    collector,
    releases: () => releases,
    figures() {
      return { ...collector.figures(), ...tail.figures() };
    },
    onLines: (listener) => void lineListeners.push(listener),
    onReleases: (listener) => void releaseListeners.push(listener),
    async close() {
      if (signal.aborted) return;
      closing.abort();
      await Promise.allSettled(running);
      await collector.settled();
      await warehouse.close();
    },
  };

  async function tidy(): Promise<void> {
    let retireAt = clock.monotonic() + RETIRE_FIRST_MS;
    while (!signal.aborted) {
      await clock.sleep(TIDY_EVERY_MS, signal).catch(() => {});
      if (signal.aborted) return;
      await warehouse.tidy(clock.now()).catch((error) => tell("warehouse", error));
      if (clock.monotonic() < retireAt) continue;
      retireAt = clock.monotonic() + RETIRE_EVERY_MS;
      await retire().catch((error) => tell("streams that are over", error));
    }
  }

  function retire(): Promise<void> {
    return retireStreams(warehouse, {
      now: clock.now(),
      keepForMs: options.config.keepForMs,
      // What the tail of this machine still has is not over, whatever its cluster says.
      isGone: (cluster, podUid) => pods.isGone(cluster, podUid) && !tail.follows(cluster, podUid),
    });
  }
}

/** Of pods whose release nobody knew when their lines were stored. */
async function unlabelledSources(warehouse: Warehouse): Promise<readonly SourceLabels[]> {
  const columns = [
    "origin",
    "cluster",
    "namespace",
    "node",
    "pod",
    "container",
    "service",
    "commit",
  ] as const;
  const { rows } = await warehouse.query(
    `SELECT ${columns.join(", ")} FROM sources WHERE release = 0 AND pod != '' ORDER BY id DESC`,
    {},
    { maxRows: UNLABELLED },
  );
  return rows.map((row) => {
    const texts = Object.fromEntries(columns.map((name, index) => [name, String(row[index] ?? "")]));
    return { ...texts, release: 0 } as unknown as SourceLabels;
  });
}

const SAY_AGAIN_MS = 60_000;

/** A problem that goes on is told once a minute. */
function teller(clock: Clock, log: (line: string) => void): (what: string, error: unknown) => void {
  const told = new Map<string, number>();
  return (what, error) => {
    const line = `${what}: ${error instanceof Error ? error.message : String(error)}`;
    const now = clock.monotonic();
    if (now - (told.get(line) ?? Number.NEGATIVE_INFINITY) < SAY_AGAIN_MS) return;
    if (told.size > 100) told.clear();
    told.set(line, now);
    log(line);
  };
}
