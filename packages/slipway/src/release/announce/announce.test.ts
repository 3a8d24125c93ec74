/** The message that follows a release, as text: what people read in Slack, or on the terminal without it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReleaseMessage } from "../../notify/message.ts";
import { createPrinted, renderMessage } from "../../notify/printed.ts";
import { createRecorder } from "../../notify/recorder.ts";
import type { ReleaseEvent, ReleaseNews } from "../events.ts";
import { type Cause, makeCause } from "../judge/causes.ts";
import type { ReleaseRecord } from "../model.ts";
import { recordOf, rendered } from "../testing.ts";
import { renderCause, renderEvidence } from "../text.ts";
import { createAnnouncer } from "./announce.ts";
import { actionsOf, messageOf } from "./message.ts";
import { viewAfter } from "./view.ts";

const cause: Cause = makeCause("ContainerCrash", {
  cluster: "tokyo",
  kubectl: "kubectl --context tokyo",
  object: { namespace: "default", deployment: "web", replicaSet: "web-2", pod: "web-2-x", container: "web" },
  why: "crashed twice: exit code 1",
});

const record: ReleaseRecord = recordOf(3, {
  ...rendered("v3"),
  environment: "local",
  outcome: "rolled-back",
  waves: [["tokyo"], ["osaka"]],
  clusters: {
    tokyo: {
      verdict: "failed",
      step: "done",
      runs: 2,
      startedAt: 0,
      finishedAt: 2100,
      cause,
      restored: { to: 2, ok: true },
    },
    osaka: { verdict: "not-started", step: "pending" },
  },
  from: "cli",
  startedAt: 0,
});

const started: ReleaseNews = {
  type: "started",
  number: 3,
  kind: "deploy",
  service: "shop",
  environment: "local",
  version: record.version,
  images: [],
  waves: record.waves,
  who: "aki",
  from: "cli",
  restores: undefined,
  leaves: undefined,
};

const evidence = {
  cluster: "tokyo",
  cause: { ...cause, said: "cannot find module ./db" },
  takenAt: 0,
  events: [
    { reason: "BackOff", type: "Warning", count: 4, message: "Back-off restarting", about: "Pod web-2-x" },
  ],
  exit: { exitCode: 1, reason: "Error" },
  log: { container: "web", previous: true, head: [], omittedLines: 0, tail: ["cannot find module ./db"] },
  gaps: [],
};

const story: readonly ReleaseNews[] = [
  started,
  {
    type: "progress",
    cluster: "tokyo",
    progress: { old: 2, new: 1, ready: 0, total: 2, serving: 2, waitingFor: [] },
  },
  {
    type: "verdict",
    cluster: "tokyo",
    verdict: "failed",
    cause,
    reason: cause.why,
    durationMs: 2100,
  },
  { type: "evidence", cluster: "tokyo", evidence },
  { type: "rolling-back", clusters: ["tokyo"], to: 2 },
  { type: "rolled-back", cluster: "tokyo", to: 2, ok: true, reason: undefined },
  { type: "finished", outcome: "rolled-back", record, durationMs: 6400 },
];

const at = (news: ReleaseNews): ReleaseEvent => ({ ...news, at: 0 }) as ReleaseEvent;

test("the message of a failed release has the cause on top and says where each cluster is", () => {
  let view: ReleaseMessage | undefined;
  const seen = story.map((news) => {
    view = viewAfter(view, at(news));
    return view === undefined ? "" : renderMessage(view);
  });
  assert.equal(
    seen[1],
    `
┌ shop: release 3, shipping v30000000
│   … tokyo: 0/2 new pods ready, 2 old
│   · osaka: waiting
│   environment local · commit v30000000 · by aki (cli) · author Aki`.trim(),
  );
  assert.equal(
    seen[4],
    `
┌ shop: release 3, shipping v30000000
│   tokyo: Deployment web, pod web-2-x, container web: crashed twice: exit code 1; it said "cannot find module ./db" (ContainerCrash)
│   ✗ tokyo: failed after 2.1 s: ContainerCrash, going back to 2
│   · osaka: waiting
│   environment local · commit v30000000 · by aki (cli) · author Aki`.trim(),
  );
  assert.equal(
    seen.at(-1),
    `
┌ shop: release 3 failed and was rolled back
│   tokyo: Deployment web, pod web-2-x, container web: crashed twice: exit code 1; it said "cannot find module ./db" (ContainerCrash)
│   ↩ tokyo: back at release 2
│   · osaka: not started
│   environment local · commit v30000000 · by aki (cli) · author Aki · took 6.4 s`.trim(),
  );
});

test("a cause is four lines: where, why, what to do, what to look at", () => {
  assert.equal(
    renderCause(cause),
    `
  ContainerCrash in tokyo: Deployment web, pod web-2-x, container web
    why:  crashed twice: exit code 1
    do:   Read the log below, correct the program, ship again.
    look: kubectl --context tokyo -n default logs web-2-x -c web --previous`.slice(1),
  );
});

test("evidence is the end, the events with their counts, and the dead container's log", () => {
  assert.equal(
    renderEvidence(evidence),
    `
  evidence from tokyo:
    ended: exit code 1
    x4  BackOff  Back-off restarting
    log of container web before its restart:
    | cannot find module ./db`.slice(1),
  );
});

test("where there is no evidence, or a log without a line, that is said", () => {
  const { exit: _exit, log, ...rest } = { ...evidence, events: [] };
  assert.equal(
    renderEvidence(rest),
    "  evidence from tokyo:\n    none: there is no event and no log about it",
  );
  assert.equal(
    renderEvidence({ ...rest, log: { ...log, tail: [] } }),
    "  evidence from tokyo:\n    log of container web before its restart: not a line",
  );
});

test("while a wave bakes its clusters say so, until a pod is not well", () => {
  const progress = { old: 0, new: 2, ready: 2, total: 2, serving: 2, waitingFor: [] };
  const lines = (news: readonly ReleaseNews[]): readonly string[] =>
    (
      news.reduce<ReleaseMessage | undefined>((view, one) => viewAfter(view, at(one)), undefined)?.clusters ??
      []
    ).map(({ mark, text }) => `${mark}: ${text}`);
  const baking: readonly ReleaseNews[] = [
    started,
    { type: "progress", cluster: "tokyo", progress },
    { type: "baking", wave: 0, bakeMs: 60_000 },
    { type: "progress", cluster: "tokyo", progress },
  ];
  assert.deepEqual(lines(baking), ["baking: must stay healthy for 1 min 00 s", "waiting: waiting"]);
  const worse: ReleaseNews = { type: "progress", cluster: "tokyo", progress: { ...progress, ready: 1 } };
  assert.equal(lines([...baking, worse])[0], "baking: 1/2 new pods ready");
});

test("a release is one message that is shown anew, with its evidence below it and its author named there", async () => {
  const recorder = createRecorder();
  const announcer = createAnnouncer({ notifier: recorder });
  for (const news of story) announcer.onEvent(at(news));
  await announcer.settle();
  assert.ok(recorder.recorded.every(({ id }) => id === "shop/local/3"));
  const details = recorder.recorded.filter((one) => one.kind === "add");
  assert.deepEqual(
    details.map(({ key, detail }) => [key, detail.title, detail.author?.name]),
    [["why-tokyo", "Why tokyo failed: ContainerCrash", "Aki"]],
  );
  const shown = recorder.recorded.flatMap((one) => (one.kind === "show" ? [one.message] : []));
  assert.equal(shown.at(-1)?.state, "rolled-back");
});

test("the duration is told beside the usual one, once the history has been read", async () => {
  const recorder = createRecorder();
  const old = { ...record, number: 2, outcome: "healthy" as const, startedAt: 0, finishedAt: 160_000 };
  const announcer = createAnnouncer({ notifier: recorder, past: Promise.resolve([old]) });
  await Promise.resolve();
  for (const news of story) announcer.onEvent(at(news));
  const last = recorder.recorded.at(-1);
  assert.ok(last?.kind === "show");
  assert.deepEqual(last.message.facts.at(-1), { label: "took", value: "6.4 s, the last one: 2 min 40 s" });
});

test("the message made from the record alone is the one that was told while it ran", () => {
  const told = story.reduce<ReleaseMessage | undefined>((view, news) => viewAfter(view, at(news)), undefined);
  const stored: ReleaseRecord = { ...record, finishedAt: 6400, evidence: [evidence] };
  assert.deepEqual(messageOf(stored, []), told);
});

const good = (number: number, changes: Partial<ReleaseRecord> = {}): ReleaseRecord => ({
  ...record,
  ...rendered(`v${number}`),
  number,
  outcome: "healthy",
  clusters: {
    tokyo: { verdict: "healthy", step: "done", runs: number },
    osaka: { verdict: "healthy", step: "done", runs: number },
  },
  ...changes,
});
const cutOff: ReleaseRecord = good(3, {
  outcome: "interrupted",
  clusters: {
    tokyo: { verdict: "healthy", step: "done", runs: 3 },
    osaka: { verdict: "not-started", step: "pending" },
  },
});

const buttons: readonly (readonly [
  name: string,
  record: ReleaseRecord,
  records: readonly ReleaseRecord[],
  newest: number | undefined,
  actions: readonly string[],
])[] = [
  ["the first release: nothing to go back to", good(1), [], undefined, ["hold"]],
  ["the newest of two", good(2), [good(1)], undefined, ["roll-back to 1", "hold"]],
  ["an older one", good(2), [good(1), good(3)], undefined, []],
  ["one that is newest on record while a newer one begins", good(2), [good(1)], 3, []],
  [
    "failed and rolled back already",
    { ...record, held: [record.content] },
    [good(1), good(2)],
    undefined,
    [],
  ],
  ["cut off, and in one cluster", cutOff, [good(2), good(1)], undefined, ["roll-back to 2", "hold"]],
  ["held already", good(2, { held: [rendered("v2").content] }), [good(1)], undefined, ["roll-back to 1"]],
  ["a rollback", good(3, { kind: "rollback", leaves: 2, restores: 1 }), [good(2), good(1)], undefined, []],
  ["still running", good(2, { outcome: "in-progress" }), [good(1)], undefined, []],
];
for (const [name, one, records, newest, actions] of buttons) {
  test(`buttons: ${name}`, () => {
    const found = actionsOf(one, records, newest);
    assert.deepEqual(
      found.map((action) => (action.kind === "roll-back" ? `roll-back to ${action.to}` : action.kind)),
      actions,
    );
  });
}

test("the printed notifier writes the first message and the last, not each edit", () => {
  const written: string[] = [];
  const announcer = createAnnouncer({ notifier: createPrinted((text) => written.push(text)) });
  for (const news of story) announcer.onEvent(at(news));
  assert.deepEqual(
    written.map((text) => text.split("\n")[0]),
    [
      "┌ shop: release 3, shipping v30000000",
      "    ┌ Why tokyo failed: ContainerCrash",
      "┌ shop: release 3 failed and was rolled back",
    ],
  );
});
