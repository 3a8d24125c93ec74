/**
 * The forecast against the scheduler, the controllers and the quota admission of a real Kubernetes: random small clusters
 * and rollouts, each predicted before it is applied. A control plane is enough; nodes are registered by the test, and it
 * reports their pods as ready the moment they are bound.
 *
 * Each case has its own namespace, and its own nodes by label and taint, so that several run side by side.
 *
 * SLIPWAY_REAL_KUBERNETES names the program that starts the cluster. Always the same draws, a few of them in the lane
 * `real` and more in `real-all` (SLIPWAY_REAL_WIDE); SLIPWAY_FORECAST_CASES and _SEED choose how many and which.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Random, seededRandom, systemClock, until } from "@slipway/base";
import {
  type AnyObject,
  type Deployment,
  findObject,
  isReason,
  type KubeClient,
  type Node,
  type Pod,
  type PodSpec,
} from "@slipway/kube";
import { type ControlPlane, openControlPlane } from "../../clusters/testing.ts";
import { checkCapacity } from "./capacity.ts";
import { readClusterFacts } from "./facts.ts";
import type { SeenObject } from "./seen.ts";

const program = process.env["SLIPWAY_REAL_KUBERNETES"];
const skip =
  program === undefined
    ? "SLIPWAY_REAL_KUBERNETES is not set: there is no real scheduler to compare with"
    : false;
const CASES = Number(process.env["SLIPWAY_FORECAST_CASES"] ?? (process.env["SLIPWAY_REAL_WIDE"] ? 120 : 24));
const SEED = Number(process.env["SLIPWAY_FORECAST_SEED"] ?? 1);
/** How many forecasts say "fits" or "stops" and not "tight". Of few draws a single one weighs more. */
const TOLD_AT_LEAST = CASES >= 100 ? 0.85 : 0.7;
const SIDE_BY_SIDE = 8;
/** `3,17`: only these draws of the seed, to look at one again. */
const ONLY = process.env["SLIPWAY_FORECAST_ONLY"]?.split(",").map(Number);
/** Longer than the scheduler's longest back-off (10 s): what has not moved for so long has stopped. */
const STOPPED_AFTER_MS = 13_000;
const LABEL = "forecast.slipway.dev/case";

let cluster: ControlPlane | undefined;
let client: KubeClient;
let isOver = false;
const background: Promise<void>[] = [];
const nodeNames = new Set<string>();

before(async () => {
  if (program === undefined) return;
  cluster = await openControlPlane(program, "c");
  client = cluster.client;
  background.push(keep(runPods, 150), keep(beat, 8_000));
});

after(async () => {
  isOver = true;
  await Promise.all(background);
  await cluster?.close();
});

async function keep(work: () => Promise<void>, everyMs: number): Promise<void> {
  while (!isOver) {
    await work().catch((error: unknown) => {
      if (!isReason(error, "NotFound") && !isReason(error, "Conflict")) console.error(String(error));
    });
    await systemClock.sleep(everyMs);
  }
}

const readyPods = new Set<string>();

/** The kubelet's part: bound pods are ready, deleted ones are gone. */
async function runPods(): Promise<void> {
  const { items } = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { labelSelector: LABEL });
  await Promise.all(
    items.map(async (pod) => {
      const { name, namespace = "", uid = "", deletionTimestamp } = pod.metadata;
      const ref = { apiVersion: "v1", kind: "Pod", name, namespace };
      if (pod.spec.nodeName === undefined) return;
      const gone = (error: unknown): void => {
        if (!isReason(error, "NotFound") && !isReason(error, "Conflict")) throw error;
      };
      if (deletionTimestamp !== undefined) {
        await client.delete(ref, { gracePeriodSeconds: 0 }).catch(gone);
        return;
      }
      if (readyPods.has(uid)) return;
      const at = new Date(systemClock.now()).toISOString();
      const conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map((type) => ({
        type,
        status: "True",
        lastTransitionTime: at,
      }));
      // What is refused now is said again in the next round: a pod that never gets ready would look like a rollout that stops.
      await client
        .patch(ref, "merge", { status: { phase: "Running", conditions } }, { subresource: "status" })
        .then(() => readyPods.add(uid), gone);
    }),
  );
}

