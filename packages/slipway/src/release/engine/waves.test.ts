/** Waves in whole clusters: bake, parallelism, gates, clusters that stay away, and those that turn bad later. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { exec, SlipwayError, until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import { isReason, type KubeClient, type Secret, statusError } from "@slipway/kube";
import type { GateConfig, ReleaseConfig } from "../../config/types.ts";
import { ensureNamespace } from "../apply/apply.ts";
import { answerGate, waitingGate } from "../gates/approval.ts";
import type { GatePorts, ServedCount } from "../gates/gate.ts";
import type { ReleaseContext, ReleaseResult, RenderedRelease, Target } from "../model.ts";
import { deploy, history } from "../release.ts";
import {
  apiClient,
  behaviours,
  contextOf,
  dyingContext,
  recordEvents,
  rendered,
  targetsOf,
  tellingClock,
  UNTIL_TOLD_MS,
} from "../testing.ts";

let clusters: Cluster[] = [];
let count = 0;
const crashing = tellingClock();

before(async () => {
  // In osaka alone: well until it is told, and then it crashes again and again.
  const later = { image: "*:later@*", behaviour: { startMs: 5, exitAfterMs: UNTIL_TOLD_MS, exitCode: 3 } };
  clusters = await Promise.all(
    ["osaka", "tokyo", "kyoto"].map((name) =>
      startCluster({
        name,
        runtime: "simulated",
        ...(name === "osaka" ? { clock: crashing.clock } : {}),
        behaviours: name === "osaka" ? [later, ...behaviours] : behaviours,
      }),
    ),
  );
});
after(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});

const ports: GatePorts = {
  async get(url, { headers = {}, signal }) {
    const answer = await fetch(url, { headers, signal });
    return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text() };
  },
  async run(command, { env, signal, onLine }) {
    const { exitCode } = await exec(command, {
      env: { ...process.env, ...env },
      signal,
      onOutput: (text) => text.trimEnd().split("\n").forEach(onLine),
    });
    return { exitCode };
  },
  variable: (name) => (name === "PROMETHEUS_TOKEN" ? "secret" : undefined),
};

function fresh(
  changes: Partial<ReleaseConfig> = {},
  more: Partial<ReleaseContext> = {},
): { context: ReleaseContext; of: (tag: string, extra?: string) => RenderedRelease } {
  count += 1;
  const namespace = `waves-${count}`;
  const base = contextOf(targetsOf(clusters), { namespace, gates: ports, ...more });
  const context = { ...base, release: { ...base.release, bakeMs: 20, ...changes } };
  return {
    context,
    of: (tag, extra = "") => {
      const release = rendered(tag, { replicas: 1, extra });
      const objects = release.objects.map((object) => ({
        ...object,
        metadata: { ...object.metadata, namespace },
      }));
      return { ...release, objects };
    },
  };
}

const times = { name: "it", timeoutMs: 600_000 };
const program = (script: string, timeoutMs = 600_000): GateConfig => ({
  kind: "command",
  name: "smoke",
  timeoutMs,
  command: ["sh", "-c", script],
});

test("one at a time: the second of a wave begins when the first is ok", async () => {
  const { context, of } = fresh({
    waves: [["osaka", "tokyo", "kyoto"]],
    waveSettings: [{ maxParallel: 1 }],
  });
  const seen = recordEvents();
  const result = await deploy(context, of("v1"), seen);
  assert.equal(result.record.outcome, "healthy");
  const order = seen.events.flatMap((event) =>
    event.type === "applied" || (event.type === "progress" && event.progress.ready === 1)
      ? [`${event.cluster} ${event.type}`]
      : [],
  );
  for (const [one, next] of [
    ["osaka", "tokyo"],
    ["tokyo", "kyoto"],
  ]) {
    assert.ok(order.indexOf(`${one} progress`) < order.indexOf(`${next} applied`), order.join());
  }
});

test("a gate that fails takes the wave back, says what it compared, and keeps the output", async () => {
  const gates = [
    program(
      'echo "wave $SLIPWAY_WAVE of release $SLIPWAY_RELEASE in $SLIPWAY_CLUSTERS"; exit $(($SLIPWAY_RELEASE - 1))',
    ),
  ];
  const { context, of } = fresh({ gates });
  assert.equal((await deploy(context, of("v1"))).record.outcome, "healthy");
  const seen = recordEvents();
  const { record } = await deploy(context, of("v2"), seen);
  assert.equal(record.outcome, "rolled-back");
  const { osaka, tokyo } = record.clusters;
  assert.equal(osaka?.cause?.code, "GateFailed");
  assert.match(osaka?.cause?.why ?? "", /gate smoke of wave 1 .* exit code 1: wave 1 of release 2 in osaka/);
  assert.equal(tokyo?.verdict, "not-started");
  assert.ok(record.evidence[0]?.notes?.includes("wave 1 of release 2 in osaka"));
  assert.deepEqual(
    record.gates?.map(({ wave, name, outcome, values }) => [wave, name, outcome, values["exitCode"]]),
    [[0, "smoke", "failed", 1]],
  );
  assert.ok(record.held.includes(record.content), "what a gate refuses is held");
  const [stored] = await history(context);
  assert.equal(stored?.gates?.[0]?.outcome, "failed");
});

test("gates of a wave replace those of the release, and a gate without an end is ended", async () => {
  const { context, of } = fresh({
    waves: [["osaka"], ["tokyo"], ["kyoto"]],
    gates: [program("true")],
    waveSettings: [{}, { gates: [program("exec sleep 60", 300)] }, {}],
    onFailure: "halt",
  });
  const { record } = await deploy(context, of("v1"));
  assert.deepEqual(
    Object.entries(record.clusters).map(([name, { verdict }]) => [name, verdict]),
    [
      ["osaka", "healthy"],
      ["tokyo", "failed"],
      ["kyoto", "not-started"],
    ],
  );
  assert.match(record.clusters["tokyo"]?.cause?.why ?? "", /not passed within 300 ms: .*did not end/);
  assert.deepEqual(record.held, [], "a gate that could not conclude holds nothing");
});

test("an http gate and a query ask real servers, the query with its token", async () => {
  const asked: string[] = [];
  let errors = "0.002";
  const server = createServer((request, response) => {
    asked.push(`${decodeURIComponent(request.url ?? "")} ${request.headers.authorization ?? ""}`);
    if (request.url === "/healthz") return response.end("ok");
    const data = { resultType: "vector", result: [{ metric: {}, value: [1, errors] }] };
    return response.end(JSON.stringify({ status: "success", data }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const http: GateConfig = {
      ...{ kind: "http", ...times, name: "health", url: `${url}/healthz`, status: 200, body: "ok" },
      ...{ headers: {}, attempts: 2, intervalMs: 5 },
    };
    const query: GateConfig = {
      ...{ kind: "prometheus", ...times, name: "errors", url, query: "rate(errors[1m])" },
      ...{ expect: { operator: "<", value: 0.01 }, tokenFrom: "PROMETHEUS_TOKEN", noData: "fail" },
    };
    const { context, of } = fresh({ waves: [["osaka", "tokyo", "kyoto"]], gates: [http, query] });
    assert.equal((await deploy(context, of("v1"))).record.outcome, "healthy");
    assert.deepEqual(asked, ["/healthz ", "/healthz ", "/api/v1/query?query=rate(errors[1m]) Bearer secret"]);
    errors = "0.5";
    const { record } = await deploy(context, of("v2"));
    assert.equal(record.outcome, "rolled-back");
    assert.match(record.clusters["osaka"]?.cause?.why ?? "", /rate\(errors\[1m\]\) is 0.5, expected < 0.01/);
  } finally {
    server.close();
  }
});

test("the edge's counters of new and old pods are told apart", async () => {
  const served: ServedCount[] = [];
  const gate: GateConfig = {
    ...{ kind: "error-ratio", ...times, name: "errors", service: "web" },
    ...{ maxIncrease: 0.01, minRequests: 100, tooFew: "fail" },
  };
  const { context, of } = fresh(
    { gates: [gate], onFailure: "halt" },
    {
      gates: { ...ports, served: { by: "edge", count: async () => ({ counts: [...served], missing: [] }) } },
    },
  );
  const waves = context.release.waves;
  await deploy({ ...context, release: { ...context.release, gates: [] } }, of("v1"));
  const replicaSets = async (): Promise<string[]> => {
    const { items } = await (clusters[0] as Cluster).client.list(
      { apiVersion: "apps/v1", kind: "ReplicaSet" },
      { namespace: context.namespace },
    );
    return items.map((item) => item.metadata.name);
  };
  const [old] = await replicaSets();
  served.push({ cluster: "osaka", service: "web", replicaSet: old ?? "", requests: 1000, errors: 1 });
  const running = deploy(context, of("v2"));
  await until("the new ReplicaSet is there", async () => (await replicaSets()).length === 2);
  const fresh2 = (await replicaSets()).find((name) => name !== old) ?? "";
  served.push({ cluster: "osaka", service: "web", replicaSet: fresh2, requests: 200, errors: 50 });
  const { record } = await running;
  assert.equal(waves.length, 3);
  assert.match(
    record.clusters["osaka"]?.cause?.why ?? "",
    /new release 50 of 200 requests failed \(25 %\), the one before 1 of 1000 requests failed \(0.1 %\)/,
  );
});

test("a person answers from another machine, and the record says who", async () => {
  const gate: GateConfig = { kind: "approval", ...times, name: "go" };
  const { context, of } = fresh({ waves: [["osaka"], ["tokyo", "kyoto"]], gates: [gate] });
  const elsewhere = { ...context, who: "mio", from: "cli" };
  const running = deploy(context, of("v1"));
  await until(
    "somebody is asked",
    async () => waitingGate((await history(elsewhere))[0] ?? NONE) !== undefined,
  );
  const { clusters: told } = await answerGate(elsewhere, { approved: true, message: "looks good" });
  assert.equal(told.includes("osaka"), true);
  const { record } = await running;
  assert.equal(record.outcome, "healthy");
  assert.deepEqual(
    record.gates?.map(({ wave, outcome, by, said }) => [wave, outcome, by, said]),
    [[0, "passed", "mio", "approved by mio (cli): looks good"]],
  );
  await assert.rejects(answerGate(elsewhere, { approved: true, message: "" }), {
    code: "APPROVAL_NOT_WANTED",
  });
});

test("a person who says no fails the wave; who runs it may pass such gates beforehand", async () => {
  const gate: GateConfig = { kind: "approval", ...times, name: "go" };
  const { context, of } = fresh({ waves: [["osaka"], ["tokyo", "kyoto"]], gates: [gate] });
  const first = await deploy(context, of("v1"), { approveGates: true });
  assert.equal(first.record.outcome, "healthy");
  assert.equal(first.record.gates?.[0]?.by, "aki");
  const running = deploy(context, of("v2"));
  await until(
    "somebody is asked",
    async () => waitingGate((await history(context))[0] ?? NONE) !== undefined,
  );
  await answerGate(context, { approved: false, message: "errors in the log" });
  const { record } = await running;
  assert.equal(record.outcome, "rolled-back");
  assert.match(record.clusters["osaka"]?.cause?.why ?? "", /rejected by aki \(test\): errors in the log/);
});

const NONE = { outcome: "healthy", gates: [] } as const;

/** A client whose cluster is away while `isAway` says so. */
function sometimesAway(client: KubeClient, isAway: () => boolean): KubeClient {
  const pass =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (isAway()) {
        throw new SlipwayError({ code: "CLUSTER_UNREACHABLE", where: client.name, message: "refused" });
      }
      return call(...args);
    };
  return {
    ...client,
    version: pass(client.version),
    get: pass(client.get) as KubeClient["get"],
    list: pass(client.list) as KubeClient["list"],
    create: pass(client.create) as KubeClient["create"],
    replace: pass(client.replace) as KubeClient["replace"],
    patch: pass(client.patch) as KubeClient["patch"],
    apply: pass(client.apply) as KubeClient["apply"],
    delete: pass(client.delete),
  };
}

