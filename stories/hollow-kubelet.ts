/**
 * A kubelet without containers, for control planes that have no node (`real-kubernetes up b --control-plane-only`): API
 * server, controllers and scheduler are real there, and this reports pods as running, ready, crashing or gone, the way
 * a kubelet of 1.20 words it. It binds nothing (the scheduler does), runs nothing, and a pod's log cannot be read.
 *
 * Several may share one cluster: they all keep the same nodes alive, and each minds the pods of its own namespaces.
 *
 * @example
 * const kubelet = await startHollowKubelet({ client, namespaces: ["shop"] });
 * …
 * await kubelet.stop();
 */
import { type Clock, systemClock } from "@slipway/base";
import type { Behaviour, Behaviours } from "@slipway/cluster";
import {
  type Condition,
  type Container,
  type ContainerStatus,
  isReason,
  type KubeClient,
  type Pod,
  type PodStatus,
  StatusError,
} from "@slipway/kube";

export interface HollowKubeletOptions {
  /** An administrator's: it writes Nodes, Leases, pod statuses and events. */
  readonly client: KubeClient;
  /** The namespaces whose pods it minds. */
  readonly namespaces: readonly string[];
  readonly clock?: Clock;
  /** Default hollow-1, hollow-2, hollow-3. */
  readonly nodes?: readonly string[];
  /** Default 8 CPU, 32Gi, 110 pods each. */
  readonly capacity?: Readonly<Record<string, string>>;
  /** Looked up before `HOLLOW_BEHAVIOURS`, anew for every pod, so rows may be added later; the first that matches wins. */
  readonly behaviours?: Behaviours;
}

export interface HollowKubelet {
  readonly nodes: readonly string[];
  /** Stops reporting. The nodes stay, and count as lost 40 s later unless another hollow kubelet keeps them alive. */
  stop(): Promise<void>;
}

/** What an image's name asks for. A container of a Job ends with 0 by itself; every other one runs. */
export const HOLLOW_BEHAVIOURS: Behaviours = [
  { image: "*crash*", behaviour: { exitAfterMs: 100, exitCode: 1 } },
  {
    image: "*missing*",
    behaviour: { refusal: { reason: "ErrImagePull", message: "rpc error: manifest unknown" } },
  },
  { image: "*unready*", behaviour: { readyAfterMs: Number.POSITIVE_INFINITY } },
];

const START_MS = 100;
/** The kubelet's first back-off; here it does not grow. */
const RESTART_MS = 10_000;
const HEARTBEAT_MS = 10_000;
const CAPACITY = { cpu: "8", memory: "32Gi", pods: "110" };

/** One pod's life so far, in this process's memory: what a status says is only exact to the second. */
interface Life {
  readonly uid: string;
  readonly boundMs: number;
  readonly phase: "creating" | "refused" | "running" | "exited" | "done";
  readonly sinceMs: number;
  readonly restarts: number;
  readonly lastExitMs: number | undefined;
  readonly endingSinceMs: number | undefined;
}

/** What is next for a pod. Pure. */
export function nextOf(
  pod: Pod,
  life: Life,
  behaviour: Behaviour,
  now: number,
): { readonly life: Life; readonly remove: boolean; readonly requeueAfterMs: number | undefined } {
  const stays = { life, remove: false, requeueAfterMs: undefined };
  const after = (sinceMs: number, waitMs: number, next: () => Life) => {
    if (!Number.isFinite(waitMs)) return stays;
    if (now < sinceMs + waitMs) return { ...stays, requeueAfterMs: sinceMs + waitMs - now };
    return { life: next(), remove: false, requeueAfterMs: 1 };
  };
  if (pod.metadata.deletionTimestamp !== undefined) {
    const ending = { ...life, endingSinceMs: life.endingSinceMs ?? now };
    const graceMs = (pod.metadata.deletionGracePeriodSeconds ?? 30) * 1000;
    const stopMs = behaviour.stopMs === "never" ? graceMs : Math.min(behaviour.stopMs ?? START_MS, graceMs);
    const leftMs = ending.endingSinceMs + stopMs - now;
    return { life: ending, remove: leftMs <= 0, requeueAfterMs: leftMs <= 0 ? undefined : leftMs };
  }
  const isService = (pod.spec.restartPolicy ?? "Always") === "Always";
  switch (life.phase) {
    case "creating":
      return after(life.sinceMs, behaviour.startMs ?? START_MS, () => ({
        ...life,
        phase: behaviour.refusal === undefined ? "running" : "refused",
        sinceMs: now,
      }));
    case "running": {
      const exitAfterMs = behaviour.exitAfterMs ?? (isService ? Number.POSITIVE_INFINITY : START_MS);
      if (now >= life.sinceMs + exitAfterMs) {
        const isOver = !isService && (pod.spec.restartPolicy === "Never" || (behaviour.exitCode ?? 0) === 0);
        const phase = isOver ? "done" : "exited";
        return { life: { ...life, phase, sinceMs: now, lastExitMs: now }, remove: false, requeueAfterMs: 1 };
      }
      const readyMs = life.sinceMs + (behaviour.readyAfterMs ?? 0);
      const next = [readyMs, life.sinceMs + exitAfterMs].filter((at) => at > now && Number.isFinite(at));
      return { ...stays, requeueAfterMs: next.length === 0 ? undefined : Math.min(...next) - now };
    }
    case "exited":
      return after(life.sinceMs, life.restarts === 0 ? START_MS : RESTART_MS, () => ({
        ...life,
        phase: "running",
        sinceMs: now,
        restarts: life.restarts + 1,
      }));
    case "refused":
    case "done":
      return stays;
  }
}

