/** Rollbacks by hand over two whole clusters in this process: scope, speed, freezes, the registry, and what they reuse. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Cluster, startCluster } from "@slipway/cluster";
import { createHttpClient, type Deployment, type ReplicaSet } from "@slipway/kube";
import type { Evidence } from "./evidence/evidence.ts";
import { freeze, unlock } from "./lock/freeze.ts";
import type { ReleaseContext, ReleaseRecord, RenderedRelease, Target } from "./model.ts";
import { rollbackEta } from "./plan/rollback-plan.ts";
import { deploy, history, hold, planRollback, rollback, status, unhold } from "./release.ts";
import { chooseTarget } from "./rollback.ts";
import {
  behaviours,
  contextOf,
  image,
  recordEvents,
  recordOf,
  rendered,
  targetsOf,
  webManifest,
} from "./testing.ts";
import { renderEvidence, renderHistory } from "./text.ts";

let clusters: Cluster[] = [];
let count = 0;

before(async () => {
  // The pods of v2 take their whole grace period to end.
  const slow = { image: "*:v2@*", behaviour: { startMs: 5, stopMs: "never" } } as const;
  clusters = await Promise.all(
    ["osaka", "tokyo"].map((name) =>
      startCluster({ name, runtime: "simulated", behaviours: [slow, ...behaviours] }),
    ),
  );
});
after(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});

interface Shop {
  readonly context: ReleaseContext;
  readonly of: (tag: string, options?: Parameters<typeof rendered>[1]) => RenderedRelease;
  readonly ship: (tag: string, options?: Parameters<typeof rendered>[1]) => ReturnType<typeof deploy>;
}

/** The shop in a namespace of its own, so that tests do not meet. */
function shop(changes: Partial<ReleaseContext> = {}): Shop {
  count += 1;
  const namespace = `back-${count}`;
  const context = contextOf(targetsOf(clusters), { namespace, ...changes });
  const of = (tag: string, options: Parameters<typeof rendered>[1] = {}): RenderedRelease => {
    const release = rendered(tag, { replicas: 1, ...options });
    const objects = release.objects.map((object) => ({
      ...object,
      metadata: { ...object.metadata, namespace },
    }));
    return { ...release, objects };
  };
  return {
    context,
    of,
    ship: async (tag, options) => {
      const result = await deploy(context, of(tag, options));
      assert.equal(result.exitCode, 0);
      return result;
    },
  };
}

type RunsOf = Readonly<Record<string, number | undefined>>;

/** A healthy release of a content of its own that left these releases in the clusters. */
function past(number: number, runs: RunsOf, changes: Partial<ReleaseRecord> = {}): ReleaseRecord {
  const clusters = Object.fromEntries(
    Object.entries(runs).map(([name, ran]) => [
      name,
      ran === undefined
        ? ({ verdict: "unknown", step: "done" } as const)
        : ({ verdict: ran === number ? "healthy" : "failed", step: "done", runs: ran } as const),
    ]),
  );
  const { content, images } = rendered(`v${number}`);
  return recordOf(number, { content, images, clusters, ...changes });
}

const undone = (number: number, runs: RunsOf): ReleaseRecord =>
  past(number, runs, { outcome: "rolled-back" });
const halted = (number: number, runs: RunsOf): ReleaseRecord => past(number, runs, { outcome: "failed" });
const good = [past(2, { t: 2, o: 2 }), past(1, { t: 1, o: 1 })];
const T = ["t"];
const TO = ["t", "o"];