function withAway(context: ReleaseContext, name: string, isAway: () => boolean): ReleaseContext {
  const targets = context.targets.map((target) =>
    target.name === name ? { ...target, client: sometimesAway(target.client, isAway) } : target,
  );
  return { ...context, targets, unreachableAfterMs: 200 };
}

test("a requeued cluster is applied after the others, when it is back, and judged like them", async () => {
  const { context, of } = fresh({ unreachable: "requeue", requeueForMs: 600_000 });
  let isAway = true;
  const seen = recordEvents();
  const running = deploy(
    withAway(context, "osaka", () => isAway),
    of("v1"),
    {
      onEvent: (event) => {
        seen.onEvent(event);
        if (event.type === "verdict" && event.cluster === "kyoto") isAway = false;
      },
    },
  );
  const { record } = await running;
  assert.equal(record.outcome, "healthy");
  const verdicts = seen.events.flatMap((event) => (event.type === "verdict" ? [event.cluster] : []));
  assert.deepEqual(verdicts, ["tokyo", "kyoto", "osaka"]);
  assert.equal(record.clusters["osaka"]?.runs, 1);
  const [stored] = await history(context);
  assert.equal(stored?.outcome, "healthy");
});

test("a requeued cluster that goes away in the middle is tried again too, and unknown at the deadline", async () => {
  const { context, of } = fresh({ unreachable: "requeue", requeueForMs: 300 });
  let isAway = false;
  const seen = recordEvents();
  const { record, exitCode } = await deploy(
    withAway(context, "osaka", () => isAway),
    of("v1"),
    {
      onEvent: (event) => {
        seen.onEvent(event);
        if (event.type === "wave-started" && event.wave === 0) isAway = true;
      },
    },
  );
  assert.equal(record.outcome, "unknown");
  assert.equal(exitCode, 1);
  assert.deepEqual(
    ["osaka", "tokyo", "kyoto"].map((name) => record.clusters[name]?.verdict),
    ["unknown", "healthy", "healthy"],
  );
  assert.equal(seen.events.filter((event) => event.type === "requeued").length, 1);
});

