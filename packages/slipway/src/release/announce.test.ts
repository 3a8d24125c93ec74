/** The message that follows a release, as text: what people read in Slack, or on the terminal without it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "@slipway/base";
import type { ReleaseMessage } from "../notify/message.ts";
import type { Notifier } from "../notify/notifier.ts";
import { createPrinted, renderMessage } from "../notify/printed.ts";
import { createRecorder } from "../notify/recorder.ts";
import { createAnnouncer, viewAfter } from "./announce.ts";
import { type Cause, makeCause } from "./causes.ts";
import type { ReleaseEvent, ReleaseNews } from "./events.ts";
import type { ReleaseRecord } from "./model.ts";
import { rendered } from "./testing.ts";
import { renderCause, renderEvidence } from "./text.ts";

const cause: Cause = makeCause("ContainerCrash", {
  cluster: "tokyo",
  kubectl: "kubectl --context tokyo",
  object: { namespace: "default", deployment: "web", replicaSet: "web-2", pod: "web-2-x", container: "web" },
  why: "crashed twice: exit code 1",
});

const record: ReleaseRecord = {
  ...rendered("v3"),
  number: 3,
  service: "shop",
  namespace: "default",
  environment: "local",
  kind: "deploy",
  outcome: "rolled-back",
  waves: [["tokyo"], ["osaka"]],
  clusters: {},
  who: "aki",
  from: "cli",
  startedAt: 0,
  held: [],
  evidence: [],
  fence: 1,
  revision: 1,
};

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
│   tokyo: Deployment web, pod web-2-x, container web: crashed twice: exit code 1: cannot find module ./db (ContainerCrash)
│   ✗ tokyo: failed after 2.1 s: ContainerCrash, going back to 2
│   · osaka: waiting
│   environment local · commit v30000000 · by aki (cli) · author Aki`.trim(),
  );
  assert.equal(
    seen.at(-1),
    `
┌ shop: release 3 failed and was rolled back
│   tokyo: Deployment web, pod web-2-x, container web: crashed twice: exit code 1: cannot find module ./db (ContainerCrash)
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

/** Tells the story and lets everything be sent. */
async function tell(notifier: Notifier): Promise<string[]> {
  const clock = new VirtualClock();
  const warnings: string[] = [];
  const announcer = createAnnouncer({ notifier, clock, onWarning: (message) => warnings.push(message) });
  for (const news of story) announcer.onEvent(at(news));
  const settled = announcer.settle();
  await clock.advance(60_000);
  await settled;
  return warnings;
}

test("a release is one message that is edited, with its evidence in the thread", async () => {
  const recorder = createRecorder();
  assert.deepEqual(await tell(recorder), []);
  assert.equal(recorder.recorded.filter((one) => one.kind === "post").length, 1);
  const replies = recorder.recorded.filter((one) => one.kind === "reply");
  assert.deepEqual(
    replies.map((one) => one.kind === "reply" && one.detail.title),
    ["Why tokyo failed: ContainerCrash"],
  );
  const states = recorder.recorded.flatMap((one) => (one.kind === "reply" ? [] : [one.message.state]));
  assert.equal(states.at(-1), "rolled-back");
});

test("a notifier that fails is a warning and nothing else", async () => {
  const refuse = async (): Promise<never> => {
    throw new Error("channel_not_found");
  };
  const warnings = await tell({ name: "slack #x", post: refuse, update: refuse, reply: refuse });
  assert.ok(warnings.length > 0);
  assert.equal(warnings[0], "slack #x: channel_not_found");
});

test("a notifier that hangs does not keep a release from ending", async () => {
  const hang = (): Promise<never> => new Promise(() => undefined);
  const warnings = await tell({ name: "slack #x", post: hang, update: hang, reply: hang });
  assert.deepEqual(warnings, ["slack #x: the last message was not sent in time"]);
});

test("the printed notifier writes the first message and the last, not each edit", async () => {
  const written: string[] = [];
  const clock = new VirtualClock();
  const announcer = createAnnouncer({
    notifier: createPrinted((text) => written.push(text)),
    clock,
    onWarning: (message) => assert.fail(message),
  });
  for (const news of story) {
    announcer.onEvent(at(news));
    await clock.advance(5_000);
  }
  assert.deepEqual(
    written.map((text) => text.split("\n")[0]),
    [
      "┌ shop: release 3, shipping v30000000",
      "    ┌ Why tokyo failed: ContainerCrash",
      "┌ shop: release 3 failed and was rolled back",
    ],
  );
});