const timestamp = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

/** The status as a kubelet would report it. Pure. */
export function statusOf(pod: Pod, life: Life, behaviour: Behaviour, node: number, now: number): PodStatus {
  const isReady = life.phase === "running" && now >= life.sinceMs + (behaviour.readyAfterMs ?? 0);
  const isDone = life.phase === "done";
  const isFailed = isDone && (behaviour.exitCode ?? 0) !== 0;
  const hasRun = life.phase === "running" || life.phase === "exited" || isDone;
  const phase = isDone ? (isFailed ? "Failed" : "Succeeded") : hasRun ? "Running" : "Pending";
  const condition = (type: string, isTrue: boolean, reason?: string): Condition => {
    const status = isTrue ? "True" : "False";
    const before = pod.status?.conditions?.find((one) => one.type === type);
    const since = before?.status === status ? (before.lastTransitionTime ?? timestamp(now)) : timestamp(now);
    return { type, status, lastTransitionTime: since, ...(isTrue || reason === undefined ? {} : { reason }) };
  };
  const whyNot = isDone ? "PodCompleted" : "ContainersNotReady";
  const ip = `10.200.${node}.${2 + (Number.parseInt(life.uid.slice(0, 2), 16) % 250)}`;
  return {
    phase,
    conditions: [
      condition("Initialized", true),
      condition("Ready", isReady, whyNot),
      condition("ContainersReady", isReady, whyNot),
      condition("PodScheduled", true),
    ],
    hostIP: `10.201.0.${node}`,
    ...(hasRun ? { podIP: ip, podIPs: [{ ip }] } : {}),
    startTime: timestamp(life.boundMs),
    containerStatuses: pod.spec.containers.map((one) => containerStatus(one, life, behaviour, isReady)),
    qosClass: pod.status?.qosClass ?? "BestEffort",
  };
}

function containerStatus(
  container: Container,
  life: Life,
  behaviour: Behaviour,
  isReady: boolean,
): ContainerStatus {
  const image = container.image ?? "";
  const exitCode = behaviour.exitCode ?? 0;
  const exit = (ms: number) => ({
    exitCode,
    reason: exitCode === 0 ? "Completed" : "Error",
    startedAt: timestamp(ms - (behaviour.exitAfterMs ?? START_MS)),
    finishedAt: timestamp(ms),
    containerID: `hollow://${life.uid}/${life.restarts}`,
  });
  const common = {
    name: container.name,
    image,
    imageID: life.phase === "creating" || life.phase === "refused" ? "" : image,
    ready: isReady,
    started: life.phase === "running",
    restartCount: life.restarts,
  };
  const last = life.lastExitMs === undefined ? {} : { terminated: exit(life.lastExitMs) };
  switch (life.phase) {
    case "creating":
      return { ...common, state: { waiting: { reason: "ContainerCreating" } }, lastState: {} };
    case "refused":
      return { ...common, state: { waiting: behaviour.refusal ?? {} }, lastState: {} };
    case "running":
      return { ...common, state: { running: { startedAt: timestamp(life.sinceMs) } }, lastState: last };
    case "exited": {
      if (life.restarts === 0) return { ...common, state: { terminated: exit(life.sinceMs) }, lastState: {} };
      const message = `back-off 10s restarting failed container=${container.name}`;
      return { ...common, state: { waiting: { reason: "CrashLoopBackOff", message } }, lastState: last };
    }
    case "done":
      return { ...common, state: { terminated: exit(life.sinceMs) }, lastState: {} };
  }
}

