/** Hooks in whole clusters: Jobs and programs around a release, what they print, and what their failure means. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Clock, exec, SlipwayError, systemClock, until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import { type Deployment, isReason, type Job, type KubeClient, StatusError } from "@slipway/kube";
import type { HookConfig } from "../../config/types.ts";
import type { GatePorts } from "../gates/gate.ts";
import { takeLock } from "../lock/lock.ts";
import { parseManifest } from "../manifests/manifests.ts";
import { renderObjects } from "../manifests/render.ts";
import type { ReleaseContext, RenderedRelease, Target } from "../model.ts";
import { deploy, planRelease, rollback } from "../release.ts";
import {
  behaviours,
  contextOf,
  gated,
  image,
  MIGRATION,
  recordEvents,
  targetsOf,
  tellingClock,
  UNTIL_TOLD_MS,
  webManifest,
} from "../testing.ts";

let clusters: Cluster[] = [];
let count = 0;

const migrations = [
  ["migrate:good*", { startMs: 5, exitAfterMs: 20, exitCode: 0, log: ["adding a column", "done"] }],
  ["migrate:bad*", { startMs: 5, exitAfterMs: 20, exitCode: 7, log: ["no such table: orders"] }],
  ["migrate:slow*", { startMs: 5, log: ["waiting for a lock"] }],
  [
    "migrate:while*",
    { startMs: 5, exitAfterMs: 400, exitCode: 0, log: ["adding a column", "filling it", "done"] },
  ],
  [
    "migrate:gone*",
    { refusal: { reason: "ErrImagePull", message: "unauthorized: authentication required" } },
  ],
] as const;

before(async () => {
  const rows = migrations.map(([name, behaviour]) => ({ image: `registry.test/${name}`, behaviour }));
  const half = { image: "registry.test/migrate:half*", behaviour: migrations[1][1] };
  clusters = await Promise.all(
    ["osaka", "tokyo"].map((name) => {
      // Of one image the migration fails in osaka alone.
      const own =
        name === "osaka" ? [half] : [{ ...half, behaviour: { startMs: 5, exitAfterMs: 5, exitCode: 0 } }];
      return startCluster({ name, runtime: "simulated", behaviours: [...own, ...rows, ...behaviours] });
    }),
  );
});
after(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});

const ports: GatePorts = {
  get: () => Promise.reject(new Error("not here")),
  run: async (command, { env, signal, onLine }) => {
    const onOutput = (text: string): void => text.trimEnd().split("\n").forEach(onLine);
    const { exitCode } = await exec(command, { env: { ...process.env, ...env }, signal, onOutput });
    return { exitCode };
  },
  variable: () => undefined,
};

const migration = (changes: Partial<HookConfig> = {}, run: Record<string, unknown> = {}): HookConfig => ({
  name: "migrate",
  when: "before",
  timeoutMs: 600_000,
  onRollback: false,
  run: { kind: "job", file: "hooks/migrate.yaml", in: "first-cluster", keep: 2, ...run } as HookConfig["run"],
  ...changes,
});

const program = (when: "before" | "after", script: string): HookConfig => ({
  ...{ name: "script", when, timeoutMs: 600_000, onRollback: false },
  run: { kind: "command", command: ["sh", "-c", script] },
});

function fresh(onFailure: ReleaseContext["release"]["onFailure"] = "rollback-all"): {
  context: ReleaseContext;
  of: (tag: string, migrateTag: string, hooks: readonly HookConfig[], job?: string) => RenderedRelease;
} {
  count += 1;
  const namespace = `hooks-${count}`;
  const base = contextOf(targetsOf(clusters), { namespace, gates: ports });
  return {
    context: { ...base, release: { ...base.release, onFailure } },
    of: (tag, migrateTag, hooks, job = MIGRATION) =>
      renderObjects({
        service: "shop",
        namespace,
        loaded: parseManifest(webManifest({ replicas: 1, setting: tag }), "k8s/web.yaml"),
        patches: [],
        hooks: hooks.map((config) => ({
          config,
          job: config.run.kind === "job" ? parseManifest(job, "hooks/migrate.yaml")[0] : undefined,
        })),
        images: [image("web", tag), image("migrate", migrateTag)],
        version: { commit: `${tag}0000000`, message: `ship ${tag}`, author: "Aki", dirty: false },
      }),
  };
}

async function jobsIn(cluster: number, namespace: string): Promise<readonly string[]> {
  const { client } = clusters[cluster] as Cluster;
  const { items } = await client.list<Job>({ apiVersion: "batch/v1", kind: "Job" }, { namespace });
  return items.map(({ metadata }) => metadata.name).sort();
}

async function isThere(namespace: string): Promise<boolean> {
  const { client } = clusters[0] as Cluster;
  return client
    .get<Deployment>({ apiVersion: "apps/v1", kind: "Deployment", namespace, name: "web" })
    .then(() => true)
    .catch((error: unknown) => {
      if (isReason(error, "NotFound")) return false;
      throw error;
    });
}

test("a migration runs before anything is applied, with the release's own settings, and its log is told", async () => {
  const { context, of } = fresh();
  const seen = recordEvents();
  const { record } = await deploy(context, of("v1", "good", [migration()]), seen);
  assert.equal(record.outcome, "healthy");
  const order = seen.events.flatMap((event) =>
    event.type === "hook-log"
      ? [event.line]
      : ["hook-started", "hook-finished", "applied"].includes(event.type)
        ? [event.type]
        : [],
  );
  assert.deepEqual(order, ["hook-started", "adding a column", "done", "hook-finished", "applied", "applied"]);
  assert.deepEqual(await jobsIn(0, context.namespace), ["migrate-1"]);
  assert.deepEqual(await jobsIn(1, context.namespace), []);
  assert.deepEqual(
    record.hooks?.map(({ hook, runs }) => [
      hook.name,
      runs.map(({ cluster, outcome }) => [cluster, outcome]),
    ]),
    [["migrate", [["osaka", "succeeded"]]]],
  );
});

/** A cluster that tells of a Job's end, when asked, before its watch tells of any pod. */
function withoutNewsOfPods(client: KubeClient): KubeClient {
  const silent = (signal: AbortSignal | undefined): AsyncIterable<never> => ({
    [Symbol.asyncIterator]: () => ({
      next: () =>
        new Promise((resolve) => {
          signal?.addEventListener("abort", () => resolve({ done: true, value: undefined }), { once: true });
        }),
    }),
  });
  const watch = ((type, options) =>
    type.kind === "Pod" ? silent(options?.signal) : client.watch(type, options)) as KubeClient["watch"];
  return { ...client, watch };
}

