/** The moving lines, as golden text: events in, lines out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Progress, ReleaseEvent, ReleaseNews, WorkloadProgress } from "../release/events.ts";
import { makeCause } from "../release/judge/causes.ts";
import { after, NO_RELEASE, progressLines } from "./release-progress.ts";
import { cut, widthOf } from "./width.ts";

const starting = makeCause("ContainerStarting", {
  cluster: "tokyo",
  kubectl: "kubectl",
  object: { namespace: "default" },
  why: "the pod is starting",
});

const workload = (name: string, changes: Partial<WorkloadProgress> = {}): WorkloadProgress => ({
  ...{ kind: "Deployment", namespace: "default", name },
  ...{ old: 0, new: 10, ready: 10, total: 10, serving: 10, waitingFor: [], budgetEndsAt: undefined },
  ...changes,
});

function progress(cluster: string, ...workloads: readonly WorkloadProgress[]): ReleaseNews {
  const sum = (key: "old" | "new" | "ready" | "total" | "serving"): number =>
    workloads.reduce((total, one) => total + one[key], 0);
  const all: Progress = {
    ...{
      old: sum("old"),
      new: sum("new"),
      ready: sum("ready"),
      total: sum("total"),
      serving: sum("serving"),
    },
    waitingFor: workloads.flatMap(({ waitingFor }) => waitingFor),
    workloads,
  };
  return { type: "progress", cluster, progress: all };
}

function lines(events: readonly ReleaseNews[], now = 0, columns = 100): readonly string[] {
  const end = events.reduce((before, news) => after(before, { ...news, at: 0 } as ReleaseEvent), NO_RELEASE);
  return progressLines(end, now, columns);
}

const wave: ReleaseNews = { type: "wave-started", wave: 0, waves: 2, clusters: ["tokyo", "osaka"] };

test("every Deployment of every cluster has a line: pods, what is waited for, and for how long yet", () => {
  const waiting = { ready: 4, old: 6, waitingFor: [starting], budgetEndsAt: 72_000 };
  assert.deepEqual(lines([wave, progress("tokyo", workload("web", waiting), workload("catalog"))], 1_500), [
    "  tokyo  web      ████░░░░░░ 4/10 ready, 6 old  waiting, 1 min 11 s left: the pod is starting",
    "         catalog  ██████████ 10/10 ready  ok",
    "  osaka           applying",
  ]);
});

test("a bake and a gate count down", () => {
  const ok = [wave, progress("tokyo", workload("web")), progress("osaka", workload("web"))];
  assert.deepEqual(lines([...ok, { type: "baking", wave: 0, bakeMs: 60_000 }], 19_001), [
    "  tokyo  web  ██████████ 10/10 ready  ok, must stay so: 41 s left",
    "  osaka  web  ██████████ 10/10 ready  ok, must stay so: 41 s left",
  ]);
  const gate: ReleaseNews[] = [
    { type: "gate-started", wave: 0, gate: "health", kind: "http", timeoutMs: 60_000 },
    { type: "gate-waiting", wave: 0, gate: "health", said: "answered 503, not 200" },
  ];
  assert.equal(lines([...ok, ...gate], 8_000).at(-1), "  gate health, 52 s left: answered 503, not 200");
});

test("a cluster with its verdict is not shown, unless it waits for something again", () => {
  const verdict: ReleaseNews = {
    ...{ type: "verdict", cluster: "tokyo", verdict: "healthy" },
    ...{ cause: undefined, reason: undefined, durationMs: 5 },
  };
  const done = [wave, progress("tokyo", workload("web")), verdict];
  assert.equal(lines([...done, progress("tokyo", workload("web"))]).length, 1);
  const again = progress("tokyo", workload("web", { ready: 9, waitingFor: [starting] }));
  assert.match(lines([...done, again]).join("\n"), /tokyo {2}web {2}█████████░ 9\/10 ready {2}waiting/);
});

test("no line is wider than the terminal, whatever it says and whatever the terminal", () => {
  const wide = makeCause("ContainerStarting", {
    ...{ cluster: "tokyo", kubectl: "kubectl", object: { namespace: "default" } },
    why: "設定ファイルが見つかりません\nsecond line 🚀 \x1b[31mred",
  });
  for (const columns of [1, 5, 20, 40, 80, 200]) {
    const shown = lines(
      [wave, progress("tokyo", workload("web", { ready: 1, waitingFor: [wide] }))],
      0,
      columns,
    );
    for (const line of shown) {
      assert.ok(widthOf(line) <= Math.max(columns - 1, 0), `${columns}: ${line}`);
      assert.ok(!/[\n\x1b]/.test(line), JSON.stringify(line));
    }
  }
});

test("twenty clusters are folded to what a terminal shows", () => {
  const clusters = Array.from({ length: 20 }, (_, index) => `cluster-${index}`);
  const shown = lines([{ type: "wave-started", wave: 0, waves: 1, clusters }]);
  assert.equal(shown.length, 12);
  assert.equal(shown.at(-1), "  … 9 more");
});

test("wide letters count twice, marks not at all", () => {
  assert.equal(widthOf("東京"), 4);
  assert.equal(widthOf("e\u0301"), 1);
  assert.equal(widthOf("🚀"), 2);
  assert.equal(cut("東京都", 5), "東京…");
  assert.equal(cut("東京都", 4), "東…");
});
