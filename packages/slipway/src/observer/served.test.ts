/** Counts of real rows, asked as a gate asks: through the API server, of a collector that has them in DuckDB. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemClock, VirtualClock } from "@slipway/base";
import type { SourceLabels } from "../observe/access/source.ts";
import { BUCKETS, bucketOf } from "../observe/counts/histogram.ts";
import { openWarehouse } from "../observe/warehouse/duckdb/open.ts";
import { type Sample, sampleLabels, sampleLines } from "../observe/warehouse/sample.ts";
import type { Warehouse } from "../observe/warehouse/warehouse.ts";
import type { ServedCount } from "../release/gates/gate.ts";
import { answersOf } from "./answers.ts";
import { reachCollector } from "./reach-collector.ts";
import { type CountingCluster, countServed } from "./served.ts";
import { startTestCollector, type TestCollector } from "./testing-collector.ts";

const STARTED = Date.UTC(2026, 10, 28, 12);
const HOUR = 3_600_000;
const place = { namespace: "web", service: "shop" };
const idle = new AbortController().signal;
const question = { startedAt: STARTED, signal: idle };
let warehouse: Warehouse;
let collecting: TestCollector;

before(async () => {
  warehouse = await openWarehouse({ folder: undefined });
  const figures = (): never => assert.fail("nobody asks for figures");
  collecting = await startTestCollector(answersOf({ warehouse, figures }));
});
after(async () => {
  collecting.close();
  await warehouse.close();
});

async function store(labels: Partial<SourceLabels>, ...samples: Omit<Sample, "source">[]): Promise<void> {
  const source = warehouse.sourceOf(sampleLabels(labels));
  const lines = sampleLines(warehouse, ...samples.map((sample) => ({ ...sample, source })));
  await warehouse.commit({ lines, offsets: [] });
}

const tokyo = (client = collecting.cluster()): CountingCluster => ({
  name: "tokyo",
  reach: () => reachCollector("tokyo", client, place),
});

/** `tokyo web web-5d9c7b4f6 10/2 40×10`: requests, errors, and requests by bucket. */
const text = (counts: readonly ServedCount[] = []): readonly string[] =>
  counts
    .map(({ cluster, service, replicaSet, requests, errors, times = [] }) => {
      const buckets = times.flatMap((n, bucket) => (n === 0 ? [] : [`${bucket}×${n}`]));
      return `${cluster} ${service} ${replicaSet || "-"} ${requests}/${errors} ${buckets.join(" ")}`.trim();
    })
    .sort();

test("requests are counted by ReplicaSet, with what came before the release, and grow when lines come late", async () => {
  const old = { pod: "web-5d9c7b4f6-x2x7q" };
  const before = { fromMs: STARTED - 60_000, status: 200, timeMs: 3 };
  await store(old, { ...before, count: 10 }, { ...before, count: 2, status: 503 });
  await store(old, { count: 3, fromMs: STARTED, status: 500, timeMs: 4096 });
  await store({ pod: "web-5d9c7b4f6-zzzzz" }, { count: 1, fromMs: STARTED + 1, status: 499, timeMs: 0 });
  await store({ pod: "web-77f8-bcdfg" }, { count: 4, fromMs: STARTED + 5, status: 404, timeMs: 3_000_000 });
  // None of these counts: too long ago, the kubelet's, of a file that somebody imported.
  await store(old, { count: 7, fromMs: STARTED - HOUR - 7 * 10, status: 500, timeMs: 1 });
  await store(old, { count: 7, fromMs: STARTED, status: 500, timeMs: 1, userAgent: "kube-probe/1.33" });
  await store({ ...old, origin: "import" }, { count: 7, fromMs: STARTED, status: 500, timeMs: 1 });
  // These have no ReplicaSet: of a StatefulSet, of a DaemonSet.
  await store({ pod: "db-0", service: "db" }, { count: 5, fromMs: STARTED, status: 200, timeMs: 1 });
  await store(
    { pod: "proxy-x2x7q", service: "proxy" },
    { count: 6, fromMs: STARTED, status: 200, timeMs: 1 },
  );

  const counted = await countServed([tokyo()], systemClock, question);
  const bucket = bucketOf(3);
  assert.deepEqual(text(counted.counts), [
    "tokyo db - 5/0 0×5",
    "tokyo proxy - 6/0 0×6",
    `tokyo web web-5d9c7b4f6 16/5 0×1 ${bucket}×12 ${bucketOf(4096)}×3`,
    `tokyo web web-77f8 4/0 ${BUCKETS - 1}×4`,
  ]);
  assert.deepEqual(text(counted.before), [`tokyo web web-5d9c7b4f6 12/2 ${bucket}×12`]);
  assert.deepEqual(counted.missing, []);

  await store({ pod: "web-77f8-bcdfg" }, { count: 2, fromMs: STARTED + 6, status: 502, timeMs: 3 });
  const later = await countServed([tokyo()], systemClock, question);
  assert.ok(text(later.counts).includes(`tokyo web web-77f8 6/2 ${bucket}×2 ${BUCKETS - 1}×4`));
});

