/** What happens to clusters when a release fails or is stopped, with whole clusters and simulated pods. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import { type Deployment, isReason, type KubeClient } from "@slipway/kube";
import type { ReleaseContext, RenderedRelease } from "../model.ts";
import { deploy, history, planRelease, planRollback, rollback, unhold } from "../release.ts";
import { behaviours, contextOf, recordEvents, rendered, targetsOf, webManifest } from "../testing.ts";

let clusters: Cluster[] = [];
let count = 0;

before(async () => {
  // tokyo's nodes cannot start what osaka's can: a release that is good in one cluster and bad in the other.
  const onlyTokyo = {
    image: "*:half@*",
    behaviour: { startMs: 5, exitAfterMs: 10, exitCode: 9, log: ["no route to the database"] },
  };
  clusters = await Promise.all([
    startCluster({ name: "osaka", runtime: "simulated", behaviours }),
    startCluster({ name: "tokyo", runtime: "simulated", behaviours: [onlyTokyo, ...behaviours] }),
  ]);
});
after(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});

/** A context in a namespace of its own, so that tests do not meet. */
function fresh(changes: Partial<ReleaseContext["release"]> = {}): {
  context: ReleaseContext;
  of: (tag: string, options?: Parameters<typeof rendered>[1]) => RenderedRelease;
} {
  count += 1;
  const namespace = `policy-${count}`;
  const base = contextOf(targetsOf(clusters), { namespace });
  const context = { ...base, release: { ...base.release, ...changes } };
  return {
    context,
    of: (tag, options = { replicas: 1 }) => {
      const release = rendered(tag, options);
      const objects = release.objects.map((object) => ({
        ...object,
        metadata: { ...object.metadata, namespace },
      }));
      return { ...release, objects };
    },
  };
}

async function images(context: ReleaseContext): Promise<readonly (string | undefined)[]> {
  return Promise.all(
    context.targets.map(async ({ client }) => {
      const deployment = await client.get<Deployment>({
        apiVersion: "apps/v1",
        kind: "Deployment",
        namespace: context.namespace,
        name: "web",
      });
      return deployment.spec.template.spec.containers[0]?.image?.split("@")[0]?.split(":")[1];
    }),
  );
}

test("when the second wave fails, rollback-all takes both waves back, the later one first", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1"));
  const seen = recordEvents();
  const result = await deploy(context, of("half"), seen);
  assert.equal(result.record.outcome, "rolled-back");
  assert.deepEqual(await images(context), ["v1", "v1"]);
  assert.deepEqual(
    seen.events.flatMap((event) => (event.type === "rolled-back" ? [event.cluster] : [])),
    ["tokyo", "osaka"],
  );
  const order = seen.events.map((event) => event.type);
  assert.ok(order.indexOf("evidence") < order.indexOf("rolling-back"), "evidence comes before the rollback");
  assert.deepEqual(
    result.clusters.map((cluster) => [cluster.name, cluster.verdict, cluster.restored?.ok]),
    [
      ["osaka", "healthy", true],
      ["tokyo", "failed", true],
    ],
  );
});

test("rollback-wave takes back the wave that failed alone, and says that it is no success", async () => {
  const { context, of } = fresh({ onFailure: "rollback-wave" });
  await deploy(context, of("v1"));
  const result = await deploy(context, of("half"));
  assert.equal(result.record.outcome, "failed");
  assert.equal(result.exitCode, 1);
  assert.deepEqual(await images(context), ["half", "v1"]);
});

test("halt leaves the clusters as they are, and a rollback then takes them back", async () => {
  const { context, of } = fresh({ onFailure: "halt" });
  await deploy(context, of("v1"));
  const result = await deploy(context, of("half"));
  assert.equal(result.record.outcome, "failed");
  assert.deepEqual(await images(context), ["half", "half"]);
  const { target, leaves } = await planRollback(context);
  assert.deepEqual([target.number, leaves.number], [1, 2]);
  assert.equal((await rollback(context)).exitCode, 0);
  assert.deepEqual(await images(context), ["v1", "v1"]);
});

test("a first release that fails has nothing to go back to: it stays, nothing is held, and the next one replaces it", async () => {
  const { context, of } = fresh();
  const first = await deploy(context, of("crash"));
  assert.equal(first.record.outcome, "failed");
  assert.deepEqual(first.record.held, []);
  assert.equal(first.clusters[0]?.restored, undefined);
  await assert.rejects(rollback(context), { code: "ROLLBACK_NO_TARGET" });
  assert.equal((await deploy(context, of("v1"))).exitCode, 0);
});

