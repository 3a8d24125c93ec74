/** Watching as a whole: what is kept, what is told, and what a restart makes of it. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { VirtualClock } from "@slipway/base";
import { countsForTests, labelsForTests } from "../counts/testing.ts";
import type { Signal } from "./alert.ts";
import { receiveAlerts } from "./alertmanager.ts";
import { type Alerts, createAlerts, type Teller } from "./alerts.ts";
import { type AlertStore, createAlertFile } from "./kept.ts";
import type { Story } from "./story.ts";
import { rulesForTests, T0 } from "./testing.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-alerts-"));
});
afterEach(() => rm(folder, { recursive: true }));

interface Recorder extends Teller {
  readonly shown: { readonly id: string; readonly story: Story; readonly at: number }[];
  readonly added: { readonly id: string; readonly key: string; readonly title: string }[];
  problem: string | undefined;
}

function recorder(clock: VirtualClock, edits = true): Recorder {
  const shown: Recorder["shown"] = [];
  const added: Recorder["added"] = [];
  return {
    name: "slack #deploys",
    edits,
    shown,
    added,
    problem: undefined,
    show: (id, story) => {
      const last = shown.filter((one) => one.id === id).at(-1);
      // As the outbox: the same is no edit.
      if (JSON.stringify(last?.story) !== JSON.stringify(story))
        shown.push({ id, story, at: clock.now() - T0 });
    },
    add: (id, key, title) => {
      if (!added.some((one) => one.id === id && one.key === key)) added.push({ id, key, title });
    },
    async delivery(id) {
      const isThere = shown.some((one) => one.id === id);
      return { delivered: isThere && this.problem === undefined, problem: this.problem };
    },
  };
}

async function watching(edits = true, store: AlertStore = createAlertFile(join(folder, "alerts.json"))) {
  const clock = new VirtualClock(T0);
  const teller = recorder(clock, edits);
  const { counts, add } = countsForTests();
  const problems: unknown[] = [];
  const start = (): Promise<Alerts> =>
    createAlerts({
      service: "shop",
      counts,
      rules: rulesForTests(),
      store,
      teller,
      releases: (release) => ({
        startedAt: T0 - 240_000,
        rollbackTo: release === 1 ? undefined : release - 1,
      }),
      clock,
      onProblem: (error) => problems.push(error),
    });
  for (const source of [2, 3]) counts.label(source, labelsForTests({ release: source }), T0);
  const alerts = await start();
  return {
    ...{ clock, teller, counts, problems, alerts, start },
    /** A day of 10 requests/s that were well. */
    past(): void {
      const key = {
        cluster: "tokyo",
        service: "web",
        release: 1,
        origin: "pod",
        class: "2xx",
        bucket: 35,
      } as const;
      const minutes = Array.from({ length: 1440 }, (_, index) => T0 - (index + 1) * 60_000);
      counts.restore(minutes.map((minuteMs) => ({ ...key, minuteMs, count: 600 })));
    },
    /** Requests of now, and a decision. */
    async come(status: number, times = 1, source = 2): Promise<void> {
      add(
        Array.from({ length: times }, () => ({ at: clock.now(), status, source, path: "/pay" })),
        clock.now(),
      );
      await alerts.evaluate();
    },
  };
}

const row = (key: string): Signal => ({
  rule: "stock",
  key,
  severity: "ticket",
  service: "",
  cluster: "",
  release: undefined,
  title: `stock: ${key}`,
  facts: [],
});

test("an incident says its release and since when, a line, and where a rollback would go", async () => {
  const { teller, come, alerts } = await watching();
  await come(502);
  const story = teller.shown[0]?.story;
  assert.deepEqual(
    { ...story, facts: story?.facts.map(({ name, value }) => `${name}: ${value}`) },
    {
      state: "firing",
      severity: "info",
      title: "web: first 5xx of release 2",
      since: "since release 2, 4 min ago at 2026-05-01 12:00 UTC",
      facts: ["5xx: 1 of 1 request in 5 min", "top route: /pay (1)", "cluster: tokyo (1)"],
      samples: ["12:00:17 GET /pay → 502 in 20 ms (tokyo, web-1)"],
      rollback: { leaves: 2, to: 1 },
    },
  );
  assert.equal(alerts.standing().alerts[0]?.rollbackTo, 1);
});