test("buckets are those that the edge counts in, for every time", async () => {
  const times = Array.from({ length: 5_000 }, (_, ms) => ms);
  const samples = times.map((timeMs) => ({ count: 1, fromMs: STARTED, status: 200, timeMs }));
  await store({ pod: "all-5d9c7b4f6-x2x7q", service: "all" }, ...samples);
  const { counts } = await countServed([tokyo()], systemClock, question);
  const expected: number[] = new Array(bucketOf(4_999) + 1).fill(0);
  for (const ms of times) expected[bucketOf(ms)] = (expected[bucketOf(ms)] as number) + 1;
  assert.deepEqual(counts.find(({ service }) => service === "all")?.times, expected);
});

test("requests without a time are counted, and are in no bucket", async () => {
  // Of the sample's own times, some are missing.
  await store({ pod: "untimed-5d9c-x2x7q", service: "untimed" }, { count: 500, fromMs: STARTED });
  const { counts } = await countServed([tokyo()], systemClock, question);
  const found = counts.find(({ service }) => service === "untimed");
  const timed = found?.times?.reduce((sum, n) => sum + n, 0) ?? 0;
  assert.equal(found?.requests, 500);
  assert.ok(timed > 0 && timed < 500, `${timed}`);
});

test("a cluster without an answer is told beside the others' counts, and why", async () => {
  const silent = Promise.withResolvers<undefined>();
  const clock = new VirtualClock();
  const broken = new Error("connect ECONNREFUSED");
  const answered = Promise.withResolvers<void>();
  const running = countServed(
    [
      {
        name: "tokyo",
        reach: async () => ({
          async query() {
            answered.resolve();
            const columns = ["service", "replica_set", "earlier", "bucket", "requests", "errors"];
            return {
              columns: columns.map((name) => ({ name, type: "text" as const })),
              rows: [["web", "web-77f8", false, 3, 9, 1]],
              ...{ isTruncated: false, elapsedMs: 1, committed: 1 },
            };
          },
        }),
      },
      { name: "osaka", reach: () => reachCollector("osaka", collecting.cluster({ secrets: {} }), place) },
      { name: "kyoto", reach: () => reachCollector("kyoto", collecting.cluster({ isReady: false }), place) },
      { name: "nara", reach: () => Promise.reject(broken) },
      { name: "kobe", reach: () => silent.promise },
    ],
    clock,
    question,
  );
  await answered.promise;
  await clock.advance(15_000);
  const { counts, missing } = await running;
  assert.deepEqual(text(counts), ["tokyo web web-77f8 9/1 3×9"]);
  assert.deepEqual(
    missing.map(({ cluster, isInstalled, reason }) => `${cluster} ${isInstalled} ${reason}`),
    [
      "osaka false no collector is installed: slipway observe install puts it there",
      "kyoto true its collector: its pod is not ready",
      "nara true its collector: connect ECONNREFUSED",
      "kobe true its collector did not answer within 15 s",
    ],
  );
});

test("an abort ends the question, and the collector's query", async () => {
  const interrupt = new AbortController();
  const asked = Promise.withResolvers<AbortSignal>();
  const cluster: CountingCluster = {
    name: "tokyo",
    reach: async () => ({
      query: (_sql, _parameters, { signal = idle } = {}) => {
        asked.resolve(signal);
        return new Promise(() => undefined);
      },
    }),
  };
  const running = countServed([cluster], systemClock, { startedAt: STARTED, signal: interrupt.signal });
  const signal = await asked.promise;
  interrupt.abort();
  await assert.rejects(running, { name: "AbortError" });
  assert.equal(signal.aborted, true);
});