test("a release that is told to stop ends as interrupted with exit code 130, and its lock is free", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1"));
  const stop = new AbortController();
  const result = await deploy(context, of("v2"), {
    signal: stop.signal,
    onEvent: (event) => event.type === "applied" && stop.abort(new Error("SIGINT")),
  });
  assert.equal(result.record.outcome, "interrupted");
  assert.equal(result.exitCode, 130);
  assert.equal((await rollback(context)).exitCode, 0);
  assert.deepEqual(await images(context), ["v1", "v1"]);
});

test("an image that no node can pull is doomed although it never ran", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1"));
  const asked: string[] = [];
  const registry: ReleaseContext = {
    ...context,
    images: {
      exists: async (reference) => {
        asked.push(reference);
        // It was there at the preflight and is gone when the node asks.
        return asked.filter((one) => one.includes(":gone@")).length > 1 ? "missing" : "exists";
      },
    },
  };
  const result = await deploy(registry, of("gone"));
  assert.equal(result.record.outcome, "rolled-back");
  const [osaka] = result.clusters;
  assert.equal(osaka?.cause?.code, "ImageNotFound");
});

const WITH_EXTRA = `${webManifest({ replicas: 1 })}
---
apiVersion: v1
kind: Service
metadata: { name: extra }
spec: { selector: { app: web }, ports: [{ port: 81 }] }
`;

test("what a release no longer has is pruned after it is healthy, and comes back with a rollback", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1", { manifest: WITH_EXTRA }));
  const seen = recordEvents();
  await deploy(context, of("v2", { replicas: 1, setting: "bye" }), seen);
  const pruned = seen.events.flatMap((event) => (event.type === "pruned" ? event.objects : []));
  // The ConfigMap of the release before stays: going back needs it.
  assert.deepEqual(pruned, ["Service extra", "Service extra"]);
  assert.equal(await has(context.targets[0]?.client, "Service", "extra", context.namespace), false);
  await rollback(context);
  assert.equal(await has(context.targets[0]?.client, "Service", "extra", context.namespace), true);
});

test("what a failed release had dropped goes with the next one that is healthy", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1", { manifest: WITH_EXTRA }));
  const halting = { ...context, release: { ...context.release, onFailure: "halt" } } as const;
  const failed = await deploy(halting, of("crash", { replicas: 1 }));
  assert.equal(failed.record.outcome, "failed");
  assert.equal(await has(context.targets[0]?.client, "Service", "extra", context.namespace), true);
  const planned = await planRelease(context, of("v2", { replicas: 1 }));
  const going = planned.clusters.map(({ objects }) =>
    objects.flatMap(({ action, name }) => (action === "prune" ? [name] : [])),
  );
  assert.deepEqual(going, [["extra"], ["extra"]]);
  await deploy(context, of("v2", { replicas: 1 }));
  for (const { client } of context.targets)
    assert.equal(await has(client, "Service", "extra", context.namespace), false);
});

test("ConfigMaps go when the last release that names them leaves the history", async () => {
  const { context, of } = fresh({ keep: 2 });
  for (const setting of ["one", "two", "three", "four"]) {
    await deploy(context, of("v1", { replicas: 1, setting }));
  }
  const records = await history(context);
  assert.deepEqual(
    records.map((record) => record.number),
    [4, 3],
  );
  const list = await context.targets[0]?.client.list(
    { apiVersion: "v1", kind: "ConfigMap" },
    { namespace: context.namespace, labelSelector: "slipway.dev/service=shop" },
  );
  assert.equal(list?.items.length, 2);
});

test("a hold can be lifted, and then the same release may be deployed again", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1"));
  await deploy(context, of("crash"));
  await assert.rejects(deploy(context, of("crash")), { code: "RELEASE_HELD" });
  const lifted = await unhold(context, 2);
  assert.equal(lifted.changed.length, 2);
  assert.equal((await deploy(context, of("crash"))).record.outcome, "rolled-back");
});