async function beat(): Promise<void> {
  await Promise.all(
    [...nodeNames].map(async (name) => {
      const renewTime = `${new Date(systemClock.now()).toISOString().slice(0, -1)}000Z`;
      const ref = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", name, namespace: "kube-node-lease" };
      const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime };
      await client.patch(ref, "merge", { spec }).catch(async (error: unknown) => {
        if (!isReason(error, "NotFound")) throw error;
        await client.create({ ...ref, metadata: { name, namespace: "kube-node-lease" }, spec } as never);
      });
    }),
  );
}

interface Case {
  readonly id: string;
  readonly nodes: readonly Node[];
  readonly fillers: readonly Pod[];
  readonly quota: AnyObject | undefined;
  /** Undefined: the first release is what is predicted. */
  readonly first: readonly AnyObject[] | undefined;
  readonly release: readonly AnyObject[];
}

function draw(random: Random, id: string): Case {
  const namespace = `forecast-${id}`;
  const amount = (least: number, most: number, step: number): number =>
    least + step * random.int((most - least) / step + 1);
  const nodes = Array.from({ length: 1 + random.int(4) }, (_, index): Node => {
    const allocatable = {
      cpu: `${amount(600, 3000, 200)}m`,
      memory: `${amount(1, 4, 1)}Gi`,
      pods: random.ratio(1, 6) ? String(2 + random.int(3)) : "110",
    };
    return {
      apiVersion: "v1",
      kind: "Node",
      metadata: {
        name: `forecast-${id}-${index}`,
        labels: {
          [LABEL]: id,
          "kubernetes.io/hostname": `forecast-${id}-${index}`,
          "topology.kubernetes.io/zone": random.pick(["a", "b"]),
        },
      },
      spec: {
        taints: [
          { key: LABEL, value: id, effect: "NoSchedule" },
          ...(random.ratio(1, 10) ? [{ key: "gpu", effect: "NoSchedule" as const }] : []),
        ],
        ...(random.ratio(1, 12) ? { unschedulable: true } : {}),
      },
      status: {
        capacity: allocatable,
        allocatable,
        conditions: [
          { type: "Ready", status: "True", lastHeartbeatTime: new Date(systemClock.now()).toISOString() },
        ],
      },
    };
  });
  const toleration = { key: LABEL, operator: "Exists" as const };
  const fillers = Array.from(
    { length: random.int(4) },
    (_, index): Pod => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `filler-${index}`, namespace, labels: { [LABEL]: id, app: "filler" } },
      spec: {
        nodeName: random.pick(nodes).metadata.name,
        automountServiceAccountToken: false,
        containers: [
          { name: "filler", image: "filler:1", resources: { requests: { cpu: `${amount(50, 400, 50)}m` } } },
        ],
        tolerations: [{ operator: "Exists" }],
      },
    }),
  );
  const shapes = Array.from({ length: random.ratio(1, 3) ? 2 : 1 }, (_, index) => {
    const name = index === 0 ? "web" : "api";
    const selector = { matchLabels: { app: name } };
    const kind = random.int(8);
    const placing: Partial<PodSpec> =
      kind === 0
        ? {
            affinity: {
              podAntiAffinity: {
                requiredDuringSchedulingIgnoredDuringExecution: [
                  { labelSelector: selector, topologyKey: "kubernetes.io/hostname" },
                ],
              },
            },
          }
        : kind === 1
          ? {
              topologySpreadConstraints: [
                {
                  maxSkew: 1 + random.int(2),
                  topologyKey: random.pick(["topology.kubernetes.io/zone", "kubernetes.io/hostname"]),
                  whenUnsatisfiable: "DoNotSchedule",
                  labelSelector: selector,
                },
              ],
            }
          : {};
    const ports = random.ratio(1, 12)
      ? [{ containerPort: 80, hostPort: 8080 + index, protocol: "TCP" as const }]
      : [];
    const strategies = [
      { maxSurge: 1, maxUnavailable: 0 },
      { maxSurge: 1, maxUnavailable: 0 },
      { maxSurge: "50%", maxUnavailable: 0 },
      { maxSurge: 0, maxUnavailable: 1 },
      { maxSurge: 1, maxUnavailable: 1 },
      { maxSurge: "25%", maxUnavailable: "25%" },
    ];
    return {
      name,
      selector,
      placing,
      ports,
      strategy: random.pick(strategies),
      replicas: 1 + random.int(5),
      cpu: amount(100, 900, 50),
    };
  });
  const objectsOf = (version: string, change: (cpu: number) => number): readonly AnyObject[] =>
    shapes.map(({ name, selector, placing, ports, strategy, replicas, cpu }) => ({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name, namespace, labels: { [LABEL]: id } },
      spec: {
        replicas,
        selector,
        strategy: { rollingUpdate: strategy },
        template: {
          metadata: { labels: { app: name, [LABEL]: id } },
          spec: {
            terminationGracePeriodSeconds: 1,
            automountServiceAccountToken: false,
            nodeSelector: { [LABEL]: id },
            tolerations: [toleration],
            containers: [
              {
                name,
                image: `${name}:${version}`,
                ports,
                resources: { requests: { cpu: `${change(cpu)}m`, memory: "64Mi" } },
              },
            ],
            ...placing,
          },
        },
      },
    }));
  const isFirst = random.ratio(1, 5);
  const factor = random.pick([1, 1, 1, 1.5, 0.5]);
  const pods = shapes.reduce((sum, { replicas }) => sum + replicas, 0) + fillers.length;
  const quota: AnyObject | undefined = random.ratio(1, 4)
    ? {
        apiVersion: "v1",
        kind: "ResourceQuota",
        metadata: { name: "team", namespace },
        spec: {
          hard: random.ratio(1, 2)
            ? { pods: String(pods + random.int(3)) }
            : { "requests.cpu": `${amount(1000, 4000, 250)}m` },
        },
      }
    : undefined;
  return {
    id,
    nodes,
    fillers,
    quota,
    first: isFirst ? undefined : objectsOf("v1", (cpu) => cpu),
    release: objectsOf("v2", (cpu) => Math.round((cpu * factor) / 10) * 10),
  };
}