export async function startHollowKubelet(options: HollowKubeletOptions): Promise<HollowKubelet> {
  const { client, namespaces, clock = systemClock, nodes = ["hollow-1", "hollow-2", "hollow-3"] } = options;
  const stop = new AbortController();
  const capacity = options.capacity ?? CAPACITY;
  await beat(client, nodes, capacity, clock);
  const behaviours = (): Behaviours => [...(options.behaviours ?? []), ...HOLLOW_BEHAVIOURS];
  const tasks = [
    heartbeats(client, nodes, capacity, clock, stop.signal),
    ...namespaces.map((namespace) =>
      mindPods({ client, namespace, nodes, clock, behaviours, signal: stop.signal }),
    ),
  ];
  return {
    nodes,
    stop: async () => {
      stop.abort();
      await Promise.all(tasks);
    },
  };
}

async function heartbeats(
  client: KubeClient,
  nodes: readonly string[],
  capacity: Readonly<Record<string, string>>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(HEARTBEAT_MS, signal).catch(() => undefined);
    // A beat that is missed is made up for by the next.
    if (!signal.aborted) await beat(client, nodes, capacity, clock).catch(() => undefined);
  }
}

async function beat(
  client: KubeClient,
  nodes: readonly string[],
  capacity: Readonly<Record<string, string>>,
  clock: Clock,
): Promise<void> {
  await Promise.all(
    nodes.map(async (name, index) => {
      const node = { apiVersion: "v1", kind: "Node", name };
      const now = timestamp(clock.now());
      await unlessThere(
        client.create({
          apiVersion: "v1",
          kind: "Node",
          metadata: {
            name,
            labels: {
              "kubernetes.io/hostname": name,
              "kubernetes.io/os": "linux",
              "kubernetes.io/arch": "amd64",
            },
          },
        }),
      );
      const conditions = [
        ["Ready", "True", "KubeletReady"],
        ["MemoryPressure", "False", "KubeletHasSufficientMemory"],
        ["DiskPressure", "False", "KubeletHasNoDiskPressure"],
        ["PIDPressure", "False", "KubeletHasSufficientPID"],
      ].map(([type, status, reason]) => ({
        ...{ type, status, reason, message: "hollow", lastHeartbeatTime: now, lastTransitionTime: now },
      }));
      const addresses = [
        { type: "InternalIP", address: `10.201.0.${index + 1}` },
        { type: "Hostname", address: name },
      ];
      const nodeInfo = {
        architecture: "amd64",
        operatingSystem: "linux",
        kubeletVersion: "v1.20.2",
        ...{ machineID: "", systemUUID: "", bootID: "", kernelVersion: "", osImage: "hollow" },
        ...{ containerRuntimeVersion: "hollow://0", kubeProxyVersion: "v1.20.2" },
      };
      const status = { capacity, allocatable: capacity, conditions, addresses, nodeInfo };
      await client.patch(node, "strategic", { status }, { subresource: "status" });
      const lease = {
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { name, namespace: "kube-node-lease" },
        spec: {
          holderIdentity: name,
          leaseDurationSeconds: 40,
          renewTime: `${now.slice(0, -1)}.000000Z`,
        },
      };
      await client.apply(lease, { fieldManager: "hollow-kubelet", force: true });
    }),
  );
}

async function unlessThere(creation: Promise<unknown>): Promise<void> {
  await creation.catch((error: unknown) => {
    if (!isReason(error, "AlreadyExists")) throw error;
  });
}

interface Minding {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly nodes: readonly string[];
  readonly clock: Clock;
  readonly behaviours: () => Behaviours;
  readonly signal: AbortSignal;
}

