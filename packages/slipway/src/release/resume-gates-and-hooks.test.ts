/**
 * Going on with a release that was cut off at a gate or a hook: what was done stays done, what was begun is found again.
 * Two clusters in this process; each command is a process of its own, which the next one knows to be dead.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SlipwayError, until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import { isReason, type Job, type KubeClient, type Pod, statusError } from "@slipway/kube";
import type { GateConfig, HookConfig, ReleaseConfig } from "../config/types.ts";
import type { ReleaseEvent } from "./events.ts";
import { answerGate, waitingGate } from "./gates/approval.ts";
import type { GatePorts, GateRecord } from "./gates/gate.ts";
import { parseManifest } from "./manifests/manifests.ts";
import { renderObjects } from "./manifests/render.ts";
import type { ReleaseContext, ReleaseRecord, RenderedRelease, Target } from "./model.ts";
import { deploy, history, resume } from "./release.ts";
import { hasPassed } from "./resume.ts";
import {
  behaviours,
  contextOf,
  dyingContext,
  gated,
  image,
  recordEvents,
  targetsOf,
  tellingClock,
  UNTIL_TOLD_MS,
  webManifest,
} from "./testing.ts";

test("a gate is behind the release when its wave is finished, and a person's word is for good", () => {
  const gate = (outcome: GateRecord["outcome"], kind: GateRecord["kind"]): GateRecord => ({
    ...{ wave: 0, clusters: ["osaka", "tokyo"], name: "g", kind, outcome },
    ...{ said: "", values: {}, startedAt: 0 },
  });
  const touched = { verdict: "unknown", step: "baking", runs: 2 } as const;
  const passed = (one: GateRecord, baked: readonly string[], at = 0): boolean =>
    hasPassed(
      { gates: [one], waves: [["osaka", "tokyo"]], clusters: { osaka: touched, tokyo: touched } },
      { baked: new Set(baked) },
      { wave: at, gate: { name: "g", kind: one.kind } },
    );
  assert.equal(passed(gate("passed", "http"), ["osaka", "tokyo"]), true);
  assert.equal(passed(gate("passed", "http"), ["osaka"]), false, "tokyo bakes again");
  assert.equal(passed(gate("passed", "http"), ["osaka", "tokyo"], 1), false, "of another wave");
  assert.equal(passed(gate("waiting", "http"), ["osaka", "tokyo"]), false);
  assert.equal(passed(gate("passed", "approval"), []), true);
  assert.equal(passed(gate("failed", "approval"), []), false);
});

let clusters: Cluster[] = [];
let count = 0;
const migrating = tellingClock();

before(async () => {
  const migrate = { startMs: 5, exitAfterMs: 700, exitCode: 0, log: ["adding a column"] };
  const rows = [
    // It runs while the process dies, and until the next one has found it.
    { image: "registry.test/migrate:long*", behaviour: { ...migrate, exitAfterMs: UNTIL_TOLD_MS } },
    { image: "registry.test/migrate*", behaviour: migrate },
  ];
  const { clock } = migrating;
  clusters = await Promise.all(
    ["osaka", "tokyo"].map((name) =>
      startCluster({ name, clock, runtime: "simulated", behaviours: [...rows, ...behaviours] }),
    ),
  );
});
after(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});

const migration = (changes: Partial<HookConfig> = {}, run: object = {}): HookConfig => ({
  ...{ name: "migrate", when: "before", timeoutMs: 600_000, onRollback: false },
  run: { kind: "job", file: "hooks/migrate.yaml", in: "first-cluster", keep: 3, ...run },
  ...changes,
});
const program = (name: string): HookConfig => ({
  ...{ name, when: "before", timeoutMs: 600_000, onRollback: false },
  run: { kind: "command", command: [name] },
});
const JOB = `
apiVersion: batch/v1
kind: Job
metadata: { name: migrate }
spec:
  backoffLimit: 0
  template: { spec: { restartPolicy: Never, containers: [{ name: migrate, image: migrate }] } }
`;

interface Shop {
  readonly context: ReleaseContext;
  readonly release: RenderedRelease;
  /** Programs in the order in which they were run. */
  readonly asked: readonly string[];
}

function shop(hooks: readonly HookConfig[], release: Partial<ReleaseConfig> = {}, migrate = "v1"): Shop {
  count += 1;
  const namespace = `cut-off-${count}`;
  const asked: string[] = [];
  const ports: GatePorts = {
    get: () => Promise.reject(new Error("not here")),
    async run([program = ""]) {
      asked.push(program);
      return { exitCode: 0 };
    },
    variable: () => undefined,
  };
  const base = contextOf(targetsOf(clusters), { namespace, isHolderAlive: () => false, gates: ports });
  return {
    asked,
    context: { ...base, release: { ...base.release, ...release } },
    release: renderObjects({
      ...{ service: "shop", namespace, patches: [] },
      loaded: parseManifest(webManifest({ replicas: 1 }), "k8s/web.yaml"),
      hooks: hooks.map((config) => ({
        config,
        job: config.run.kind === "job" ? parseManifest(JOB, "hooks/migrate.yaml")[0] : undefined,
      })),
      images: [image("web", "v1"), image("migrate", migrate)],
      version: { commit: "v10000000", message: "ship v1", author: "Aki", dirty: false },
    }),
  };
}