type Outcome = "fits" | "tight" | "stops";

interface Compared {
  readonly id: string;
  readonly predicted: Outcome;
  readonly real: "ended" | "stopped";
  readonly told: string;
  /** What the cluster says of the pods that wait. */
  readonly seen: string;
}

const ns = (one: Case): string => `forecast-${one.id}`;

async function run(one: Case): Promise<Compared | undefined> {
  try {
    await prepare(one);
    if (one.first !== undefined) {
      for (const object of one.first) await client.apply(object, { fieldManager: "forecast" });
      // What cannot stand in its first version has no update to predict.
      if ((await settled(one, one.first)) === "stopped") return undefined;
      await quotaCounted(one);
    }
    const { predicted, told } = await predict(one);
    for (const object of one.release) await client.apply(object, { fieldManager: "forecast" });
    // A prediction that it ends is given all the time that the controllers' own back-off may take.
    const patience = predicted === "fits" ? 4 * STOPPED_AFTER_MS : STOPPED_AFTER_MS;
    const real = await settled(one, one.release, patience);
    return { id: one.id, predicted, real, told, seen: real === "stopped" ? await whyStopped(one) : "" };
  } finally {
    await cleanUp(one);
  }
}

async function prepare(one: Case): Promise<void> {
  await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: ns(one) } });
  for (const node of one.nodes) {
    nodeNames.add(node.metadata.name);
    await client.create(node);
    const ref = { apiVersion: "v1", kind: "Node", name: node.metadata.name };
    await client.patch(ref, "merge", { status: node.status }, { subresource: "status" });
  }
  const account = { apiVersion: "v1", kind: "ServiceAccount", name: "default", namespace: ns(one) };
  const nodesAreReady = async (): Promise<boolean> => {
    const { items } = await client.list<Node>(
      { apiVersion: "v1", kind: "Node" },
      { labelSelector: `${LABEL}=${one.id}` },
    );
    return items.every(
      ({ spec }) => !spec?.taints?.some(({ key }) => key === "node.kubernetes.io/not-ready"),
    );
  };
  await until(
    "the namespace and the nodes are usable",
    async () => {
      const there = await client.get(account).catch(() => undefined);
      return there !== undefined && (await nodesAreReady());
    },
    { everyMs: 200, timeoutMs: 60_000 },
  );
  if (one.quota !== undefined) {
    await client.create(one.quota);
    // Before its controller has seen it, it refuses everything ("status unknown for quota").
    await quotaCounted(one);
  }
  for (const filler of one.fillers) {
    await client.create(filler).catch((error: unknown) => {
      // The quota had no room for it: then it is not part of the case.
      if (!isReason(error, "Forbidden")) throw error;
    });
  }
  await quotaCounted(one);
}