test("a release that becomes known after its first failure is named in the same incident", async () => {
  const { teller, come, alerts, counts, clock } = await watching();
  counts.label(9, labelsForTests({ pod: "web-9", release: 0 }), clock.now());
  await come(500, 1, 9);
  assert.equal(teller.shown[0]?.story.title, "web: first 5xx of a release that is not known");
  assert.equal(teller.shown[0]?.story.rollback, undefined);
  counts.relabel(9, 3, "abc");
  await clock.advance(31_000);
  await come(500, 1, 9);
  assert.deepEqual(
    alerts.standing().alerts.map(({ title, release }) => ({ title, release })),
    [{ title: "web: first 5xx of release 3", release: 3 }],
  );
  assert.equal(new Set(teller.shown.map(({ id }) => id)).size, 1);
  assert.deepEqual(teller.shown.at(-1)?.story.rollback, { leaves: 3, to: 2 });
});

test("10,000 failures in a minute: one message, shown anew at most every 30 s, and its end", async () => {
  const { teller, come, clock, past } = await watching();
  past();
  for (let tick = 0; tick < 100; tick += 1) {
    await come(500, 100);
    await clock.advance(600);
  }
  assert.equal(new Set(teller.shown.map(({ id }) => id)).size, 1);
  // What is graver is said at once; the outbox paces its edit as well.
  const refreshed = teller.shown.filter(({ story }, index) => index > 0 && story.severity === "page");
  assert.ok(teller.shown.length <= 5, `${teller.shown.length} times in 60 s`);
  assert.ok(refreshed.length > 0);
  assert.deepEqual(
    teller.added.map(({ title }) => title.replace(/[\d.]+ %/, "…")),
    ["now a page: web: … of requests fail (5xx)"],
  );
  await clock.advance(400_000);
  await come(200, 3_000);
  assert.equal(teller.shown.at(-1)?.story.state, "resolved");
});

test("killed at any moment: what was told is known after the start, and told as it stands", async () => {
  const first = await watching();
  await first.come(502);
  const told = first.teller.shown.length;
  const again = await first.start();
  assert.equal(first.teller.shown.length, told, "the same is told, which changes nothing");
  await again.evaluate();
  assert.equal(new Set(first.teller.shown.map(({ id }) => id)).size, 1);
  await first.clock.advance(6 * 60_000);
  await again.evaluate();
  assert.equal(first.teller.shown.at(-1)?.story.state, "resolved");
  // And a third one does not tell it again.
  const count = first.teller.shown.length;
  await (await first.start()).evaluate();
  assert.equal(first.teller.shown.length, count);
});

test("killed between writing and telling: it is told after the start", async () => {
  const file = createAlertFile(join(folder, "alerts.json"));
  const killed: AlertStore = {
    read: () => file.read(),
    // What came after this write never happened.
    write: async (kept) => {
      await file.write(kept);
      await new Promise(() => undefined);
    },
  };
  const first = await watching(true, killed);
  void first.come(502);
  while ((await file.read()).memory.alerts.length === 0)
    await new Promise((resolve) => setImmediate(resolve));
  assert.equal(first.teller.shown.length, 0);
  const second = await watching();
  assert.deepEqual(
    second.teller.shown.map(({ story }) => story.title),
    ["web: first 5xx of release 2"],
  );
});

test("who deletes the folder has deleted what is remembered: nothing of it is made again", async () => {
  const own = join(folder, "observe");
  const file = createAlertFile(join(own, "alerts.json"));
  const kept = await file.read();
  await file.write(kept);
  assert.deepEqual(await readdir(own), ["alerts.json"]);
  await rm(own, { recursive: true });
  await file.write(kept);
  assert.deepEqual(await readdir(folder), []);
});

