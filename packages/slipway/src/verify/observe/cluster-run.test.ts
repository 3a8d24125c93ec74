import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError, seededRandom, systemClock, until } from "@slipway/base";
import {
  bootstrapCluster,
  createApi,
  createMemoryClient,
  createStore,
  type KubeClient,
  type KubeObject,
} from "@slipway/kube";
import { openNamespace } from "../cluster/namespace.ts";
import { collect } from "../collect.ts";
import { decideChecks } from "../run.ts";
import { describeCluster, ready } from "../verify.ts";
import type { ClusterRunner } from "./cluster-run.ts";

const NAMESPACE = { apiVersion: "v1", kind: "Namespace", name: "verify-1" } as const;

function cluster(): KubeClient {
  const api = createApi({
    store: createStore(),
    now: () => systemClock.now(),
    random: seededRandom(1),
  });
  bootstrapCluster(api);
  return createMemoryClient({ name: "test", api });
}

/** A place with a namespace of the run in it; `onOpen` is called when that is there and the place is not yet handed out. */
function places(client: KubeClient, onOpen: () => void = () => {}): ClusterRunner {
  return {
    open: async () => {
      const namespace = await openNamespace({
        client,
        name: NAMESPACE.name,
        ttlMs: 60_000,
        clock: systemClock,
      });
      onOpen();
      return {
        client,
        namespace: namespace.name,
        where: `namespace ${namespace.name}`,
        built: [],
        appliedName: (_kind, name) => name,
        project: () => Promise.reject(new TypeError("no workload is checked here")),
        close: async () => void (await namespace.remove(0)),
      };
    },
  };
}

const isEnding = async (client: KubeClient): Promise<boolean> =>
  (await client.get<KubeObject>(NAMESPACE)).metadata.deletionTimestamp !== undefined;

const decide = async (signal: AbortSignal, clusters: ClusterRunner) =>
  decideChecks(
    await collect(() => describeCluster((t) => t.within("60s").object("v1/ConfigMap", "late").exists())),
    { images: [], root: "/x", clock: systemClock, clusters, signal },
  );

test("an interrupted run closes its place and ends at once", async () => {
  const stop = new AbortController();
  const client = cluster();
  let looks = 0;
  const counted: KubeClient = {
    ...client,
    get: (ref) => {
      if (ref.kind === "ConfigMap") looks += 1;
      return client.get(ref);
    },
  };
  const running = decide(stop.signal, places(counted));
  running.catch(() => {}); // what it rejects with is asked below
  await until("it waits for the object", () => looks > 1);
  const startedAt = systemClock.monotonic();
  stop.abort(new Error("interrupted"));
  await assert.rejects(running, /interrupted/);
  assert.ok(systemClock.monotonic() - startedAt < 30_000, "without it the run waits for 60 s");
  assert.ok(await isEnding(client), "the namespace is being removed");
});

test("interrupted while the place is being made, it is closed all the same", async () => {
  const stop = new AbortController();
  const client = cluster();
  const running = decide(
    stop.signal,
    places(client, () => stop.abort(new Error("interrupted"))),
  );
  await assert.rejects(running, /interrupted/);
  assert.ok(await isEnding(client), "the namespace is being removed");
});

test("interrupted before it begins, nothing is made", async () => {
  const client = cluster();
  await assert.rejects(decide(AbortSignal.abort(new Error("interrupted")), places(client)), /interrupted/);
  await assert.rejects(client.get(NAMESPACE), { code: "KUBE_NOTFOUND" });
});

test("a workload that is not as readyWhen says it fails the checks of all, as in Compose", async () => {
  const client = cluster();
  const asked: string[] = [];
  const open = places(client);
  const clusters: ClusterRunner = {
    open: async (place) => ({
      ...(await open.open(place)),
      project: (services) => {
        asked.push(services.join());
        const facts = { code: "VERIFY_WORKLOAD_NOT_READY", where: `verify-1/${services[0]}` };
        return Promise.reject(new SlipwayError({ ...facts, message: 'waiting for "up" in its log' }));
      },
    }),
  };
  const checks = await collect(() =>
    describeCluster({ readyWhen: { db: ready.log("up") } }, (t) => {
      t.in("web").port(80).listening();
      t.in("api").log.contains("x");
    }),
  );
  const results = await decideChecks(checks, { images: [], root: "/x", clock: systemClock, clusters });
  assert.deepEqual(
    results.map(({ verdict, evidence }) => `${verdict}: ${evidence}`),
    Array<string>(2).fill('fail: verify-1/db: waiting for "up" in its log'),
  );
  assert.deepEqual(asked, ["db"], "it is waited for once, and nothing else then");
});

test("secrets that commands get are not shown, those of readyWhen and those of checks", async () => {
  const open = places(cluster());
  const clusters: ClusterRunner = {
    open: async (place) => ({
      ...(await open.open(place)),
      project: () =>
        Promise.reject(
          new SlipwayError({
            code: "VERIFY_WORKLOAD_NOT_READY",
            where: "verify-1/db",
            message: "waiting for exit code 0 of login (it exits with 1: no hunter-2, no correct-horse)",
          }),
        ),
    }),
  };
  const checks = await collect(() =>
    describeCluster(
      { readyWhen: { db: ready.cmd(["login"], { env: { DB_PASSWORD: "hunter-2" } }) } },
      (t) =>
        void t
          .in("db")
          .command(["login"], { env: { ADMIN_PASSWORD: "correct-horse" } })
          .exits(0),
    ),
  );
  const [result] = await decideChecks(checks, { images: [], root: "/x", clock: systemClock, clusters });
  assert.match(result?.evidence ?? "", /it exits with 1: no •••, no •••\)$/);
});