/** The quota controller has counted the pods that there are. */
async function quotaCounted(one: Case): Promise<void> {
  if (one.quota === undefined) return;
  await until(
    "the quota is counted",
    async () => {
      const { items } = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace: ns(one) });
      const quota = await client.get<AnyObject>({
        apiVersion: "v1",
        kind: "ResourceQuota",
        name: "team",
        namespace: ns(one),
      });
      const { used } = (quota["status"] ?? {}) as { used?: Record<string, string> };
      if (used === undefined || Object.keys(used).length === 0) return false;
      const pods = used["pods"];
      return pods === undefined || Number(pods) === items.length;
    },
    { everyMs: 200, timeoutMs: 60_000 },
  );
}

async function predict(one: Case): Promise<{ predicted: Outcome; told: string }> {
  const facts = await readClusterFacts(client, one.release);
  const seen = await Promise.all(
    one.release.map(async (object): Promise<SeenObject> => {
      const ref = {
        apiVersion: "apps/v1",
        kind: "Deployment",
        name: object.metadata.name,
        namespace: ns(one),
      };
      const live = await findObject<AnyObject>(client, ref);
      const options = { fieldManager: "forecast", dryRun: true } as const;
      return { object, live, after: (await client.apply(object, options)) as AnyObject };
    }),
  );
  const found = checkCapacity(facts, seen, systemClock.now());
  const told = found.map(({ code, message }) => `${code}: ${message}`).join(" | ");
  const codes = found.map(({ code }) => code);
  if (codes.includes("CAPACITY_SHORT") || codes.includes("QUOTA_EXCEEDED"))
    return { predicted: "stops", told };
  // Refused pods are tried again after a back-off of up to minutes: a warning, no promise.
  const isTight = codes.includes("CAPACITY_TIGHT") || codes.includes("QUOTA_SLOWS");
  return { predicted: isTight ? "tight" : "fits", told };
}

async function whyStopped(one: Case): Promise<string> {
  const { items } = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace: ns(one) });
  const nodes = one.nodes.map(({ metadata, spec, status }) => [
    metadata.name,
    metadata.labels?.["topology.kubernetes.io/zone"],
    status?.allocatable,
    spec?.unschedulable,
    spec?.taints?.length,
  ]);
  const pods = items.map(({ metadata, spec, status }) => [
    metadata.name,
    spec.nodeName ??
      status?.conditions?.find(({ type }) => type === "PodScheduled")?.message ??
      "not looked at",
    spec.containers[0]?.resources?.requests?.["cpu"],
    metadata.deletionTimestamp === undefined ? "" : "terminating",
  ]);
  const specs = one.release.map((object) => object["spec"]);
  return JSON.stringify({ nodes, pods, specs, quota: one.quota?.["spec"] });
}