/** Deploys in a process that is killed when it tells this. */
async function killedAt(
  { context, release }: Shop,
  isMoment: (event: ReleaseEvent) => boolean,
): Promise<void> {
  const process = dyingContext(context);
  void deploy(process.context, release, { onEvent: (event) => isMoment(event) && process.kill() });
  await until("it dies", () => process.died());
}

const jobOf = async ({ context }: Shop, cluster = 0): Promise<Job | undefined> => {
  const { namespace } = context;
  const { client } = clusters[cluster] as Cluster;
  return client
    .get<Job>({ apiVersion: "batch/v1", kind: "Job", namespace, name: "migrate-1" })
    .catch((error: unknown) => {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    });
};
/** How many pods a migration ever had; one for each time that it was done. */
async function pods({ context }: Shop, cluster = 0): Promise<number> {
  const { client } = clusters[cluster] as Cluster;
  const { items } = await client.list<Pod>(
    { apiVersion: "v1", kind: "Pod" },
    { namespace: context.namespace },
  );
  return items.filter(({ metadata }) => metadata.labels?.["job-name"] !== undefined).length;
}
const outcomes = (record: ReleaseRecord): readonly unknown[] =>
  (record.hooks ?? []).map(({ runs }) => runs.map(({ cluster, outcome }) => [cluster, outcome]));

test("a migration that had succeeded is not done a second time", async () => {
  const cutOff = shop([migration()]);
  await killedAt(cutOff, (event) => event.type === "applied" && event.cluster === "osaka");
  const before = await jobOf(cutOff);
  const seen = recordEvents();
  const { record, exitCode } = await resume(cutOff.context, seen);
  assert.equal(exitCode, 0);
  assert.equal(
    seen.events.some(({ type }) => type === "hook-started"),
    false,
  );
  assert.deepEqual(outcomes(record), [[["osaka", "succeeded"]]]);
  assert.equal((await jobOf(cutOff))?.metadata.uid, before?.metadata.uid);
  assert.equal(await pods(cutOff), 1);
});

test("a migration that was going on is found again and waited for, not begun anew", async () => {
  const cutOff = shop([migration()], {}, "long");
  await killedAt(cutOff, (event) => event.type === "hook-log");
  const before = await jobOf(cutOff);
  assert.equal(before?.status?.succeeded ?? 0, 0, "it is still going on");
  const seen = recordEvents();
  const { record, exitCode } = await resume(cutOff.context, {
    onEvent: (event) => {
      seen.onEvent(event);
      if (event.type === "hook-log") migrating.tell();
    },
  });
  assert.equal(exitCode, 0);
  const order = seen.events.flatMap(({ type }) =>
    ["hook-finished", "applied"].includes(type) ? [type] : [],
  );
  assert.deepEqual(order, ["hook-finished", "applied", "applied"]);
  assert.deepEqual(outcomes(record), [[["osaka", "succeeded"]]]);
  assert.equal((await jobOf(cutOff))?.metadata.uid, before?.metadata.uid);
  assert.equal(await pods(cutOff), 1);
});

test("a migration that ended while nobody watched has succeeded", async () => {
  const cutOff = shop([migration()]);
  await killedAt(cutOff, (event) => event.type === "hook-log");
  await until("it ends", async () => (await jobOf(cutOff))?.status?.succeeded === 1);
  const { record, exitCode } = await resume(cutOff.context);
  assert.equal(exitCode, 0);
  assert.deepEqual(outcomes(record), [[["osaka", "succeeded"]]]);
  assert.equal(await pods(cutOff), 1);
});

test("a Job of which none is kept goes only when the record knows that it has succeeded", async () => {
  const cutOff = shop([migration({}, { keep: 0 })]);
  const process = dyingContext(cutOff.context);
  const targets = process.context.targets.map(({ name, client }) => {
    const deletes: KubeClient["delete"] = async (ref, options) => {
      await client.delete(ref, options);
      if (ref.kind === "Job") process.kill();
    };
    return { name, client: { ...client, delete: deletes } as KubeClient };
  });
  void deploy({ ...process.context, targets }, cutOff.release);
  await until("it dies", () => process.died());
  const seen = recordEvents();
  const { exitCode } = await resume(cutOff.context, seen);
  assert.equal(exitCode, 0);
  assert.equal(
    seen.events.some(({ type }) => type === "hook-started"),
    false,
  );
});