test("a skipped cluster is left behind as unknown, and the waves after it go on", async () => {
  const { context, of } = fresh({ unreachable: "skip" });
  let isAway = false;
  const { record } = await deploy(
    withAway(context, "osaka", () => isAway),
    of("v1"),
    {
      onEvent: (event) => {
        if (event.type === "wave-started" && event.wave === 0) isAway = true;
      },
    },
  );
  assert.equal(record.outcome, "unknown");
  assert.deepEqual(
    ["osaka", "tokyo", "kyoto"].map((name) => record.clusters[name]?.verdict),
    ["unknown", "healthy", "healthy"],
  );
});

const MOMENTS = {
  "is planned": "planned",
  "has its locks": "locked",
  "closes what was cut off": "slipway.shop.1",
  "writes its record": "slipway.shop.2",
} as const;

for (const [what, moment] of Object.entries(MOMENTS)) {
  for (const policy of ["skip", "requeue"] as const) {
    test(`a cluster that goes away when the release ${what} is left to the policy ${policy}`, async () => {
      const { context, of } = fresh({ unreachable: policy, requeueForMs: 600_000 });
      const isHolderAlive = ({ pid }: { pid: number }): boolean => pid !== 4711;
      const before = dyingContext(context);
      void deploy(before.context, of("v0"), {
        onEvent: (event) => event.type === "started" && before.kill(),
      });
      await until("it dies", () => before.died());
      let isAway = false;
      let hasGone = false;
      const leave = (): void => {
        isAway ||= !hasGone;
        hasGone = true;
      };
      const targets = context.targets.map(({ name, client }) => {
        if (name !== "osaka") return { name, client };
        const away = sometimesAway(client, () => isAway);
        const apply: KubeClient["apply"] = (object, options) => {
          if (object.metadata.name === moment) leave();
          return away.apply(object, options);
        };
        return { name, client: { ...away, apply } };
      });
      const seen = recordEvents();
      const later = { ...context, targets, pid: 4712, isHolderAlive, unreachableAfterMs: 200 };
      const { record } = await deploy(later, of("v1"), {
        onEvent: (event) => {
          seen.onEvent(event);
          if (event.type === moment) leave();
          if (event.type === "verdict" && event.cluster === "kyoto") isAway = false;
        },
      });
      const isBack = policy === "requeue";
      assert.deepEqual(
        ["osaka", "tokyo", "kyoto"].map((name) => record.clusters[name]?.verdict),
        [isBack ? "healthy" : "unknown", "healthy", "healthy"],
      );
      assert.equal(record.outcome, isBack ? "healthy" : "unknown");
      const told = JSON.stringify(
        seen.events.filter(({ type }) => type === "requeued" || type === "warning"),
      );
      assert.match(told, isBack ? /"requeued","cluster":"osaka"/ : /left behind as unknown: refused/);
    });
  }
}