test("a disk that is full keeps nobody from hearing of it", async () => {
  const full: AlertStore = {
    read: createAlertFile(join(folder, "none.json")).read,
    write: () => Promise.reject(new Error("ENOSPC")),
  };
  const { come, teller, problems } = await watching(true, full);
  await come(500);
  assert.equal(teller.shown.length, 1);
  assert.match(String(problems[0]), /ENOSPC/);
});

test("many at once: five messages of their own, and one for all the others until they are over", async () => {
  const { alerts, teller, clock } = await watching();
  await alerts.report(
    "query/stock",
    Array.from({ length: 12 }, (_, index) => row(`r${index}`)),
  );
  const ids = [...new Set(teller.shown.map(({ id }) => id))];
  assert.equal(ids.length, 6);
  const digest = (): Story | undefined =>
    teller.shown.filter(({ id }) => id.startsWith("digest-")).at(-1)?.story;
  assert.equal(digest()?.title, "7 further alerts");
  assert.equal(digest()?.facts.length, 7);
  await clock.advance(60_000);
  await alerts.report("query/stock", []);
  assert.equal(digest()?.state, "resolved");
  assert.equal(digest()?.title, "7 further alerts are over");
});

test("two sources that say the same are two incidents", async () => {
  const { alerts } = await watching();
  await alerts.report("query a failed", [row("")]);
  await alerts.report("query b failed", [row("")]);
  await alerts.report("query a failed", []);
  assert.deepEqual(
    alerts.standing().alerts.map(({ state }) => state),
    ["firing", "resolved"],
  );
});

test("muted: an incident that is told says so, one that is not is not told until the mute ends", async () => {
  const { alerts, teller, come, clock } = await watching();
  await come(500);
  const [incident] = alerts.standing().alerts;
  await alerts.mute(incident?.id ?? "", 3_600_000, "known, being repaired", "aki");
  assert.equal(teller.shown.at(-1)?.story.state, "muted");
  assert.match(JSON.stringify(teller.shown.at(-1)?.story.facts), /13:00 UTC by aki: known, being repaired/);
  assert.equal(alerts.standing().alerts[0]?.mute?.who, "aki");
  await assert.rejects(alerts.mute("stock", 600_000, "sale", "aki"), { code: "ALERT_UNKNOWN" });
  await alerts.report("query/stock", [row("rice")]);
  await alerts.report("query/stock", []);
  await alerts.mute("stock", 600_000, "sale", "aki");
  await alerts.report("query/stock", [row("pasta")]);
  assert.equal(
    teller.shown.some(({ story }) => story.title === "stock: pasta"),
    false,
  );
  await clock.advance(601_000);
  await alerts.evaluate();
  assert.equal(teller.shown.at(-1)?.story.title, "stock: pasta");
  // Ended by hand.
  await alerts.mute("stock", 600_000, "sale", "aki");
  await alerts.mute("stock", 0, "", "aki");
  assert.equal(teller.shown.at(-1)?.story.state, "firing");
  await assert.rejects(alerts.mute("nonsense", 1, "", "aki"), { code: "ALERT_UNKNOWN" });
});

test("a webhook cannot edit: the beginning, what is graver, and the end are messages", async () => {
  const { teller, come, clock, past } = await watching(false);
  past();
  for (let second = 0; second < 61; second += 1) {
    await come(500, 10);
    await clock.advance(1_000);
  }
  await clock.advance(6 * 60_000);
  await come(200, 20);
  assert.deepEqual(
    teller.added.map(({ title }) => title.replace(/[\d.]+ %/, "…")),
    ["now a page: web: … of requests fail (5xx)", "resolved: web: … of requests fail (5xx)"],
  );
});

test("a test is an incident that is none, and says how it went", async () => {
  const { alerts, teller, clock } = await watching();
  assert.deepEqual(await alerts.test(), { delivered: true, text: "slack #deploys: it arrived" });
  assert.deepEqual(
    teller.shown.map(({ story }) => story.state),
    ["firing", "resolved"],
  );
  teller.problem = "channel_not_found";
  const refused = alerts.test(1_000);
  await clock.advance(1_100);
  assert.deepEqual(await refused, {
    delivered: false,
    text: "slack #deploys: not delivered: channel_not_found. It is tried again.",
  });
  assert.deepEqual(alerts.standing().alerts, []);
});