test("a rollback may steal the lock of a running release, which then stops and writes nothing more", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1"));
  await deploy(context, of("v2"));
  const clock = { ...context.clock, sleep: hurriedRenewal(context) };
  // A release that would bake for an hour.
  const slow = { ...context, clock, release: { ...context.release, bakeMs: 3_600_000 } };
  const seen = recordEvents();
  const running = deploy(slow, of("v3"), seen);
  await until("it bakes", () => seen.events.some((event) => event.type === "baking"));
  const thief = { ...context, who: "mio", pid: 4712 };
  const back = await rollback(thief, { stealLock: true });
  assert.equal(back.exitCode, 0);
  const result = await running;
  assert.equal(result.exitCode, 1);
  assert.match(
    seen.events.flatMap((event) => (event.type === "warning" ? [event.message] : [])).join("\n"),
    /has taken the lock of shop|the lock of shop is gone/,
  );
  const records = await history(context);
  assert.deepEqual(
    records.map((record) => [record.number, record.outcome]),
    [
      [4, "healthy"],
      [3, "interrupted"],
      [2, "healthy"],
      [1, "healthy"],
    ],
  );
});

/** Leases are renewed every 100 ms instead of every 5 s; other pauses stay as they are. */
function hurriedRenewal(context: ReleaseContext): ReleaseContext["clock"]["sleep"] {
  return (ms, signal) => context.clock.sleep(ms === 5_000 ? 100 : ms, signal);
}

async function has(
  client: KubeClient | undefined,
  kind: string,
  name: string,
  namespace: string,
): Promise<boolean> {
  assert.ok(client);
  return client.get({ apiVersion: "v1", kind, name, namespace }).then(
    () => true,
    (error: unknown) => {
      if (isReason(error, "NotFound")) return false;
      throw error;
    },
  );
}

/** What a second deploy tells, and the moment at which it has planned and waits for the lock of the first. */
function recordWaiting(): ReturnType<typeof recordEvents> & { readonly waits: Promise<void> } {
  const { events, onEvent } = recordEvents();
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    events,
    onEvent: (event) => {
      onEvent(event);
      if (event.type === "lock-waiting") resolve();
    },
    waits: promise,
  };
}

/** However long the first takes: what is tested is what comes after it. */
const lockWaitMs = 600_000;

test("of two deploys of the same bad image at once, the one that waited for the lock is refused", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1"));
  const waited = recordWaiting();
  const { promise: isLocked, resolve } = Promise.withResolvers<void>();
  const first = deploy(context, of("crash"), {
    onEvent: ({ type }) => type === "locked" && resolve(),
    bringFiles: () => waited.waits,
  });
  await isLocked;
  const second = deploy({ ...context, pid: 4712 }, of("crash"), { ...waited, lockWaitMs });
  await assert.rejects(second, { code: "RELEASE_HELD" });
  assert.equal((await first).record.outcome, "rolled-back");
  assert.deepEqual(
    (await history(context)).map((record) => record.number),
    [2, 1],
  );
});

test("a deploy that waited for another one is planned again on what that left", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1"));
  const waited = recordWaiting();
  const { promise: hasBegun, resolve } = Promise.withResolvers<void>();
  const gate = { kind: "command", name: "wait", timeoutMs: lockWaitMs, command: ["wait"] } as const;
  const never = (): Promise<never> => Promise.reject(new Error("nobody is asked"));
  const held: ReleaseContext = {
    ...context,
    release: { ...context.release, gates: [gate] },
    gates: { get: never, run: () => waited.waits.then(() => ({ exitCode: 0 })), variable: () => undefined },
  };
  const first = deploy(held, of("v2"), { onEvent: ({ type }) => type === "started" && resolve() });
  // Its record is there already when the second one plans.
  await hasBegun;
  const second = deploy({ ...context, pid: 4712 }, of("v3"), { ...waited, lockWaitMs });
  assert.equal((await first).record.outcome, "healthy");
  assert.equal((await second).record.outcome, "healthy");
  const plans = waited.events.flatMap((event) => (event.type === "planned" ? [event.plan] : []));
  assert.equal(plans.length, 2);
  assert.deepEqual(
    plans[1]?.clusters.map(({ runs }) => runs),
    [2, 2],
  );
});

test("a number is not given twice, even when the newest record cannot be read", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1"));
  await deploy(context, of("v2"));
  for (const { client } of context.targets) {
    const record = { apiVersion: "v1", kind: "Secret", namespace: context.namespace, name: "slipway.shop.2" };
    await client.patch(record, "merge", { data: { release: "AAAA" } });
  }
  const result = await deploy(context, of("v3"));
  assert.equal(result.record.number, 3);
  assert.equal(result.record.outcome, "healthy");
});