async function mindPods(minding: Minding): Promise<void> {
  const { client, namespace, clock, signal } = minding;
  const type = { apiVersion: "v1", kind: "Pod" };
  const lives = new Map<string, Life>();
  const pods = new Map<string, Pod>();
  const steps = new Map<string, Promise<void>>();
  const step = (pod: Pod): void => {
    const uid = pod.metadata.uid ?? "";
    pods.set(uid, pod);
    // One pod's steps follow each other; each takes the newest object.
    const before = steps.get(uid) ?? Promise.resolve();
    const next = before.then(async () => {
      const current = pods.get(uid);
      if (current === undefined || signal.aborted) return;
      const waitMs = await stepPod(minding, current, lives).catch((error: unknown) => {
        if (isReason(error, "NotFound") || isReason(error, "Conflict")) return undefined;
        if (error instanceof StatusError && error.httpCode < 500) throw error;
        return 1_000;
      });
      if (waitMs === undefined) return;
      void clock.sleep(waitMs, signal).then(
        () => step(pods.get(uid) ?? current),
        () => undefined,
      );
    });
    steps.set(
      uid,
      next.catch((error: unknown) => process.emitWarning(error as Error)),
    );
  };
  while (!signal.aborted) {
    try {
      const list = await client.list<Pod>(type, { namespace });
      for (const pod of list.items) step({ ...pod, apiVersion: "v1", kind: "Pod" });
      const events = client.watch<Pod>(type, {
        namespace,
        resourceVersion: list.metadata.resourceVersion ?? "",
        signal,
      });
      for await (const { type: what, object } of events) {
        const uid = object.metadata.uid ?? "";
        if (what === "DELETED") {
          pods.delete(uid);
          lives.delete(uid);
          steps.delete(uid);
        } else if (what !== "BOOKMARK") step(object);
      }
    } catch {
      // The server was away or the version too old: list again.
      await clock.sleep(500, signal).catch(() => undefined);
    }
  }
  await Promise.all(steps.values());
}

/** Takes a pod as far as it goes now; returns when to look again. */
async function stepPod(
  { client, nodes, clock, behaviours }: Minding,
  pod: Pod,
  lives: Map<string, Life>,
): Promise<number | undefined> {
  const node = nodes.indexOf(pod.spec.nodeName ?? "") + 1;
  if (node === 0) return undefined;
  const uid = pod.metadata.uid ?? "";
  const now = clock.now();
  const behaviour = behaviourOf(pod, behaviours());
  const before = lives.get(uid) ?? newLife(uid, now);
  const next = nextOf(pod, before, behaviour, now);
  lives.set(uid, next.life);
  const { name, namespace = "default" } = pod.metadata;
  const ref = { apiVersion: "v1", kind: "Pod", name, namespace };
  if (next.remove) {
    await client.delete(ref, { gracePeriodSeconds: 0, preconditions: { uid } });
    return undefined;
  }
  if (next.life.endingSinceMs === undefined) {
    const status = statusOf(pod, next.life, behaviour, node, now);
    if (summary(status) !== summary(pod.status)) {
      await client.patch(ref, "strategic", { metadata: { uid }, status }, { subresource: "status" });
      await tellWhy(client, pod, next.life, behaviour, now);
    }
  }
  return next.requeueAfterMs;
}

function newLife(uid: string, now: number): Life {
  const phase = "creating" as const;
  return {
    uid,
    boundMs: now,
    phase,
    sinceMs: now,
    restarts: 0,
    lastExitMs: undefined,
    endingSinceMs: undefined,
  };
}

function behaviourOf(pod: Pod, behaviours: Behaviours): Behaviour {
  const images = pod.spec.containers.map(({ image }) => image ?? "");
  const matches = (pattern: string, image: string): boolean => {
    const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`).test(image);
  };
  return behaviours.find((row) => images.some((image) => matches(row.image, image)))?.behaviour ?? {};
}

/** What of a status makes a difference; its times do not. */
function summary(status: PodStatus | undefined): string {
  return JSON.stringify([
    status?.phase,
    status?.podIP,
    status?.conditions?.find(({ type }) => type === "Ready")?.status,
    status?.containerStatuses?.map(({ state, restartCount, ready }) => [
      Object.keys(state ?? {}),
      state?.waiting?.reason,
      restartCount,
      ready,
    ]),
  ]);
}

async function tellWhy(
  client: KubeClient,
  pod: Pod,
  life: Life,
  behaviour: Behaviour,
  now: number,
): Promise<void> {
  const image = pod.spec.containers[0]?.image ?? "";
  const said =
    life.phase === "refused"
      ? ["Warning", "Failed", `Failed to pull image "${image}": ${behaviour.refusal?.message}`]
      : life.phase === "exited" && life.restarts > 0
        ? ["Warning", "BackOff", "Back-off restarting failed container"]
        : life.phase === "running"
          ? ["Normal", "Started", `Started container ${pod.spec.containers[0]?.name}`]
          : undefined;
  if (said === undefined) return;
  const [type, reason, message] = said;
  const { name, namespace = "default", uid = "" } = pod.metadata;
  const event = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${name}.${now.toString(16)}`, namespace },
    involvedObject: { apiVersion: "v1", kind: "Pod", name, namespace, uid },
    ...{ type, reason, message, count: 1 },
    source: { component: "kubelet", host: pod.spec.nodeName },
    ...{ firstTimestamp: timestamp(now), lastTimestamp: timestamp(now) },
  };
  await client.create(event);
}