for (const [tag, words, why] of [
  ["good", ["adding a column", "done"], /^$/],
  ["bad", ["no such table: orders"], /the Job failed: .*exit code 7/],
] as const)
  test(`a migration whose end is heard of before its pod has its words and its reason all the same: ${tag}`, async () => {
    const { context, of } = fresh();
    const seen = recordEvents();
    const targets = context.targets.map(({ name, client }) => ({ name, client: withoutNewsOfPods(client) }));
    // Nothing is applied after it: no watch would tell how that goes.
    const stop = new AbortController();
    const { record } = await deploy({ ...context, targets }, of("v1", tag, [migration()]), {
      signal: stop.signal,
      onEvent: (event) => {
        seen.onEvent(event);
        if (event.type === "hook-finished") stop.abort(new Error("enough"));
      },
    });
    const lines = seen.events.flatMap((event) => (event.type === "hook-log" ? [event.line] : []));
    assert.deepEqual(lines, words);
    assert.match(record.hooks?.[0]?.runs[0]?.cause?.why ?? "", why);
  });

test("a log that does not end with its migration is not waited for longer than a cluster that is silent", async () => {
  const { context, of } = fresh();
  const seen = recordEvents();
  const unending: KubeClient["logs"] = async function* (_pod, options) {
    yield Buffer.from("adding a column\n");
    await new Promise<void>((resolve) => options?.signal?.addEventListener("abort", () => resolve()));
  };
  const targets = context.targets.map(({ name, client }) => ({
    name,
    client: { ...client, logs: unending },
  }));
  const patient = { ...context, targets, unreachableAfterMs: 300 };
  const { record } = await deploy(patient, of("v1", "good", [migration()]), seen);
  assert.equal(record.outcome, "healthy");
  const lines = seen.events.flatMap((event) => (event.type === "hook-log" ? [event.line] : []));
  assert.deepEqual(lines, ["adding a column"]);
});