test("without a policy, a cluster that is away when it is locked stops the release before anything is changed", async () => {
  const { context, of } = fresh();
  let isAway = false;
  const running = deploy(
    withAway(context, "osaka", () => isAway),
    of("v1"),
    {
      onEvent: (event) => {
        if (event.type === "planned") isAway = true;
      },
    },
  );
  await assert.rejects(running, { code: "CLUSTER_UNREACHABLE" });
  assert.deepEqual(await history(context).catch(() => []), []);
});

test("a requeued cluster that somebody else released to in the meantime is left to them", async () => {
  const { context, of } = fresh({ unreachable: "requeue", requeueForMs: 600_000 });
  await deploy(context, of("v1"));
  let isAway = true;
  const others = { ...context, who: "mio", host: "ci", pid: 1, isHolderAlive: () => false };
  const osakaOnly = {
    ...others,
    targets: context.targets.filter(({ name }) => name === "osaka"),
    release: { ...context.release, waves: [["osaka"]] },
  };
  const { record } = await deploy(
    withAway(context, "osaka", () => isAway),
    of("v2"),
    {
      async onEvent(event) {
        if (event.type !== "wave-started" || event.wave !== 1) return;
        await deploy(osakaOnly, of("v3"));
        isAway = false;
      },
    },
  );
  assert.equal(record.outcome, "unknown");
  assert.match(record.clusters["osaka"]?.reason ?? "", /was given release 2 by mio/);
});

