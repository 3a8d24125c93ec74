/** Going on with a release that was cut off: the decision as tables, and the whole over two clusters in this process. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import type { Deployment } from "@slipway/kube";
import type { ReleaseEvent } from "./events.ts";
import type { Evidence } from "./evidence/evidence.ts";
import { freeze } from "./lock/freeze.ts";
import type { ClusterRecord, ReleaseContext, ReleaseRecord, RenderedRelease } from "./model.ts";
import { deploy, history, resume, rollback, status } from "./release.ts";
import { resumable, resumeFrom } from "./resume.ts";
import { behaviours, contextOf, dyingContext, recordEvents, rendered, targetsOf } from "./testing.ts";

const NOW = 100 * 60_000;
const healthy: ClusterRecord = { verdict: "healthy", step: "done", runs: 2, startedAt: 1, finishedAt: 2 };
const judging: ClusterRecord = { verdict: "unknown", step: "judging", runs: 2, startedAt: 1 };
const untouched: ClusterRecord = { verdict: "not-started", step: "pending" };
const cause = { code: "ContainerCrash" } as unknown as NonNullable<ClusterRecord["cause"]>;
const failedAt = (finishedAt: number, changes: Partial<ClusterRecord> = {}): ClusterRecord => ({
  verdict: "failed",
  step: "done",
  runs: 2,
  startedAt: 1,
  finishedAt,
  cause,
  ...changes,
});

function record(
  clusters: Record<string, ClusterRecord>,
  changes: Partial<ReleaseRecord> = {},
): ReleaseRecord {
  const names = Object.keys(clusters);
  const base = { number: 2, kind: "deploy", outcome: "interrupted", startedAt: 0, evidence: [], held: [] };
  return {
    ...rendered("v2"),
    ...base,
    waves: names.map((name) => [name]),
    clusters,
    ...changes,
  } as ReleaseRecord;
}

const evidence = [{ cluster: "osaka" }] as unknown as readonly Evidence[];

const cases: readonly [
  what: string,
  record: ReleaseRecord,
  expected: Record<string, readonly [forward: string, restore: string]>,
  baked: readonly string[],
][] = [
  [
    "what was healthy is judged again without another bake, what was cut off from the start",
    record({ osaka: healthy, tokyo: judging, kyoto: untouched }),
    { osaka: ["pending", "none"], tokyo: ["pending", "none"], kyoto: ["pending", "none"] },
    ["osaka"],
  ],
  [
    "a fresh failure goes on to its rollback, with evidence when that is missing",
    record({ osaka: healthy, tokyo: failedAt(NOW - 60_000) }),
    { osaka: ["healthy", "none"], tokyo: ["failed missing", "none"] },
    [],
  ],
  [
    "evidence that was stored is not taken again",
    record({ osaka: failedAt(NOW - 60_000), tokyo: untouched }, { evidence }),
    { osaka: ["failed taken", "none"], tokyo: ["pending", "none"] },
    [],
  ],
  [
    "a failure older than 20 min is no reason to go back by itself: judged again",
    record({ osaka: failedAt(NOW - 21 * 60_000), tokyo: untouched }, { evidence }),
    { osaka: ["pending", "none"], tokyo: ["pending", "none"] },
    [],
  ],
  [
    "a rollback that had begun goes on, however old the failure: what is back stays back",
    record(
      {
        osaka: failedAt(0, { restored: { to: 1, ok: true }, runs: 1 }),
        tokyo: { ...judging, step: "restoring" },
        kyoto: untouched,
      },
      { evidence },
    ),
    { osaka: ["failed taken", "ok"], tokyo: ["unknown", "none"], kyoto: ["pending", "none"] },
    [],
  ],
  [
    "going back that could not be done is tried again",
    record({ osaka: failedAt(0, { restored: { to: 1, ok: false, reason: "away" } }) }, { evidence }),
    { osaka: ["failed taken", "none"] },
    [],
  ],
  [
    "a rollback by hand goes on forward and never goes back",
    record({ osaka: failedAt(NOW), tokyo: judging }, { kind: "rollback", restores: 1, leaves: 1 }),
    { osaka: ["pending", "none"], tokyo: ["pending", "none"] },
    [],
  ],
];
for (const [what, cutOff, expected, baked] of cases) {
  test(what, () => {
    const resumed = resumeFrom(cutOff, NOW);
    const found = Object.entries(resumed.clusters).map(([name, { forward, restore }]) => {
      const step = forward.step === "failed" ? `failed ${forward.evidence}` : forward.step;
      return [name, [step, restore.step]];
    });
    assert.deepEqual(Object.fromEntries(found), expected);
    assert.deepEqual([...resumed.baked], baked);
  });
}

test("clusters that were away when it began are let in like late ones: nobody has planned them", () => {
  const away: ClusterRecord = { verdict: "unknown", step: "pending", reason: "refused" };
  const unfit: ClusterRecord = { verdict: "not-started", step: "done", reason: "needs a Secret" };
  const cutOff = record({ osaka: healthy, tokyo: untouched, kyoto: away, nara: unfit, ise: judging });
  assert.deepEqual([...resumeFrom(cutOff, NOW).unplanned], ["kyoto", "nara"]);
  assert.equal(resumeFrom({ ...cutOff, kind: "rollback" }, NOW).unplanned.size, 0);
});

test("only the newest release can be gone on with, and only when it was cut off", () => {
  const cutOff = record({ osaka: judging });
  const done = record({ osaka: healthy }, { number: 3, outcome: "healthy" });
  assert.equal(resumable([cutOff]).number, 2);
  assert.throws(() => resumable([]), { code: "RESUME_NOTHING", message: "nothing was released here yet" });
  assert.throws(() => resumable([done]), {
    code: "RESUME_NOTHING",
    message: "release 3 was not cut off (healthy)",
  });
  assert.throws(() => resumable([done, cutOff]), { code: "RESUME_SUPERSEDED" });
  assert.throws(() => resumable([cutOff], [4]), {
    message: "release 2 was cut off, but release 4 has been released since",
  });
});

let clusters: Cluster[] = [];
let count = 0;

before(async () => {
  clusters = await Promise.all(
    ["osaka", "tokyo"].map((name) => startCluster({ name, runtime: "simulated", behaviours })),
  );
});
after(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});

function shop(): { context: ReleaseContext; of: (tag: string) => RenderedRelease } {
  count += 1;
  const namespace = `resume-${count}`;
  // Each command is a process of its own, so a lock that is held belongs to a dead one.
  const context = contextOf(targetsOf(clusters), { namespace, isHolderAlive: () => false });
  const of = (tag: string): RenderedRelease => {
    const release = rendered(tag, { replicas: 1 });
    const objects = release.objects.map((object) => ({
      ...object,
      metadata: { ...object.metadata, namespace },
    }));
    return { ...release, objects };
  };
  return { context, of };
}

async function images(context: ReleaseContext): Promise<readonly (string | undefined)[]> {
  const ref = { apiVersion: "apps/v1", kind: "Deployment", namespace: context.namespace, name: "web" };
  const all = await Promise.all(context.targets.map(({ client }) => client.get<Deployment>(ref)));
  return all.map((web) => web.spec.template.spec.containers[0]?.image?.split("@")[0]?.split(":")[1]);
}

/** Deploys in a process that is killed when it tells this. */
async function killedAt(
  context: ReleaseContext,
  release: RenderedRelease,
  isMoment: (event: ReleaseEvent) => boolean,
) {
  const process = dyingContext(context);
  void deploy(process.context, release, { onEvent: (event) => isMoment(event) && process.kill() });
  await until("it dies", () => process.died());
}