test("a migration that fails stops the release: nothing has been changed, and its words are kept", async () => {
  const { context, of } = fresh();
  const seen = recordEvents();
  const { record, exitCode } = await deploy(context, of("v1", "bad", [migration()]), seen);
  assert.equal(record.outcome, "failed");
  assert.equal(exitCode, 1);
  assert.ok(Object.values(record.clusters).every(({ verdict }) => verdict === "not-started"));
  assert.equal(await isThere(context.namespace), false);
  const [run] = record.hooks?.[0]?.runs ?? [];
  assert.equal(run?.cause?.code, "HookFailed");
  assert.match(run?.cause?.why ?? "", /hook migrate: the Job failed: .*exit code 7/);
  assert.ok(record.evidence[0]?.notes?.includes("| no such table: orders"));
  // There is no container before the only one that a pod of a Job has had.
  assert.match(run?.cause?.command ?? "", / logs migrate-1-\w+ -c migrate$/);
});

test("an image that the node may not pull is named as such, at once", async () => {
  const { context, of } = fresh();
  const { record } = await deploy(context, of("v1", "gone", [migration()]));
  assert.equal(record.hooks?.[0]?.runs[0]?.cause?.code, "ImagePullAuth");
});

test("a migration that does not end is ended, and what it waited for is said", async () => {
  const { context, of } = fresh();
  const { clock, tell } = tellingClock();
  const hook = migration({ timeoutMs: UNTIL_TOLD_MS });
  const { record } = await deploy({ ...context, clock }, of("v1", "slow", [hook]), {
    onEvent: ({ type }) => type === "hook-log" && tell(),
  });
  const [run] = record.hooks?.[0]?.runs ?? [];
  assert.equal(run?.outcome, "timed-out");
  assert.equal(run?.cause?.code, "HookTimedOut");
  assert.match(
    run?.cause?.why ?? "",
    /did not end within [\d.]+ s and was ended; last seen: .*(?:is running|has just started)$/,
  );
  assert.deepEqual(await jobsIn(0, context.namespace), [], "a migration must not go on behind the release");
});

test("each cluster gets its Job, and of finished ones as many stay as are to be kept", async () => {
  const { context, of } = fresh();
  const hook = migration({}, { in: "each", keep: 1 });
  await deploy(context, of("v1", "good", [hook]));
  await deploy(context, of("v2", "good", [hook]));
  assert.deepEqual(await jobsIn(0, context.namespace), ["migrate-2"]);
  assert.deepEqual(await jobsIn(1, context.namespace), ["migrate-2"]);
});

test("a program after the last wave that fails takes the release back", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1", "good", []));
  const hooks = [program("after", 'echo "release $SLIPWAY_RELEASE is slow"; exit 3')];
  const { record } = await deploy(context, of("v2", "good", hooks));
  assert.equal(record.outcome, "rolled-back");
  assert.equal(record.clusters["tokyo"]?.cause?.code, "HookFailed");
  assert.equal(record.clusters["osaka"]?.restored?.ok, true);
  const notes = record.evidence.flatMap((one) => one.notes ?? []);
  assert.ok(notes.includes("| release 2 is slow"), notes.join("\n"));
});

test("where failures halt, a program after the last wave leaves the release in place and failed", async () => {
  const { context, of } = fresh("halt");
  await deploy(context, of("v1", "good", []));
  const { record } = await deploy(context, of("v2", "good", [program("after", "exit 3")]));
  assert.equal(record.outcome, "failed");
  assert.equal(record.clusters["osaka"]?.verdict, "healthy");
});

test("a rollback runs the stored hooks that are meant for it, and no others", async () => {
  const { context, of } = fresh();
  const hooks = [migration(), migration({ name: "warm", onRollback: true })];
  await deploy(context, of("v1", "good", hooks));
  await deploy(context, of("v2", "good", []));
  const { record } = await rollback(context);
  assert.equal(record.outcome, "healthy");
  assert.deepEqual(
    record.hooks?.map(({ hook, runs }) => [hook.name, runs[0]?.outcome]),
    [["warm", "succeeded"]],
  );
});