const NEEDS_SECRET = `          env:
            - { name: A, valueFrom: { secretKeyRef: { name: db, key: password } } }`;

/** Deploys while osaka is away, which comes back when kyoto has its verdict. */
async function deployWithReturn(
  context: ReleaseContext,
  release: RenderedRelease,
): Promise<{ result: ReleaseResult; seen: ReturnType<typeof recordEvents> }> {
  let isAway = true;
  const seen = recordEvents();
  const result = await deploy(
    withAway(context, "osaka", () => isAway),
    release,
    {
      onEvent: (event) => {
        seen.onEvent(event);
        if (event.type === "verdict" && event.cluster === "kyoto") isAway = false;
      },
    },
  );
  return { result, seen };
}

async function isEmpty(context: ReleaseContext, name: string): Promise<boolean> {
  const target = context.targets.find((one) => one.name === name);
  const ref = { apiVersion: "v1", kind: "Namespace", name: context.namespace };
  return (target as Target).client.get(ref).then(
    () => false,
    (error: unknown) => isReason(error, "NotFound"),
  );
}

test("a requeued cluster that is back is planned and looked at first: what is refused there changes nothing", async () => {
  const { context, of } = fresh({ unreachable: "requeue", requeueForMs: 600_000 });
  for (const { name, client } of context.targets) {
    if (name === "osaka") continue;
    await ensureNamespace(client, context.namespace, "shop");
    const metadata = { name: "db", namespace: context.namespace };
    await client.create({ apiVersion: "v1", kind: "Secret", metadata, data: { password: "eA==" } } as Secret);
  }
  const { result, seen } = await deployWithReturn(context, of("v1", NEEDS_SECRET));
  assert.equal(result.record.outcome, "unknown");
  assert.equal(result.exitCode, 1);
  assert.deepEqual(
    ["osaka", "tokyo", "kyoto"].map((name) => result.record.clusters[name]?.verdict),
    ["not-started", "healthy", "healthy"],
  );
  const told = seen.events.find((event) => event.type === "verdict" && event.cluster === "osaka");
  assert.ok(told?.type === "verdict");
  assert.match(told.reason ?? "", /^osaka\/.*: needs Secret "db"/);
  assert.equal(result.clusters.find(({ name }) => name === "osaka")?.reason, told.reason);
  assert.equal(await isEmpty(context, "osaka"), true);
  const [stored] = await history(context);
  assert.deepEqual([stored?.outcome, stored?.clusters["osaka"]?.runs], ["unknown", undefined]);
});