const group = (status: "firing" | "resolved", firing: readonly string[], all = firing): unknown => ({
  receiver: "slipway",
  status,
  version: "4",
  groupKey: '{}:{alertname="PodMemory", service="web"}',
  truncatedAlerts: 0,
  groupLabels: { alertname: "PodMemory", service: "web" },
  commonLabels: { alertname: "PodMemory", service: "web", severity: "critical", release: "2" },
  commonAnnotations: { summary: "memory is nearly full" },
  externalURL: "http://alertmanager:9093",
  alerts: all.map((pod) => ({
    status: firing.includes(pod) ? "firing" : "resolved",
    labels: { alertname: "PodMemory", service: "web", severity: "critical", release: "2", pod },
    annotations: { description: `${pod} uses 97 %` },
    startsAt: "2026-05-01T12:00:00Z",
    endsAt: "0001-01-01T00:00:00Z",
    generatorURL: "",
    fingerprint: pod,
  })),
});

test("Alertmanager's groups are incidents, with the alerts that fire as facts, and end with the group", async () => {
  const { alerts, teller, clock } = await watching();
  const send = (body: unknown, authorization: string | undefined = "Bearer secret") =>
    receiveAlerts(alerts, { authorization, body }, "secret", clock.now());
  assert.equal((await send(group("firing", ["web-1", "web-2"]), "Bearer wrong")).status, 401);
  assert.equal((await send({ version: "3" })).status, 400);
  assert.match((await send({ ...(group("firing", ["a"]) as object), alerts: "x" })).text, /alerts/);
  assert.equal(alerts.standing().alerts.length, 0);
  assert.deepEqual(await send(group("firing", ["web-1", "web-2"])), { status: 200, text: "" });
  await send(group("firing", ["web-1", "web-2"]));
  const [story] = teller.shown.map((one) => one.story);
  assert.deepEqual(
    [
      story?.title,
      story?.severity,
      story?.rollback,
      story?.facts.map(({ name, value }) => `${name}: ${value}`),
    ],
    [
      "web: memory is nearly full",
      "page",
      { leaves: 2, to: 1 },
      ["pod=web-1: web-1 uses 97 %", "pod=web-2: web-2 uses 97 %"],
    ],
  );
  await clock.advance(31_000);
  await send(group("firing", ["web-2"], ["web-1", "web-2"]));
  assert.equal(teller.shown.at(-1)?.story.facts.length, 1);
  await send(group("resolved", [], ["web-1", "web-2"]));
  assert.equal(teller.shown.at(-1)?.story.state, "resolved");
  assert.equal(new Set(teller.shown.map(({ id }) => id)).size, 1);
});

test("a group with a critical alert and a warning calls somebody", async () => {
  const { alerts, clock } = await watching();
  const { commonLabels, ...mixed } = group("firing", ["web-1", "web-2"]) as {
    readonly commonLabels: Record<string, string>;
    readonly alerts: readonly { readonly labels: Record<string, string> }[];
  };
  const { severity: _, ...common } = commonLabels;
  const [critical, other] = mixed.alerts;
  const warning = { ...other, labels: { ...other?.labels, severity: "warning" } };
  const send = (all: readonly unknown[]) => {
    const body = { ...mixed, commonLabels: common, alerts: all };
    return receiveAlerts(alerts, { authorization: "Bearer s", body }, "s", clock.now());
  };
  assert.equal((await send([warning, critical])).status, 200);
  assert.equal(alerts.standing().alerts[0]?.severity, "page");
});

test("what Alertmanager never ends is over after a day", async () => {
  const { alerts, clock } = await watching();
  await receiveAlerts(
    alerts,
    { authorization: "Bearer s", body: group("firing", ["web-1"]) },
    "s",
    clock.now(),
  );
  assert.equal(alerts.standing().alerts[0]?.state, "firing");
  await clock.advance(25 * 3_600_000);
  await alerts.evaluate();
  assert.equal(alerts.standing().alerts[0]?.state, "resolved");
});
