import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_TIME } from "../access/batch.ts";
import type { SourceLabels } from "../access/source.ts";
import { batchOf, dictionariesForTests, labelsForTests, type WrittenRequest } from "../counts/testing.ts";
import { boundsWith, CLASSES, type RequestTotal, RequestTotals, type Times } from "./request-totals.ts";

const HOUR_MS = 3_600_000;

function totalsForTests(options: { accessLog?: "auto" | "edge" | "pods"; maxSeries?: number } = {}): {
  readonly labels: Map<number, SourceLabels>;
  add(...requests: readonly Omit<WrittenRequest, "at">[]): void;
  passes(ms: number): void;
  shown(): string[];
  readonly totals: RequestTotals;
} {
  let now = 1_000_000;
  const dictionaries = dictionariesForTests();
  const labels = new Map([[1, labelsForTests()]]);
  const totals = new RequestTotals({
    dictionaries,
    labelsOf: (source) => labels.get(source),
    accessLog: "auto",
    bounds: [0.1, 0.3],
    now: () => now,
    ...options,
  });
  return {
    labels,
    totals,
    add: (...requests) =>
      totals.add(
        batchOf(
          requests.map((one) => ({ at: now, ...one })),
          dictionaries,
        ),
      ),
    passes(ms) {
      now += ms;
    },
    shown: () => totals.read().map(textOf),
  };
}

const textOf = ({ service, release, cluster, classes, times }: RequestTotal): string =>
  `${service} ${release} ${cluster}: ${CLASSES.flatMap((name, at) => {
    const { counts, seconds } = times[at] as Times;
    return classes[at] === 0
      ? []
      : [`${name}=${classes[at]} [${[...counts].join(" ")}] ${Number(seconds.toFixed(3))}`];
  }).join(", ")}`;

test("requests are counted by class and by bound, health checks and lines without a time as they should be", () => {
  const { add, shown } = totalsForTests();
  add(
    { status: 200, ms: 100 },
    { status: 204, ms: 101 },
    { status: 499, ms: 300 },
    { status: 404, ms: 301 },
    { status: 503, ms: NO_TIME },
    { status: 200, agent: "kube-probe/1.34" },
    { status: 101, ms: 1 },
    { status: 0, ms: 1 },
  );
  assert.deepEqual(shown(), [
    "web 1 tokyo: 1xx=1 [1 0 0] 0.001, 2xx=2 [1 1 0] 0.201, 4xx=1 [0 0 1] 0.301, 499=1 [0 1 0] 0.3, 5xx=1 [0 0 0] 0, other=1 [1 0 0] 0.001",
  ]);
});

test("lines of a new pod wait for its release, and at most a minute", () => {
  const { labels, add, passes, shown } = totalsForTests();
  labels.set(2, labelsForTests({ pod: "web-2", release: 0 }));
  labels.set(3, labelsForTests({ pod: "other-1", service: "other-one", release: 0 }));
  add({ source: 2 }, { source: 3 });
  assert.deepEqual(shown(), []);
  labels.set(2, labelsForTests({ pod: "web-2", release: 4 }));
  assert.deepEqual(shown(), ["web 4 tokyo: 2xx=1 [1 0 0] 0.02"]);
  passes(60_000);
  add({ source: 3 });
  assert.deepEqual(shown().slice(1), ["other-one unknown tokyo: 2xx=2 [2 0 0] 0.04"]);
  add({ source: 3 });
  assert.deepEqual(shown().slice(1), ["other-one unknown tokyo: 2xx=3 [3 0 0] 0.06"]);
});

test("of what is in two logs the edge's lines count, unless the configuration says otherwise; imports never", () => {
  for (const [accessLog, expected] of [
    ["auto", ["web 1 tokyo: 2xx=1 [1 0 0] 0.02"]],
    ["edge", ["web 1 tokyo: 2xx=1 [1 0 0] 0.02"]],
    ["pods", ["web 1 tokyo: 2xx=2 [2 0 0] 0.04"]],
  ] as const) {
    const { labels, add, shown } = totalsForTests({ accessLog });
    labels.set(2, labelsForTests({ origin: "edge" }));
    labels.set(3, labelsForTests({ origin: "import" }));
    add({ source: 1 }, { source: 1 }, { source: 2 }, { source: 3 });
    assert.deepEqual(shown(), expected, accessLog);
  }
});

test("series are capped: what is silent for an hour goes, else further ones are counted together", () => {
  const { labels, totals, add, passes, shown } = totalsForTests({ maxSeries: 2 });
  for (let source = 2; source <= 5; source += 1) labels.set(source, labelsForTests({ release: source }));
  add({ source: 1 }, { source: 2 }, { source: 3 }, { source: 4 });
  assert.deepEqual(shown(), [
    "web 1 tokyo: 2xx=1 [1 0 0] 0.02",
    "web 2 tokyo: 2xx=1 [1 0 0] 0.02",
    "other unknown : 2xx=2 [2 0 0] 0.04",
  ]);
  assert.equal(totals.overflow, 2);
  passes(HOUR_MS);
  add({ source: 5 });
  assert.ok(!shown().some((line) => line.startsWith("web 1 ")));
});

test("what is promised is a bound of its own", () => {
  assert.deepEqual(boundsWith([300, 250, 2_000]).slice(5, 11), [0.25, 0.3, 0.5, 1, 2, 2.5]);
});