async function settled(
  one: Case,
  objects: readonly AnyObject[],
  patienceMs = STOPPED_AFTER_MS,
): Promise<"ended" | "stopped"> {
  let last = "";
  let since = systemClock.monotonic();
  for (;;) {
    const { items: pods } = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace: ns(one) });
    const deployments = await Promise.all(
      objects.map(({ metadata }) =>
        client.get<Deployment>({
          apiVersion: "apps/v1",
          kind: "Deployment",
          name: metadata.name,
          namespace: ns(one),
        }),
      ),
    );
    const isDone = deployments.every(({ spec, status, metadata }) => {
      const wanted = spec.replicas ?? 1;
      return (
        status?.observedGeneration === metadata.generation &&
        status?.updatedReplicas === wanted &&
        status?.replicas === wanted &&
        status?.availableReplicas === wanted
      );
    });
    if (isDone && pods.every(({ metadata }) => metadata.deletionTimestamp === undefined)) return "ended";
    const now = JSON.stringify(
      pods.map(({ metadata, spec }) => [metadata.name, spec.nodeName, metadata.deletionTimestamp]).sort(),
    );
    if (now !== last) {
      last = now;
      since = systemClock.monotonic();
    } else if (systemClock.monotonic() - since > patienceMs) return "stopped";
    await systemClock.sleep(250);
  }
}

async function cleanUp(one: Case): Promise<void> {
  const ignore = (): undefined => undefined;
  for (const { metadata } of one.release) {
    const ref = { apiVersion: "apps/v1", kind: "Deployment", name: metadata.name, namespace: ns(one) };
    await client.delete(ref, { propagationPolicy: "Background" }).catch(ignore);
  }
  for (const { metadata } of one.nodes) {
    nodeNames.delete(metadata.name);
    await client.delete({ apiVersion: "v1", kind: "Node", name: metadata.name }).catch(ignore);
    const lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      name: metadata.name,
      namespace: "kube-node-lease",
    };
    await client.delete(lease).catch(ignore);
  }
  await client.delete({ apiVersion: "v1", kind: "Namespace", name: ns(one) }).catch(ignore);
}

test(`the forecast agrees with a real scheduler in ${CASES} random cases`, {
  skip,
  timeout: 1_800_000,
}, async (t) => {
  const compared: Compared[] = [];
  let next = 0;
  let discarded = 0;
  const worker = async (): Promise<void> => {
    while (compared.length < CASES && next < CASES * 4) {
      const number = next;
      next += 1;
      if (ONLY?.includes(number) === false) continue;
      const id = `${SEED}-${number}`;
      const random = seededRandom(SEED * 100_000 + number);
      const result = await run(draw(random, id)).catch((error: Error) => {
        // A cluster too busy to prepare a case in a minute says nothing about the forecast.
        if (!error.message.startsWith("waited ")) throw error;
        t.diagnostic(`case ${id} left out: ${error.message}`);
        return undefined;
      });
      if (result === undefined) discarded += 1;
      else compared.push(result);
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, worker));
  const count = (predicted: Outcome, real: Compared["real"]): number =>
    compared.filter((one) => one.predicted === predicted && one.real === real).length;
  const falseFits = compared.filter((one) => one.predicted === "fits" && one.real === "stopped");
  const falseStops = compared.filter((one) => one.predicted === "stops" && one.real === "ended");
  // "tight" promises nothing, and is rare: it can neither agree nor be wrong.
  const agreed = count("fits", "ended") + count("stops", "stopped");
  const told = compared.filter(({ predicted }) => predicted !== "tight").length;
  t.diagnostic(
    `${compared.length} cases (${discarded} drawn without a first version that stands): fits ${count("fits", "ended")}/${count("fits", "stopped")} ended/stopped, ` +
      `stops ${count("stops", "ended")}/${count("stops", "stopped")}, tight ${count("tight", "ended")}/${count("tight", "stopped")}; ` +
      `agreement ${((100 * agreed) / told).toFixed(1)} %`,
  );
  for (const one of [...falseFits, ...falseStops]) t.diagnostic(JSON.stringify(one));
  assert.ok(compared.length >= CASES, `only ${compared.length} cases could be compared`);
  assert.ok(count("stops", "stopped") >= CASES / 10, "too few cases stop: the draw proves nothing");
  assert.ok(
    told >= TOLD_AT_LEAST * compared.length,
    `${compared.length - told} of ${compared.length} forecasts say neither`,
  );
  assert.deepEqual(falseFits, [], "the forecast said that a rollout fits, and it stopped");
  assert.ok(agreed / told >= 0.98, `agreement is ${agreed} of ${told}`);
});