test("a deploy that was killed in its second wave is finished under its own number", async () => {
  const { context, of } = shop();
  await deploy(context, of("v1"));
  await killedAt(context, of("v2"), (event) => event.type === "applied" && event.cluster === "tokyo");
  assert.match((await status(context)).interrupted ?? "", /^release 2 .* in wave 2 of 2: osaka healthy/);
  const seen = recordEvents();
  const result = await resume(context, seen);
  assert.equal(result.exitCode, 0);
  assert.equal(result.record.number, 2);
  assert.deepEqual(await images(context), ["v2", "v2"]);
  assert.equal(
    seen.events.some((event) => event.type === "started" && event.isResumed === true),
    true,
  );
  const [newest, ...older] = await history(context);
  assert.deepEqual([newest?.number, newest?.outcome, newest?.resumes?.length], [2, "healthy", 1]);
  assert.match(newest?.resumes?.[0]?.found ?? "", /^release 2 \(deploy\) by aki was cut off/);
  assert.equal(older.length, 1);
  await assert.rejects(resume(context), { code: "RESUME_NOTHING" });
  assert.equal((await rollback(context)).record.restores, 1);
});

test("one that was killed while it went back goes on going back, and holds what was bad", async () => {
  const { context, of } = shop();
  await deploy(context, of("v1"));
  await killedAt(context, of("crash"), (event) => event.type === "rolling-back");
  const [before] = await history(context);
  assert.equal(before?.evidence.length, 1, "evidence is stored before anything is rolled back");
  const result = await resume(context);
  assert.equal(result.record.outcome, "rolled-back");
  assert.equal(result.record.evidence.length, 1);
  assert.deepEqual(await images(context), ["v1", "v1"]);
  await assert.rejects(deploy(context, of("crash")), { code: "RELEASE_HELD" });
});