test("a plan tries each hook's Job where it will run, and looks for what it refers to", async () => {
  const { context, of } = fresh();
  // In a namespace that is not there yet nothing can be tried.
  await deploy(context, of("v0", "good", []));
  const bad = MIGRATION.replace(
    "restartPolicy: Never",
    "restartPolicy: Sometimes\n      serviceAccountName: gone",
  );
  const wrong = bad.replace("settings", "nowhere");
  const plan = await planRelease(context, of("v1", "good", [migration()], wrong));
  assert.deepEqual(
    plan.refusals.map(({ code, where, exitCode }) => [code, where, exitCode]),
    [
      ["REFERENCE_MISSING", "osaka/hook migrate/Job migrate-2", 2],
      ["REFERENCE_MISSING", "osaka/hook migrate/Job migrate-2", 2],
      ["MANIFEST_REFUSED", "osaka/hook migrate/Job migrate-2", 2],
    ],
  );
  assert.match(
    plan.refusals[0]?.message ?? "",
    /needs ConfigMap "nowhere", which is neither in the manifests/,
  );
  assert.match(plan.refusals[1]?.message ?? "", /needs ServiceAccount "gone"/);
  assert.match(plan.refusals[2]?.message ?? "", /restartPolicy/);
  assert.ok(!plan.clusters.some(({ objects }) => objects.some(({ kind }) => kind === "Job")));
  const each = await planRelease(context, of("v1", "good", [migration({}, { in: "each" })], bad));
  assert.deepEqual(
    [...new Set(each.refusals.map(({ where }) => where))],
    ["osaka", "tokyo"].map((name) => `${name}/hook migrate/Job migrate-2`),
  );
  await assert.rejects(deploy(context, of("v1", "good", [migration()], bad)), { exitCode: 2 });
  const good = await planRelease(context, of("v1", "good", [migration({}, { in: "each" })]));
  assert.deepEqual([good.refusals, good.warnings], [[], []]);
});

test("where a cluster is away, a plan tries the Job of one cluster in the one that gets it", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v0", "good", []));
  const [osaka, tokyo] = context.targets as [Target, Target];
  const away = gated(osaka.client, async () => {
    throw new SlipwayError({ code: "CLUSTER_UNREACHABLE", where: "osaka", message: "refused" });
  });
  const bad = MIGRATION.replace("Never", "Sometimes");
  const plan = await planRelease(
    { ...context, targets: [{ ...osaka, client: away }, tokyo] },
    of("v1", "good", [migration()], bad),
    { skipUnreachable: true },
  );
  assert.deepEqual(
    plan.refusals.map(({ where }) => where),
    ["tokyo/hook migrate/Job migrate-2"],
  );
});

/** A cluster whose admission refuses Jobs, but for a dry run, in which not every webhook takes part. */
function withoutJobs(client: KubeClient, { code, message }: { code: number; message: string }): KubeClient {
  const status = { apiVersion: "v1", kind: "Status", status: "Failure", code, message } as const;
  const apply: KubeClient["apply"] = async (object, options) => {
    if (object.kind === "Job" && options.dryRun !== true) throw new StatusError({ ...status, metadata: {} });
    return client.apply(object, options);
  };
  return { ...client, apply };
}

const DENIED = {
  code: 403,
  message: 'admission webhook "jobs.example" denied the request: no Jobs on Friday',
};

test("a Job that the API server refuses is told as that, not as a cluster that does not answer", async () => {
  const { context, of } = fresh();
  const targets = context.targets.map((target) => ({
    ...target,
    client: withoutJobs(target.client, DENIED),
  }));
  const { record, exitCode } = await deploy({ ...context, targets }, of("v1", "good", [migration()]));
  assert.deepEqual([record.outcome, exitCode], ["failed", 1]);
  const [run] = record.hooks?.[0]?.runs ?? [];
  assert.equal(run?.cause?.code, "WebhookRefused");
  assert.match(run?.cause?.why ?? "", /^hook migrate could not be started: .*no Jobs on Friday/);
});