test("what the API server refuses in a dry run is not begun in a requeued cluster either", async () => {
  const { context, of } = fresh({ unreachable: "requeue", requeueForMs: 600_000 });
  const refusing = context.targets.map((target) =>
    target.name === "osaka" ? { ...target, client: refusesDryRuns(target.client) } : target,
  );
  const { result } = await deployWithReturn({ ...context, targets: refusing }, of("v1"));
  assert.equal(result.record.clusters["osaka"]?.verdict, "not-started");
  assert.match(result.record.clusters["osaka"]?.reason ?? "", /^osaka\/ConfigMap .*: denied by policy/);
  assert.equal(await isEmpty(context, "osaka"), true);
});

function refusesDryRuns(client: KubeClient): KubeClient {
  return {
    ...client,
    apply: (object, options) =>
      options.dryRun === true
        ? Promise.reject(statusError(422, "Invalid", "denied by policy"))
        : client.apply(object, options),
  };
}

test("a requeued cluster that comes back as another one is not even locked", async () => {
  const { context, of } = fresh({ unreachable: "requeue", requeueForMs: 600_000 });
  const placed = context.targets.map((target) => ({ ...target, place: `context ${target.name}` }));
  await deploy({ ...context, targets: placed }, of("v1"));
  const stranger = apiClient("stranger");
  const moved = placed.map((target) => (target.name === "osaka" ? { ...target, client: stranger } : target));
  const { result } = await deployWithReturn({ ...context, targets: moved }, of("v2"));
  assert.equal(result.record.clusters["osaka"]?.verdict, "not-started");
  assert.match(result.record.clusters["osaka"]?.reason ?? "", /context osaka leads to the cluster/);
  const leases = await stranger.list({ apiVersion: "coordination.k8s.io/v1", kind: "Lease" });
  assert.deepEqual(leases.items, []);
});

test("a cluster that crashes after its wave was healthy fails the release while later waves run", async () => {
  const { context, of } = fresh({
    waves: [["osaka"], ["tokyo"], ["kyoto"]],
    waveSettings: [{}, { bakeMs: 600_000 }, {}],
  });
  await deploy({ ...context, release: { ...context.release, waveSettings: [] } }, of("v1"));
  const seen = recordEvents();
  const { record } = await deploy(context, of("later"), {
    onEvent: (event) => {
      seen.onEvent(event);
      if (event.type === "applied" && event.cluster === "tokyo") crashing.tell();
    },
  });
  const verdicts = seen.events.flatMap((event) =>
    event.type === "verdict" ? [`${event.cluster} ${event.verdict}`] : [],
  );
  assert.deepEqual(verdicts, ["osaka healthy", "osaka failed"]);
  assert.equal(record.outcome, "rolled-back");
  assert.equal(record.clusters["osaka"]?.verdict, "failed");
  assert.equal(record.clusters["osaka"]?.cause?.code, "ContainerCrash");
  assert.equal(record.clusters["tokyo"]?.restored?.ok, true);
  assert.equal(record.clusters["kyoto"]?.verdict, "not-started");
});