test("a rollback that was killed is finished by resume", async () => {
  const { context, of } = shop();
  await deploy(context, of("v1"));
  await deploy(context, of("v2"));
  const process = dyingContext(context);
  void rollback(process.context, { onEvent: (event) => event.type === "applied" && process.kill() });
  await until("it dies", () => process.died());
  await freeze(context, { message: "the sale" });
  const result = await resume(context);
  assert.deepEqual([result.record.kind, result.record.number, result.exitCode], ["rollback", 3, 0]);
  assert.deepEqual(await images(context), ["v1", "v1"]);
});

test("a deploy is not gone on with through a freeze, nor when something was released since", async () => {
  const { context, of } = shop();
  await deploy(context, of("v1"));
  await killedAt(context, of("v2"), (event) => event.type === "applied");
  await freeze(context, { message: "the sale" });
  await assert.rejects(resume(context), { code: "LOCK_FROZEN" });
  assert.equal((await rollback(context)).exitCode, 0);
  await assert.rejects(resume(context), { code: "RESUME_SUPERSEDED" });
});

// Every fifth write of a second release and of its way back.
for (const tag of ["v2", "crash"]) {
  for (let writes = 2; writes <= 42; writes += 5) {
    test(`${tag}: a process killed at write ${writes} is gone on with to the same end`, async () => {
      const { context, of } = shop();
      await deploy(context, of("v1"));
      const process = dyingContext(context, writes);
      let isOver = false;
      void deploy(process.context, of(tag)).finally(() => {
        isOver = true;
      });
      await until("it dies or ends", () => isOver || process.died());
      const report = await status(context);
      if (report.interrupted === undefined) {
        await assert.rejects(resume(context), { code: "RESUME_NOTHING" });
        return;
      }
      const result = await resume(context);
      assert.equal(result.record.number, 2);
      assert.equal(result.record.outcome, tag === "v2" ? "healthy" : "rolled-back");
      const expected = tag === "v2" ? "v2" : "v1";
      assert.deepEqual(await images(context), [expected, expected]);
      const left = (await history(context)).filter(({ outcome }) => outcome === "in-progress");
      assert.deepEqual(left, []);
    });
  }
}