/** Newest first; `to` is the release that is chosen, or what is said why none is. */
const choices: readonly {
  readonly when: string;
  readonly records: readonly ReleaseRecord[];
  readonly clusters: readonly string[];
  readonly named?: number;
  readonly unreadable?: readonly number[];
  readonly to: number | RegExp;
  readonly leaves?: number;
}[] = [
  {
    when: "a cluster was added that never had a release",
    ...{ records: [past(2, { t: 2 }), past(1, { t: 1 })], clusters: TO },
    ...{ to: 1, leaves: 2 },
  },
  {
    when: "all that runs anything runs the first release, and a cluster was added",
    ...{ records: [past(1, { t: 1 })], clusters: TO, to: /release 1 is what runs now/ },
  },
  {
    when: "a cluster missed the newest release and runs nothing yet",
    ...{
      records: [past(2, { t: 2, o: undefined }, { outcome: "unknown" }), past(1, { t: 1 })],
      clusters: TO,
      ...{ to: 1, leaves: 2 },
    },
  },
  {
    when: "a cluster missed the newest release and runs the one before",
    ...{
      records: [past(2, { t: 2, o: undefined }, { outcome: "unknown" }), past(1, { t: 1, o: 1 })],
      clusters: TO,
      ...{ to: 1, leaves: 2 },
    },
  },
  {
    when: "somebody names what runs, for a cluster that runs nothing yet",
    ...{ records: [past(2, { t: 2 }), past(1, { t: 1 })], clusters: TO, named: 2, to: 2 },
  },
  {
    when: "somebody names what runs everywhere",
    ...{ records: [past(2, { t: 2 }), past(1, { t: 1 })], clusters: T, named: 2 },
    to: /release 2 is what runs now/,
  },
  {
    when: "only the added cluster is asked for",
    ...{ records: [past(2, { t: 2 }), past(1, { t: 1 })], clusters: ["o"], to: /nothing was released here/ },
  },
  {
    when: "a cluster was added and a release that nobody can read came later",
    ...{ records: [past(1, { t: 1 })], clusters: TO, unreadable: [2], to: 1 },
  },
  {
    when: "a person took it back, and a cluster was added since",
    ...{
      records: [
        past(3, { t: 3 }, { kind: "rollback", restores: 1, leaves: 2, content: rendered("v1").content }),
        past(2, { t: 2 }),
        past(1, { t: 1 }),
      ],
      ...{ clusters: TO, to: /what runs now is a rollback already \(release 3/ },
    },
  },
  {
    when: "the newest release failed and was taken back",
    ...{ records: [undone(3, { t: 2 }), ...good], clusters: TO },
    to: /^release 3 failed and was taken back already: t, o run release 2$/,
  },
  {
    when: "the newest two were taken back",
    ...{ records: [undone(4, { t: 2, o: 2 }), undone(3, { t: 2 }), ...good], clusters: TO },
    to: /^release 4 failed and was taken back already/,
  },
  {
    when: "one was taken back, and the cluster asked for is one that it never reached",
    ...{ records: [past(3, { t: 2, o: undefined }, { outcome: "rolled-back" }), ...good], clusters: ["o"] },
    to: /^release 3 failed and was taken back already: o runs release 2$/,
  },
  {
    when: "the newest one failed before anything was changed",
    ...{ records: [halted(3, { t: undefined, o: undefined }), ...good], clusters: TO },
    to: /^release 3 failed before it changed anything: t, o run release 2$/,
  },
  {
    when: "it was taken back to two different releases",
    ...{ records: [undone(3, { t: 2, o: 1 }), ...good], clusters: TO },
    to: /^release 3 failed and was taken back already: t runs release 2, o runs release 1$/,
  },
  {
    when: "it was taken back in one cluster and stayed in the other",
    ...{ records: [halted(3, { t: 2, o: 3 }), ...good], clusters: TO, to: 2, leaves: 3 },
  },
  {
    when: "a rollback failed before it changed anything, and is asked for again",
    records: [past(3, { t: undefined, o: undefined }, { kind: "rollback", outcome: "failed" }), ...good],
    ...{ clusters: TO, to: 1, leaves: 2 },
  },
  {
    when: "the correction of a release that stayed failed before it changed anything",
    records: [halted(4, { t: undefined, o: undefined }), halted(3, { t: 3, o: 2 }), ...good],
    ...{ clusters: TO, to: 2, leaves: 3 },
  },
  {
    when: "it was taken back and somebody names the one before",
    ...{ records: [undone(3, { t: 2 }), ...good], clusters: TO, named: 1, to: 1, leaves: 2 },
  },
  {
    when: "it was taken back and a release that nobody can read came later",
    ...{ records: [undone(3, { t: 2 }), ...good], clusters: TO, unreadable: [4], to: 2 },
  },
  {
    when: "another release was healthy after the one that was taken back",
    ...{ records: [past(4, { t: 4, o: 4 }), undone(3, { t: 2 }), ...good], clusters: TO, to: 2, leaves: 4 },
  },
];

test("what was taken back by itself is not rolled back further; the refusal says by which number it is", () => {
  const records = [undone(3, { t: 2 }), ...good];
  const refusal = { code: "ROLLBACK_OF_ROLLBACK", where: "rollback", exitCode: 2 };
  assert.throws(() => chooseTarget(records, { clusters: TO }), {
    ...refusal,
    hint: "To leave release 2 as well: slipway rollback 1. Otherwise ship a corrected version.",
  });
  assert.throws(() => chooseTarget([undone(2, { t: 1 }), past(1, { t: 1 })], { clusters: T }), {
    ...refusal,
    hint: "There is nothing further back. Ship a corrected version.",
  });
});

for (const { when, records, clusters, named, unreadable, to, leaves } of choices) {
  const result = typeof to === "number" ? `release ${to}` : "nowhere";
  test(`when ${when}, it goes to ${result}`, () => {
    const choose = () => chooseTarget(records, { clusters, to: named, unreadable });
    if (typeof to === "number") {
      const chosen = choose();
      assert.deepEqual([chosen.target.number, chosen.leaves.number], [to, leaves ?? chosen.leaves.number]);
    } else assert.throws(choose, { message: to });
  });
}

async function images(context: ReleaseContext): Promise<readonly (string | undefined)[]> {
  return Promise.all(
    context.targets.map(async ({ client }) => {
      const web = await client.get<Deployment>({
        apiVersion: "apps/v1",
        kind: "Deployment",
        namespace: context.namespace,
        name: "web",
      });
      return web.spec.template.spec.containers[0]?.image?.split("@")[0]?.split(":")[1];
    }),
  );
}

test("one cluster goes back alone: the record, the history and the status say so", async () => {
  const { context, ship } = shop();
  await ship("v1");
  await ship("v2");
  const result = await rollback(context, { clusters: ["osaka"] });
  assert.equal(result.record.outcome, "healthy");
  assert.deepEqual(result.record.only, ["osaka"]);
  assert.deepEqual(await images(context), ["v1", "v2"]);
  const records = await history(context);
  assert.match(
    renderHistory(records, Date.now()),
    /^3 .* rollback of 2 to 1 in osaka only .* osaka: healthy /m,
  );
  const report = await status(context);
  assert.deepEqual(
    report.clusters.map(({ name, runs }) => [name, runs]),
    [
      ["osaka", 3],
      ["tokyo", 2],
    ],
  );
  // The other cluster holds the record too, and the rest goes back to the same release.
  const [, tokyo] = context.targets;
  assert.ok(tokyo);
  assert.equal((await history({ ...context, targets: [tokyo] }))[0]?.number, 3);
  assert.equal((await rollback(context)).record.restores, 1);
  assert.deepEqual(await images(context), ["v1", "v1"]);
});

test("an unknown cluster is refused by name", async () => {
  const { context, ship } = shop();
  await ship("v1");
  await assert.rejects(planRollback(context, { clusters: ["kyoto"] }), {
    code: "USAGE_CLUSTER",
    where: "--cluster kyoto",
    hint: "Known: osaka, tokyo.",
  });
});

test("the same pod template comes back as the same ReplicaSet, and old pods are not waited for", async () => {
  const { context, ship } = shop();
  const replicaSets = async (): Promise<readonly (string | undefined)[]> => {
    const list = await clusters[0]?.client.list<ReplicaSet>(
      { apiVersion: "apps/v1", kind: "ReplicaSet" },
      { namespace: context.namespace },
    );
    return (list?.items ?? [])
      .map((one) => `${one.metadata.uid} ${one.spec.template.spec.containers[0]?.image}`)
      .sort();
  };
  await ship("v1");
  // Its pod is there for as long as the rollback may take.
  const lingering = webManifest({ replicas: 1, setting: "bye" }).replace(/(GracePeriodSeconds:) 1/, "$1 600");
  await ship("v2", { manifest: lingering });
  const before = await replicaSets();
  const seen = recordEvents();
  const result = await rollback(context, seen);
  assert.equal(result.exitCode, 0);
  assert.deepEqual(await replicaSets(), before);
  const told = seen.events.flatMap((event) =>
    event.type === "warning" ? [`${event.cluster}: ${event.message}`] : [],
  );
  assert.deepEqual(told.sort(), [
    "osaka: 1 old pod is still terminating",
    "tokyo: 1 old pod is still terminating",
  ]);
});

test("the plan is made of the records alone and says what changes and about how long it takes", async () => {
  const { context, ship } = shop();
  await ship("v1");
  await ship("v2", { setting: "bye" });
  const { target, leaves, changes, eta, plan } = await planRollback(context);
  assert.deepEqual([leaves.number, target.number, plan], [2, 1, undefined]);
  assert.deepEqual(
    changes.map(({ action, kind, images }) => [action, kind, images.length]),
    [
      ["create", "ConfigMap", 0],
      ["change", "Deployment", 1],
    ],
  );
  assert.deepEqual(eta?.from, [2, 1]);
  const asked = await planRollback(context, { dryRun: true });
  assert.equal(asked.plan?.hasChanges, true);
});

test("the expected time is the median of rollbacks, or of deploys without their bake", () => {
  const timed = (number: number, kind: "deploy" | "rollback", ms: number) =>
    ({
      ...rendered("v1"),
      number,
      kind,
      outcome: "healthy",
      startedAt: 0,
      finishedAt: ms,
      clusters: { tokyo: { verdict: "healthy", step: "done", startedAt: 0, finishedAt: ms } },
    }) as unknown as Parameters<typeof rollbackEta>[0][number];
  const deploys = [timed(3, "deploy", 70_000), timed(2, "deploy", 90_000), timed(1, "deploy", 80_000)];
  assert.equal(rollbackEta([], ["tokyo"], 60_000), undefined);
  assert.deepEqual(rollbackEta(deploys, ["tokyo"], 60_000), { ms: 20_000, from: [3, 2, 1] });
  // Released when the bake was shorter than it is configured now.
  assert.deepEqual(rollbackEta([timed(1, "deploy", 16_000)], ["tokyo"], 60_000), { ms: 16_000, from: [1] });
  assert.deepEqual(rollbackEta([timed(4, "rollback", 12_000), ...deploys], ["tokyo"], 60_000), {
    ms: 12_000,
    from: [4],
  });
});

test("an image that the registry lost is told before anything changes, and --force goes on", async () => {
  const { context, ship } = shop();
  await ship("v1");
  await ship("v2");
  const without: ReleaseContext = { ...context, images: { exists: async () => "missing" } };
  await assert.rejects(rollback(without), {
    code: "IMAGE_NOT_IN_REGISTRY",
    message: /no longer has registry\.test\/web:v1@\S+, so release 1 cannot be brought back whole$/,
  });
  assert.equal((await history(context)).length, 2);
  assert.equal((await rollback(without, { force: true })).exitCode, 0);
});

test("a registry that cannot be asked is a warning, and one that hangs is not waited for long", async () => {
  for (const exists of [
    async () => Promise.reject(new Error("connection refused")),
    async () => "unknown" as const,
    () => new Promise<never>(() => undefined),
  ]) {
    const { context, ship } = shop();
    await ship("v1");
    await ship("v2");
    const seen = recordEvents();
    const result = await rollback({ ...context, images: { exists } }, seen);
    assert.equal(result.exitCode, 0);
    assert.match(
      seen.events.flatMap((event) => (event.type === "warning" ? [event.message] : [])).join("\n"),
      /the registry could not be asked for registry\.test\/web:v1/,
    );
  }
});

test("a freeze refuses a deploy before anything changes and lets a rollback through with a notice", async () => {
  const { context, ship } = shop();
  await ship("v1");
  await ship("v2");
  const made = await freeze({ ...context, who: "mio" }, { message: "the sale" });
  assert.deepEqual(made.frozen, ["osaka", "tokyo"]);
  await assert.rejects(ship("v3"), { code: "LOCK_FROZEN", message: /frozen by mio .*"the sale"/ });
  assert.equal((await history(context)).length, 2);
  assert.match((await status(context)).clusters[0]?.lock?.freeze?.message ?? "", /the sale/);
  const seen = recordEvents();
  assert.equal((await rollback(context, seen)).exitCode, 0);
  assert.match(
    seen.events.flatMap((event) => (event.type === "warning" ? [event.message] : [])).join("\n"),
    /shop is frozen by mio .* a rollback goes through/,
  );
  // Another's freeze is lifted with force only; one's own, and nothing at all, without.
  const stays = await unlock(context);
  assert.match(stays[0]?.failed ?? "", /the freeze by mio .* stays; --force takes it away/);
  const lifted = await unlock(context, { force: true });
  assert.match(lifted[0]?.did ?? "", /unlocked the freeze by mio/);
  assert.deepEqual(
    (await unlock(context)).map(({ did, failed }) => [did, failed]),
    [
      [undefined, undefined],
      [undefined, undefined],
    ],
  );
  await ship("v3");
});

test("what a person holds is not deployed and not gone back to", async () => {
  const { context, of, ship } = shop();
  await ship("v1");
  await ship("v2");
  await ship("v3");
  const heldAt = context.clock.now();
  const at = (now: number): ReleaseContext => ({ ...context, clock: { ...context.clock, now: () => now } });
  const held = await hold({ ...at(heldAt), who: "mio" }, 2, { message: "loses payments" });
  assert.equal(held.changed.length, 2);
  await assert.rejects(deploy(at(heldAt + 125_000), of("v2")), {
    code: "RELEASE_HELD",
    message: /^this image \(sha256:\w+\) was put on hold by mio 2m5s ago: "loses payments"$/,
    hint: /^Ask mio, lift it with slipway release unhold sha256:/,
  });
  assert.equal((await planRollback(context)).target.number, 1);
});

test("a hold stays when the release that set it has left the history, until it is lifted", async () => {
  const { context: usual, of } = shop();
  const context = { ...usual, release: { ...usual.release, keep: 1 } };
  const ship = async (tag: string): Promise<void> => {
    assert.equal((await deploy(context, of(tag))).exitCode, 0);
  };
  await ship("v1");
  assert.equal((await deploy(context, of("crash"))).record.outcome, "rolled-back");
  await hold({ ...context, who: "mio" }, image("web", "v9").digest, { message: "loses payments" });
  for (const tag of ["v3", "v4", "v5", "v6"]) await ship(tag);
  const numbers = (await history(context)).map(({ number }) => number);
  assert.ok(!numbers.includes(2), `release 2 has left the history: ${numbers}`);
  await assert.rejects(deploy(context, of("crash")), {
    code: "RELEASE_HELD",
    message: /was found bad by release 2 \d+s ago and taken back$/,
  });
  await assert.rejects(deploy(context, of("v9")), {
    message: /put on hold by mio \d+s ago: "loses payments"/,
  });
  assert.equal((await unhold(context, 2)).changed.length, 3);
  assert.equal((await deploy(context, of("crash"))).record.outcome, "rolled-back");
  await ship("v9");
});

test("what was wrong with the release that is left is kept before its pods go; nothing where nothing was", async () => {
  const { context, ship, of } = shop();
  await ship("v1");
  await ship("v3");
  const halting = { ...context, release: { ...context.release, onFailure: "halt" } } as const;
  assert.equal((await deploy(halting, of("crash"))).record.outcome, "failed");
  const seen = recordEvents();
  const { record, exitCode } = await rollback(context, seen);
  assert.equal(exitCode, 0);
  assert.deepEqual([record.restores, record.leaves], [2, 3]);
  const [evidence, ...others] = record.evidence;
  assert.deepEqual(others, [], "tokyo still ran release 2, which was well");
  assert.deepEqual([evidence?.cluster, evidence?.left, evidence?.cause.code], ["osaka", 3, "ContainerCrash"]);
  assert.deepEqual(evidence?.log?.tail, ["cannot find module ./db"]);
  const order = seen.events.flatMap((event) =>
    event.type === "evidence" || event.type === "applied" ? [`${event.type} ${event.cluster}`] : [],
  );
  assert.ok(order.indexOf("evidence osaka") < order.indexOf("applied osaka"), order.join(", "));
  const kept = (await history(context))[0]?.evidence[0];
  assert.equal(kept?.cause.code, "ContainerCrash");
  assert.match(
    renderEvidence(evidence as Evidence),
    /^ {2}what was wrong in osaka with release 3, which is left:\n {2}ContainerCrash in osaka: /,
  );
});

/** The context after an edit of the configuration: these clusters, under these names. */
function edited(
  context: ReleaseContext,
  targets: Readonly<Record<string, Target | undefined>>,
): ReleaseContext {
  const named = Object.entries(targets).map(([name, target]) => ({ ...(target as Target), name }));
  return { ...context, targets: named, release: { ...context.release, waves: [Object.keys(targets)] } };
}

const warningsOf = ({ events }: ReturnType<typeof recordEvents>): string =>
  events.flatMap((event) => (event.type === "warning" ? [event.message] : [])).join("\n");

test("a cluster that was added is left out, and the others go back from what they run", async () => {
  const { context, of } = shop();
  const [osaka, tokyo] = context.targets;
  const before = edited(context, { tokyo });
  for (const tag of ["v1", "v3"]) assert.equal((await deploy(before, of(tag))).exitCode, 0);
  const seen = recordEvents();
  const { record, exitCode } = await rollback(context, seen);
  assert.deepEqual([record.restores, record.leaves, record.only, exitCode], [1, 2, undefined, 0]);
  assert.deepEqual(Object.keys(record.clusters), ["tokyo"]);
  assert.match(warningsOf(seen), /^osaka never ran a release of shop; a rollback does not go there/m);
  const report = await status(edited(context, { osaka }));
  assert.deepEqual(report.clusters[0]?.workloads, []);
  assert.equal((await deploy(context, of("v4"))).exitCode, 0);
  // To the content that release 3 brought back, now in both.
  const both = await rollback(context);
  assert.deepEqual([both.record.restores, Object.keys(both.record.clusters)], [3, ["osaka", "tokyo"]]);
});

test("a cluster that was added and does not answer is unknown, and is not what the choice depends on", async () => {
  const { context, of } = shop();
  const [osaka, tokyo] = context.targets;
  const before = edited(context, { tokyo });
  for (const tag of ["v1", "v3"]) assert.equal((await deploy(before, of(tag))).exitCode, 0);
  const client = createHttpClient({
    name: "kyoto",
    url: "http://127.0.0.1:1",
    retries: { attempts: 1, firstMs: 1, maxMs: 1 },
  });
  const after = edited(context, { osaka, tokyo, kyoto: { name: "kyoto", client } });
  const { record } = await rollback(after);
  assert.deepEqual([record.restores, record.leaves], [1, 2]);
  assert.deepEqual(
    Object.entries(record.clusters).map(([name, { verdict }]) => [name, verdict]),
    [
      ["tokyo", "healthy"],
      ["kyoto", "unknown"],
    ],
  );
  await assert.rejects(rollback(after, { clusters: ["kyoto"] }), {
    code: "CLUSTER_UNREACHABLE",
    message: /^kyoto does not answer: /,
  });
  await client.close();
});

test("a cluster that was renamed is the one it was, to a rollback, a status and the next release", async () => {
  const { context, of } = shop();
  const [osaka, tokyo] = context.targets;
  for (const tag of ["v1", "v3", "v4"]) assert.equal((await deploy(context, of(tag))).exitCode, 0);
  const after = edited(context, { osaka, kyoto: tokyo });
  const runs = async () => (await status(after)).clusters.map(({ name, runs }) => [name, runs]);
  assert.deepEqual(await runs(), [
    ["osaka", 3],
    ["kyoto", 3],
  ]);
  const back = await rollback(after);
  assert.deepEqual([back.record.restores, back.record.leaves], [2, 3]);
  assert.deepEqual(Object.keys(back.record.clusters), ["osaka", "kyoto"]);
  // Releases of before are still known to have been good under the other name.
  assert.equal((await rollback(after, { to: 1 })).exitCode, 0);
  await assert.rejects(rollback(after, { clusters: ["kyoto"], to: 1 }), {
    message: "release 1 is what runs now",
  });
  assert.equal((await deploy(after, of("v5"))).exitCode, 0);
  assert.deepEqual(await runs(), [
    ["osaka", 6],
    ["kyoto", 6],
  ]);
});