/** Runs a migration in osaka, which is silent from its first words on until `meanwhile` is over; for good without one. */
async function deployAndDisturb(
  tag: string,
  options: {
    readonly meanwhile?: (osaka: Target, namespace: string) => Promise<unknown>;
    readonly isSilent: boolean;
    readonly unreachableAfterMs?: number;
  },
) {
  const { context, of } = fresh();
  const [osaka, tokyo] = context.targets as [Target, Target];
  let isAway = false;
  const client = gated(osaka.client, async () => {
    if (isAway) throw new SlipwayError({ code: "CLUSTER_UNREACHABLE", where: "osaka", message: "refused" });
  });
  const seen = recordEvents();
  const { unreachableAfterMs, meanwhile } = options;
  let disturbance: Promise<void> | undefined;
  const targets = [{ ...osaka, client }, tokyo];
  const result = await deploy({ ...context, targets, unreachableAfterMs }, of("v1", tag, [migration()]), {
    onEvent: (event) => {
      seen.onEvent(event);
      if (event.type !== "hook-log" || disturbance !== undefined) return;
      isAway = options.isSilent;
      disturbance = Promise.resolve(meanwhile?.(osaka, context.namespace)).then(() => {
        isAway = options.isSilent && meanwhile === undefined;
      });
    },
  });
  await disturbance;
  const lines = seen.events.flatMap((event) => (event.type === "hook-log" ? [event.line] : []));
  return { ...result, lines };
}

const jobRef = (namespace: string) => ({
  ...{ apiVersion: "batch/v1", kind: "Job", namespace },
  name: "migrate-1",
});

test("a cluster that is silent while its migration runs is waited for, and so is the migration", async () => {
  const meanwhile = async ({ client }: Target, namespace: string): Promise<unknown> =>
    until("the migration has ended", async () => {
      const { status } = await client.get<Job>(jobRef(namespace));
      return status?.conditions?.find(({ type }) => type === "Complete");
    });
  const { record, lines } = await deployAndDisturb("while", { meanwhile, isSilent: true });
  assert.equal(record.outcome, "healthy");
  assert.deepEqual(lines, ["adding a column", "filling it", "done"]);
});

test("where it stays silent, nobody says that the migration was not started", async () => {
  const { record } = await deployAndDisturb("slow", { isSilent: true, unreachableAfterMs: 300 });
  const [run] = record.hooks?.[0]?.runs ?? [];
  assert.deepEqual([run?.outcome, run?.job], ["failed", "migrate-1"]);
  assert.equal(run?.cause?.code, "ClusterUnreachable");
  assert.equal(
    run?.cause?.why,
    "hook migrate: its Job migrate-1 was begun, and then the cluster did not answer for 300 ms: refused; it may still be running",
  );
});

for (const [what, hookOf] of [
  ["a migration", () => migration()],
  ["a program", () => program("before", "echo begun")],
] as const)
  test(`whoever slept past the lock's time before ${what} does not begin it`, async () => {
    const { context, of } = fresh();
    const lines: string[] = [];
    let sleptMs = 0;
    const clock: Clock = {
      ...systemClock,
      now: () => systemClock.now() + sleptMs,
      monotonic: () => systemClock.monotonic() + sleptMs,
    };
    const [osaka, tokyo] = context.targets as [Target, Target];
    let stolen: Promise<unknown> = Promise.resolve();
    const client = gated(osaka.client, async () => {
      await stolen;
    });
    const { outcome } = (
      await deploy(
        { ...context, clock, targets: [{ ...osaka, client }, tokyo] },
        of("v1", "good", [hookOf()]),
        {
          onEvent: (event) => {
            if (event.type === "hook-log") lines.push(event.line);
            if (event.type !== "hook-started") return;
            sleptMs = 25_000;
            const other = { ...context, clock, who: "mio", message: "", steal: true } as const;
            stolen = takeLock(osaka.client, other).then((lock) => lock.release());
          },
        },
      )
    ).record;
    assert.equal(outcome, "interrupted");
    assert.deepEqual([await jobsIn(0, context.namespace), lines], [[], []]);
  });

test("a migration that somebody deletes has failed", async () => {
  const meanwhile = ({ client }: Target, namespace: string): Promise<unknown> =>
    client.delete(jobRef(namespace), { propagationPolicy: "Background" });
  const { record } = await deployAndDisturb("slow", { meanwhile, isSilent: false });
  const [run] = record.hooks?.[0]?.runs ?? [];
  assert.equal(run?.cause?.code, "HookFailed");
  assert.equal(
    run?.cause?.why,
    "hook migrate: its Job migrate-1 was deleted before anybody saw how it ended",
  );
});

