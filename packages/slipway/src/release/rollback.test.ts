/** Rollbacks by hand over two whole clusters in this process: scope, speed, freezes, the registry, and what they reuse. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Cluster, startCluster } from "@slipway/cluster";
import type { Deployment, ReplicaSet } from "@slipway/kube";
import { freeze, unlock } from "./lock/freeze.ts";
import type { ReleaseContext, RenderedRelease } from "./model.ts";
import { rollbackEta } from "./plan/rollback-plan.ts";
import { deploy, history, hold, planRollback, rollback, status } from "./release.ts";
import { behaviours, contextOf, recordEvents, rendered, targetsOf } from "./testing.ts";
import { renderHistory } from "./text.ts";

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
    ship: async (tag, options) => {
      const result = await deploy(context, of(tag, options));
      assert.equal(result.exitCode, 0);
      return result;
    },
  };
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
  await ship("v2", { setting: "bye" });
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
  const { context, ship } = shop();
  await ship("v1");
  await ship("v2");
  await ship("v3");
  const held = await hold({ ...context, who: "mio" }, 2, { message: "loses payments" });
  assert.equal(held.changed.length, 2);
  await assert.rejects(ship("v2"), {
    code: "RELEASE_HELD",
    message: /^this image \(sha256:\w+\) was put on hold by mio 0s ago: "loses payments"$/,
    hint: /^Ask mio, lift it with slipway release unhold sha256:/,
  });
  assert.equal((await planRollback(context)).target.number, 1);
});
