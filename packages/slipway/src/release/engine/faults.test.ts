/** What a release does when its process dies, a cluster goes away, or somebody else is at it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SlipwayError, until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import { type Deployment, type KubeClient, statusError } from "@slipway/kube";
import type { ReleaseContext, RenderedRelease } from "../model.ts";
import { deploy, history, rollback, status } from "../release.ts";
import { behaviours, contextOf, dyingContext, gated, recordEvents, rendered, targetsOf } from "../testing.ts";

let clusters: Cluster[] = [];

before(async () => {
  clusters = await Promise.all(
    ["osaka", "tokyo"].map((name) => startCluster({ name, runtime: "simulated", behaviours })),
  );
});
after(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});

function inNamespace(namespace: string, context: ReleaseContext, of: RenderedRelease): RenderedRelease {
  assert.equal(context.namespace, namespace);
  const objects = of.objects.map((object) => ({ ...object, metadata: { ...object.metadata, namespace } }));
  return { ...of, objects };
}

async function imageIn(cluster: Cluster, namespace = "default"): Promise<string | undefined> {
  const deployment = await cluster.client.get<Deployment>({
    apiVersion: "apps/v1",
    kind: "Deployment",
    namespace,
    name: "web",
  });
  return deployment.spec.template.spec.containers[0]?.image?.split("@")[0];
}

// Every third write of a second release: plan, locks, record, applies of both waves, prune, final record, unlock.
for (let writes = 1; writes <= 40; writes += 3) {
  test(`a process killed at write ${writes} leaves a state that rollback explains and brings back`, async () => {
    const namespace = `killed-${writes}`;
    const context = contextOf(targetsOf(clusters), { namespace, isHolderAlive: () => false });
    const v1 = inNamespace(namespace, context, rendered("v1", { replicas: 1 }));
    const v2 = inNamespace(namespace, context, rendered("v2", { replicas: 1, setting: "bye" }));
    assert.equal((await deploy(context, v1)).exitCode, 0);
    const process = dyingContext(context, writes);
    let isOver = false;
    void deploy(process.context, v2).finally(() => {
      isOver = true;
    });
    await until("it dies or ends", () => isOver || process.died());

    const report = await status(context);
    const second = report.newest?.number === 2 ? report.newest : undefined;
    if (second !== undefined && second.outcome !== "healthy") {
      assert.match(report.interrupted ?? "", /^release 2 \(deploy\) by aki was cut off/);
    }
    const touched = (await Promise.all(clusters.map((cluster) => imageIn(cluster, namespace)))).some(
      (image) => image === "registry.test/web:v2",
    );
    const seen = recordEvents();
    if (touched || second?.outcome === "healthy") {
      const back = await rollback(context, seen);
      assert.equal(back.exitCode, 0);
    } else {
      assert.equal((await deploy(context, v1, seen)).exitCode, 0);
    }
    for (const cluster of clusters) {
      assert.equal(await imageIn(cluster, namespace), "registry.test/web:v1");
    }
    const records = await history(context);
    assert.equal(
      records.some((record) => record.outcome === "in-progress"),
      false,
    );
  });
}

test("after a kill the next deploy says what was cut off and goes on", async () => {
  const namespace = "goes-on";
  const context = contextOf(targetsOf(clusters), { namespace, isHolderAlive: () => false });
  const v1 = inNamespace(namespace, context, rendered("v1", { replicas: 1 }));
  const process = dyingContext(context);
  void deploy(process.context, v1, { onEvent: (event) => event.type === "applied" && process.kill() });
  await until("it dies", () => process.died());
  const seen = recordEvents();
  const result = await deploy(context, v1, seen);
  assert.equal(result.exitCode, 0);
  assert.equal(result.record.number, 2);
  const found = seen.events.find((event) => event.type === "interrupted-found");
  assert.match(found?.message ?? "", /release 1 \(deploy\) by aki was cut off in wave 1 of 2/);
});

test("a lock that a living process holds is refused with its holder's name, and taken when that process is dead", async () => {
  const context = contextOf(targetsOf(clusters), { namespace: "locked", isHolderAlive: () => true });
  const v1 = inNamespace("locked", context, rendered("v1", { replicas: 1 }));
  const process = dyingContext({ ...context, who: "mio" });
  void deploy(process.context, v1, { onEvent: (event) => event.type === "started" && process.kill() });
  await until("it dies", () => process.died());
  await assert.rejects(deploy(context, v1), (error: unknown) => {
    assert.ok(error instanceof SlipwayError);
    assert.equal(error.code, "LOCK_HELD");
    assert.match(error.message, /^mio@laptop \(process 4711\) has held the lock of shop for /);
    return true;
  });
  const other = await deploy({ ...context, isHolderAlive: () => false }, v1);
  assert.equal(other.exitCode, 0);
});

test("a cluster that goes away in its wave is unknown, never healthy and never counted as rolled back", async () => {
  let isAway = false;
  const targets = targetsOf(clusters).map(({ name, client }) => ({
    name,
    client: name === "tokyo" ? unreachable(client, () => isAway) : client,
  }));
  // Each command is a process of its own, so a lock that could not be given back belongs to a dead one.
  const context = contextOf(targets, {
    namespace: "away",
    unreachableAfterMs: 300,
    isHolderAlive: () => false,
  });
  assert.equal(
    (await deploy(context, inNamespace("away", context, rendered("v1", { replicas: 1 })))).exitCode,
    0,
  );
  const result = await deploy(context, inNamespace("away", context, rendered("v2", { replicas: 1 })), {
    onEvent: (event) => {
      if (event.type === "wave-started" && event.wave === 1) isAway = true;
    },
  });
  assert.equal(result.record.outcome, "unknown");
  assert.equal(result.exitCode, 1);
  assert.deepEqual(
    result.clusters.map((cluster) => [cluster.name, cluster.verdict]),
    [
      ["osaka", "healthy"],
      ["tokyo", "unknown"],
    ],
  );
  // Refused while it is away, with nothing changed; told about when asked for.
  await assert.rejects(deploy(context, inNamespace("away", context, rendered("v3", { replicas: 1 }))), {
    code: "CLUSTER_UNREACHABLE",
    exitCode: 3,
  });
  assert.equal(
    (await status(context)).clusters.find((cluster) => cluster.name === "tokyo")?.reachable,
    false,
  );
  const back = await rollback(context);
  assert.equal(back.record.outcome, "unknown");
  assert.equal(await imageIn(clusters[0] as Cluster, "away"), "registry.test/web:v1");
  isAway = false;
  // osaka already runs v1, tokyo still v2: the next rollback brings the rest back.
  const again = await rollback(context);
  assert.equal(again.exitCode, 0);
  assert.equal(await imageIn(clusters[1] as Cluster, "away"), "registry.test/web:v1");
});

test("a right that is taken away while a release runs is told as that, and holds nothing", async () => {
  let isTaken = false;
  const targets = targetsOf(clusters).map(({ name, client }) => ({
    name,
    client: name === "tokyo" ? withoutRight(client, () => isTaken) : client,
  }));
  const context = contextOf(targets, { namespace: "right" });
  const release = (tag: string) => inNamespace("right", context, rendered(tag, { replicas: 1 }));
  assert.equal((await deploy(context, release("v1"))).exitCode, 0);
  const result = await deploy(context, release("v2"), {
    onEvent: (event) => {
      if (event.type === "wave-started" && event.wave === 1) isTaken = true;
    },
  });
  assert.equal(result.exitCode, 1);
  const { verdict, cause } = result.record.clusters["tokyo"] ?? {};
  assert.deepEqual(
    [verdict, cause?.code, cause?.blame, result.record.held],
    ["failed", "AccessDenied", "cluster", []],
  );
  assert.equal(await imageIn(clusters[0] as Cluster, "right"), "registry.test/web:v1");
  isTaken = false;
  assert.equal((await deploy(context, release("v2"))).exitCode, 0);
});

/** Whoever uses it may not change Deployments any more. */
function withoutRight(client: KubeClient, isTaken: () => boolean): KubeClient {
  return {
    ...client,
    apply: async (object, options) => {
      if (!isTaken() || object.kind !== "Deployment") return client.apply(object, options);
      const right =
        'User "ci" cannot patch resource "deployments" in API group "apps" in the namespace "right"';
      throw statusError(403, "Forbidden", `deployments.apps "web" is forbidden: ${right}`);
    },
  };
}

function unreachable(client: KubeClient, isAway: () => boolean): KubeClient {
  const lost = (): SlipwayError =>
    new SlipwayError({
      code: "CLUSTER_UNREACHABLE",
      where: "tokyo",
      message: "connection refused",
      exitCode: 3,
    });
  const broken = gated(client, async () => {
    if (isAway()) throw lost();
  });
  return {
    ...broken,
    watch: async function* (type, options) {
      const stop = new AbortController();
      const signal = AbortSignal.any([
        stop.signal,
        ...(options?.signal === undefined ? [] : [options.signal]),
      ]);
      const watching = setInterval(() => {
        if (isAway()) stop.abort();
      }, 5);
      try {
        yield* client.watch(type, { ...options, signal });
      } finally {
        clearInterval(watching);
      }
      if (isAway()) throw lost();
    } as KubeClient["watch"],
  };
}