/** Osaka does not answer until tokyo has its verdict. */
async function deployWithLateOsaka(
  context: ReleaseContext,
  of: RenderedRelease,
  back: (client: KubeClient) => KubeClient = (client) => client,
) {
  let isAway = true;
  const [osaka, tokyo] = context.targets as [Target, Target];
  const client = gated(back(osaka.client), async () => {
    if (isAway) throw new SlipwayError({ code: "CLUSTER_UNREACHABLE", where: "osaka", message: "refused" });
  });
  const seen = recordEvents();
  const requeueing = { ...context.release, unreachable: "requeue", requeueForMs: 600_000 } as const;
  const result = await deploy(
    { ...context, release: requeueing, targets: [{ ...osaka, client }, tokyo], unreachableAfterMs: 300 },
    of,
    {
      onEvent: (event) => {
        seen.onEvent(event);
        if (event.type === "verdict" && event.cluster === "tokyo") isAway = false;
      },
    },
  );
  const steps = seen.events.flatMap((event) =>
    event.type === "hook-started" || event.type === "hook-finished"
      ? [`${event.type} ${event.hook} in ${event.cluster}`]
      : event.type === "applied"
        ? [`applied in ${event.cluster}`]
        : [],
  );
  return { ...result, steps };
}

test("a cluster that was away gets the hook of each cluster when it is back, before it is changed", async () => {
  const { context, of } = fresh();
  const hooks = [migration({}, { in: "each" }), program("before", "true")];
  const { record, exitCode, steps } = await deployWithLateOsaka(context, of("v1", "good", hooks));
  assert.equal(exitCode, 0);
  assert.deepEqual(steps, [
    "hook-started migrate in tokyo",
    "hook-finished migrate in tokyo",
    "hook-started script in undefined",
    "hook-finished script in undefined",
    "applied in tokyo",
    "hook-started migrate in osaka",
    "hook-finished migrate in osaka",
    "applied in osaka",
  ]);
  assert.deepEqual(await jobsIn(0, context.namespace), ["migrate-1"]);
  assert.deepEqual(
    record.hooks?.[0]?.runs.map(({ cluster, outcome }) => [cluster, outcome]),
    [
      ["tokyo", "succeeded"],
      ["osaka", "succeeded"],
    ],
  );
});

test("a hook of one cluster has run, and is not run again in one that was away", async () => {
  const { context, of } = fresh();
  const { exitCode, steps } = await deployWithLateOsaka(context, of("v1", "good", [migration()]));
  assert.equal(exitCode, 0);
  assert.deepEqual(steps.slice(-2), ["applied in tokyo", "applied in osaka"]);
  assert.deepEqual(await jobsIn(0, context.namespace), []);
});

test("where that hook fails the cluster is left as it is, and the others keep what they have", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1", "good", []));
  const hooks = [migration({}, { in: "each" })];
  const { record, exitCode, steps } = await deployWithLateOsaka(context, of("v2", "half", hooks));
  assert.equal(steps.at(-1), "hook-finished migrate in osaka");
  assert.deepEqual([record.outcome, exitCode], ["unknown", 1]);
  assert.equal(record.clusters["tokyo"]?.verdict, "healthy");
  const { verdict, runs, reason = "" } = record.clusters["osaka"] ?? {};
  assert.deepEqual([verdict, runs], ["not-started", undefined]);
  assert.match(reason, /hook migrate: the Job failed: .*exit code 7/);
  const [evidence] = record.evidence;
  assert.deepEqual([evidence?.cluster, evidence?.cause.code], ["osaka", "HookFailed"]);
});

test("where the API server refuses that hook's Job, the cluster is refused and not asked again", async () => {
  const { context, of } = fresh();
  await deploy(context, of("v1", "good", []));
  const hooks = [migration({}, { in: "each" })];
  const refusing = (client: KubeClient): KubeClient => withoutJobs(client, DENIED);
  const { record, steps } = await deployWithLateOsaka(context, of("v2", "good", hooks), refusing);
  assert.equal(steps.filter((step) => step === "hook-started migrate in osaka").length, 1);
  const { verdict, reason = "" } = record.clusters["osaka"] ?? {};
  assert.equal(verdict, "not-started");
  assert.match(reason, /hook migrate could not be started: .*no Jobs on Friday/);
  assert.equal(record.evidence[0]?.cause.code, "WebhookRefused");
});