test("of two hooks the one that is done is not done elsewhere, when its cluster is away by then", async () => {
  const cutOff = shop([migration(), program("seed")], { unreachable: "skip" });
  await killedAt(cutOff, (event) => event.type === "hook-started" && event.hook === "seed");
  const away = gated((cutOff.context.targets[0] as { client: KubeClient }).client, async () => {
    throw statusError(503, "ServiceUnavailable", "the cluster is being upgraded");
  });
  const [osaka, tokyo] = cutOff.context.targets;
  assert.ok(osaka !== undefined && tokyo !== undefined);
  const targets = [{ ...osaka, client: away }, tokyo];
  const { record } = await resume({ ...cutOff.context, targets, unreachableAfterMs: 300 });
  assert.deepEqual(outcomes(record), [[["osaka", "succeeded"]], [[undefined, "succeeded"]]]);
  assert.equal(record.clusters["tokyo"]?.verdict, "healthy");
  assert.equal(await pods(cutOff, 1), 0);
});

test("the hook of a cluster that was away is found again there, and holds up no other one", async () => {
  const cutOff = shop([migration({}, { in: "each" })], { unreachable: "requeue", requeueForMs: 600_000 });
  const process = dyingContext(cutOff.context);
  const [osaka, tokyo] = process.context.targets as [Target, Target];
  let isAway = true;
  const client = gated(osaka.client, async () => {
    if (isAway) throw new SlipwayError({ code: "CLUSTER_UNREACHABLE", where: "osaka", message: "refused" });
  });
  const targets = [{ ...osaka, client }, tokyo];
  void deploy({ ...process.context, targets, unreachableAfterMs: 300 }, cutOff.release, {
    onEvent(event) {
      if (event.type === "verdict" && event.cluster === "tokyo") isAway = false;
      if (event.type === "hook-log" && event.cluster === "osaka") process.kill();
    },
  });
  await until("it dies", () => process.died());
  const before = await jobOf(cutOff);
  const seen = recordEvents();
  const { exitCode } = await resume(cutOff.context, seen);
  assert.equal(exitCode, 0);
  const started = seen.events.flatMap((event) => (event.type === "hook-started" ? [event.cluster] : []));
  assert.deepEqual(started, ["osaka"]);
  assert.equal((await jobOf(cutOff))?.metadata.uid, before?.metadata.uid);
  assert.equal(await pods(cutOff), 1);
});

const smoke: GateConfig = { kind: "command", name: "smoke", timeoutMs: 600_000, command: ["smoke"] };
const person: GateConfig = { kind: "approval", name: "go", timeoutMs: 600_000 };

test("gates of a finished wave are not asked again", async () => {
  const cutOff = shop([], { waves: [["osaka"], ["tokyo"]], gates: [smoke, person] });
  const process = dyingContext(cutOff.context);
  void deploy(process.context, cutOff.release, {
    approveGates: true,
    onEvent: (event) => event.type === "applied" && event.cluster === "tokyo" && process.kill(),
  });
  await until("it dies", () => process.died());
  assert.deepEqual(cutOff.asked, ["smoke"]);
  const seen = recordEvents();
  const { record, exitCode } = await resume(cutOff.context, seen);
  assert.equal(exitCode, 0);
  const started = seen.events.flatMap((event) =>
    event.type === "gate-started" ? [[event.wave, event.gate]] : [],
  );
  assert.deepEqual(started, [[1, "smoke"]]);
  assert.deepEqual(
    record.gates?.map(({ wave, name, outcome }) => [wave, name, outcome]),
    [
      [0, "smoke", "passed"],
      [0, "go", "passed"],
      [1, "smoke", "passed"],
    ],
  );
});

test("a yes that came while the process was dead counts, and what a machine can answer is asked again", async () => {
  const cutOff = shop([], { waves: [["osaka"], ["tokyo"]], gates: [smoke, person] });
  const process = dyingContext(cutOff.context);
  void deploy(process.context, cutOff.release);
  const isWaiting = async (): Promise<boolean> =>
    (await history(cutOff.context)).some((record) => waitingGate(record) !== undefined);
  await until("somebody is asked", isWaiting);
  process.kill();
  await answerGate({ ...cutOff.context, who: "mio" }, { approved: true, message: "go" });
  const { record, exitCode } = await resume(cutOff.context);
  assert.equal(exitCode, 0);
  assert.deepEqual(
    cutOff.asked,
    ["smoke", "smoke", "smoke"],
    "twice in osaka, which baked twice, and in tokyo",
  );
  assert.deepEqual(record.gates?.find(({ kind }) => kind === "approval")?.by, "mio");
});

test("a person who has said yes is not asked again, also where the wave was not finished", async () => {
  const cutOff = shop([], { waves: [["osaka"], ["tokyo"]], gates: [person, smoke] });
  const ports = cutOff.context.gates as GatePorts;
  const process = dyingContext(cutOff.context);
  // It dies in the gate behind the person.
  const context = {
    ...process.context,
    gates: {
      ...ports,
      run: async () => {
        process.kill();
        return new Promise<never>(() => undefined);
      },
    },
  };
  void deploy(context, cutOff.release, { approveGates: true });
  await until("it dies", () => process.died());
  const seen = recordEvents();
  const { exitCode } = await resume(cutOff.context, seen);
  assert.equal(exitCode, 0);
  const started = seen.events.flatMap((event) => (event.type === "gate-started" ? [event.gate] : []));
  assert.deepEqual(started, ["smoke", "smoke"]);
});
