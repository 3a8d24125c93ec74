/**
 * A stage for one case on a real cluster: a namespace with the service as it was before, what else is there, and the
 * steps that the case takes at their moments. The recorder and the tests on a real cluster share it.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, SlipwayError } from "@slipway/base";
import {
  type AnyObject,
  type Deployment,
  isReason,
  type KubeClient,
  type ObjectRef,
  type Pod,
  StatusError,
} from "@slipway/kube";
import type { CorpusCase, Step } from "../../packages/slipway/src/corpus/case.ts";
import { type CaseObjects, loadObjects, parseObjects } from "../../packages/slipway/src/corpus/objects.ts";
import type { HollowNodes } from "./hollow.ts";
import type { Machine } from "./machine.ts";
import { names } from "./neutral.ts";
import type { CaseWebhook } from "./webhook.ts";

export interface Surroundings {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Not for cases on hollow nodes. */
  readonly webhook: CaseWebhook | undefined;
  readonly machine: Machine;
  /** Only while cases on hollow nodes run. */
  readonly hollow: HollowNodes | undefined;
}

export interface Stage {
  readonly namespace: string;
  /** As they are on this machine: names of registries are real, the namespace is filled in. */
  readonly objects: CaseObjects;
  /** Takes the steps whose moment is at or after the apply; resolves when all were taken, or `signal` aborts. */
  play(appliedAt: number, signal: AbortSignal): Promise<void>;
  /** Takes the steps before the apply, in their order. */
  prepare(): Promise<void>;
  tearDown(): Promise<void>;
}

const CLUSTER_WIDE = new Set(["Namespace", "PriorityClass", "PersistentVolume", "RuntimeClass"]);
const HEALTHY_WITHIN_MS = 240_000;

export async function openStage(one: CorpusCase, around: Surroundings): Promise<Stage> {
  const { client, clock } = around;
  const namespace = `c-${one.id}-x${randomBytes(2).toString("hex")}`;
  const { toMachine } = names(namespace);
  const local = (object: AnyObject): AnyObject => {
    const mine = JSON.parse(toMachine(JSON.stringify(object))) as AnyObject;
    return CLUSTER_WIDE.has(mine.kind) ? mine : { ...mine, metadata: { ...mine.metadata, namespace } };
  };
  const raw = await loadObjects(one);
  const objects: CaseObjects = {
    before: raw.before.map(local),
    after: raw.after.map(local),
    world: raw.world.map(local),
  };
  const stage: StageFacts = { one, around, namespace, objects, local };
  await client.create({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace, labels: { "corpus-namespace": namespace } },
  } as AnyObject);
  await until(clock, 60_000, "the default ServiceAccount", async () =>
    exists(client, { apiVersion: "v1", kind: "ServiceAccount", name: "default", namespace }),
  );
  for (const node of one.nodes) await around.hollow?.add(node);
  for (const object of objects.world) {
    await client.apply(object, { fieldManager: "corpus", force: true });
    if (object.kind === "ResourceQuota") await quotaCounts(object, around, 0);
  }
  for (const object of objects.before) await client.apply(object, { fieldManager: "slipway", force: true });
  await until(clock, HEALTHY_WITHIN_MS, `${one.id}: the service before the change`, async () => {
    const ready = await Promise.all(objects.before.map((object) => isUp(client, object, namespace)));
    return one.startsBroken ? true : ready.every((isReady) => isReady);
  });
  if (one.startsBroken) await clock.sleep(25_000);
  for (const object of objects.world.filter(({ kind }) => kind === "ResourceQuota")) {
    const { items } = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace });
    await quotaCounts(object, around, items.length);
  }
  const before = one.steps.filter((step) => step.atMs < 0);
  const after = one.steps.filter((step) => step.atMs >= 0).toSorted((a, b) => a.atMs - b.atMs);
  return {
    namespace,
    objects,
    prepare: async () => {
      for (const [index, step] of before.entries()) {
        await take(step, stage, new AbortController().signal);
        const next = before[index + 1]?.atMs ?? 0;
        await clock.sleep(Math.max(0, next - step.atMs));
      }
    },
    play: async (appliedAt, signal) => {
      for (const step of after) {
        await clock.sleep(Math.max(0, appliedAt + step.atMs - clock.now()), signal).catch(() => undefined);
        if (signal.aborted) return;
        await take(step, stage, signal);
      }
    },
    tearDown: async () => {
      await around.webhook?.remove(client, namespace);
      for (const object of objects.world.filter(({ kind }) => CLUSTER_WIDE.has(kind))) {
        await client.delete(refOf(object)).catch(() => undefined);
      }
      await releaseFinalizers(client, namespace);
      await client.delete({ apiVersion: "v1", kind: "Namespace", name: namespace }).catch(() => undefined);
      const pods = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace });
      // Nobody waits for what is thrown away; hollow nodes that are lost would never let go.
      for (const pod of pods.items) {
        await client
          .delete(
            { apiVersion: "v1", kind: "Pod", name: pod.metadata.name, namespace },
            { gracePeriodSeconds: one.nodes.length > 0 ? 0 : 1 },
          )
          .catch(() => undefined);
      }
    },
  };
}

interface StageFacts {
  readonly one: CorpusCase;
  readonly around: Surroundings;
  readonly namespace: string;
  readonly objects: CaseObjects;
  readonly local: (object: AnyObject) => AnyObject;
}

async function take(step: Step, stage: StageFacts, signal: AbortSignal): Promise<void> {
  const { around, namespace, one } = stage;
  const { client, clock, webhook, machine, hollow } = around;
  const deployment = { apiVersion: "apps/v1", kind: "Deployment", name: "web", namespace };
  const setReplicas = (replicas: number): Promise<unknown> =>
    client.patch(deployment, "merge", { spec: { replicas } }, { fieldManager: "someone-else" });
  switch (step.do) {
    case "apply":
      for (const object of await fileOf(stage, step.file))
        await client.apply(object, { fieldManager: "someone-else", force: true });
      return;
    case "delete":
      for (const object of await fileOf(stage, step.file)) await client.delete(refOf(object));
      return;
    case "delete-pod": {
      const pod = await choosePod(stage, step.of);
      return client.delete({ apiVersion: "v1", kind: "Pod", name: pod, namespace });
    }
    case "evict-pod":
      return evict(client, namespace, await choosePod(stage, step.of));
    case "scale":
      await setReplicas(step.replicas);
      return;
    case "contest":
      for (let turn = 0; !signal.aborted; turn += 1) {
        await setReplicas(step.replicas[turn % step.replicas.length] as number);
        await clock.sleep(step.every, signal).catch(() => undefined);
      }
      return;
    case "set-image":
      await client.patch(
        deployment,
        "strategic",
        {
          spec: {
            template: {
              spec: { containers: [{ name: "web", image: names(namespace).toMachine(step.image) }] },
            },
          },
        },
        { fieldManager: "someone-else" },
      );
      return;
    case "pause":
      await client.patch(deployment, "merge", { spec: { paused: true } });
      return;
    case "cordon":
    case "uncordon":
      await client.patch({ apiVersion: "v1", kind: "Node", name: step.node }, "merge", {
        spec: { unschedulable: step.do === "cordon" },
      });
      return;
    case "drain": {
      await client.patch({ apiVersion: "v1", kind: "Node", name: step.node }, "merge", {
        spec: { unschedulable: true },
      });
      const pods = await podsOf(stage);
      for (const pod of pods.filter((pod) => pod.spec.nodeName === step.node))
        await evict(client, namespace, pod.metadata.name);
      return;
    }
    case "taint":
    case "untaint": {
      const node = await client.get<AnyObject & { spec: { taints?: readonly { key: string }[] } }>({
        apiVersion: "v1",
        kind: "Node",
        name: step.node,
      });
      const others = (node.spec.taints ?? []).filter((taint) => taint.key !== step.key);
      const taints = step.do === "taint" ? [...others, { key: step.key, effect: step.effect }] : others;
      await client.patch({ apiVersion: "v1", kind: "Node", name: step.node }, "merge", { spec: { taints } });
      return;
    }
    case "lose-node":
      return hollow?.lose(await nodeNamed(stage, step.node));
    case "find-node":
      return hollow?.find(step.node);
    case "add-node":
      return hollow?.add({ name: step.node, cpu: step.cpu, memory: step.memory, labels: step.labels });
    case "autoscaler-says":
      return autoscalerSays(stage, step.reason, step.message);
    case "open-gate":
      for (; !signal.aborted; await clock.sleep(1_000, signal).catch(() => undefined))
        await openGates(stage, step.condition);
      return;
    case "stop":
      return machine.stop(step.program);
    case "start":
      return machine.start(step.program);
    case "webhook":
      return webhook?.set(client, namespace, step.answer, step.rules);
    case "reboot":
      return machine.reboot(namespace);
    default:
      throw new SlipwayError({
        code: "CORPUS_STEP_UNKNOWN",
        where: one.id,
        message: `no step ${JSON.stringify(step)}`,
      });
  }
}

async function fileOf(stage: StageFacts, file: string): Promise<readonly AnyObject[]> {
  return parseObjects(await readFile(join(stage.one.directory, file), "utf8"), file).map(stage.local);
}

async function podsOf({ around, namespace }: StageFacts): Promise<readonly Pod[]> {
  const { items } = await around.client.list<Pod>(
    { apiVersion: "v1", kind: "Pod" },
    { namespace, labelSelector: "app=web" },
  );
  return items.filter((pod) => pod.metadata.deletionTimestamp === undefined);
}

/** A pod of the newest ReplicaSet, or of another; waits until there is one. */
async function choosePod(stage: StageFacts, of: "new" | "old" | "any"): Promise<string> {
  let found: string | undefined;
  await until(stage.around.clock, 60_000, `a pod (${of})`, async () => {
    const pods = (await podsOf(stage)).toSorted((a, b) =>
      (a.metadata.creationTimestamp ?? "").localeCompare(b.metadata.creationTimestamp ?? ""),
    );
    const hashOf = (pod: Pod | undefined): string | undefined => pod?.metadata.labels?.["pod-template-hash"];
    const newest = hashOf(pods.at(-1));
    found = pods.find((pod) => of === "any" || (hashOf(pod) === newest) === (of === "new"))?.metadata.name;
    return found !== undefined;
  });
  return found as string;
}

/** `of-new-pod`: the node that took a pod of the new version. */
async function nodeNamed(stage: StageFacts, name: string): Promise<string> {
  if (name !== "of-new-pod") return name;
  let node = "";
  await until(stage.around.clock, 60_000, "a node with a new pod", async () => {
    const pod = await choosePod(stage, "new");
    node = (await podsOf(stage)).find((one) => one.metadata.name === pod)?.spec.nodeName ?? "";
    return node !== "";
  });
  return node;
}

/** As kubectl drain does: the API server asks the PodDisruptionBudgets, and refuses with 429 where they are spent. */
async function evict(client: KubeClient, namespace: string, name: string): Promise<void> {
  try {
    await client.create({
      apiVersion: "policy/v1beta1",
      kind: "Eviction",
      metadata: { name, namespace },
    } as AnyObject);
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    if (error.httpCode !== 429 && error.httpCode !== 404) throw error;
  }
}

async function autoscalerSays(stage: StageFacts, reason: string, message: string): Promise<void> {
  const { client, clock } = stage.around;
  let waiting: readonly Pod[] = [];
  await until(clock, 60_000, "a pod without a node", async () => {
    waiting = (await podsOf(stage)).filter((pod) => pod.spec.nodeName === undefined);
    return waiting.length > 0;
  });
  for (const pod of waiting) {
    const { name, uid = "", resourceVersion } = pod.metadata;
    const time = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    await client.create({
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${name}.${randomBytes(6).toString("hex")}`, namespace: stage.namespace },
      involvedObject: {
        apiVersion: "v1",
        kind: "Pod",
        name,
        namespace: stage.namespace,
        uid,
        resourceVersion,
      },
      reason,
      message,
      type: "Normal",
      source: { component: "cluster-autoscaler" },
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    } as unknown as AnyObject);
  }
}

async function openGates(stage: StageFacts, type: string): Promise<void> {
  const { client, clock } = stage.around;
  for (const pod of await podsOf(stage)) {
    const isOpen = pod.status?.conditions?.some((one) => one.type === type && one.status === "True");
    if (isOpen === true) continue;
    const lastTransitionTime = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    await client
      .patch(
        refOf(pod as unknown as AnyObject),
        "strategic",
        { status: { conditions: [{ type, status: "True", lastTransitionTime }] } },
        { subresource: "status" },
      )
      .catch(() => undefined);
  }
}

/** What a case made unable to go is let go, or its namespace would stay for ever. */
async function releaseFinalizers(client: KubeClient, namespace: string): Promise<void> {
  for (const type of [
    { apiVersion: "v1", kind: "Pod" },
    { apiVersion: "v1", kind: "ConfigMap" },
    { apiVersion: "apps/v1", kind: "Deployment" },
  ]) {
    const { items } = await client.list(type, { namespace });
    for (const item of items.filter((one) => (one.metadata.finalizers ?? []).length > 0)) {
      await client
        .patch({ ...type, name: item.metadata.name, namespace }, "merge", { metadata: { finalizers: null } })
        .catch(() => undefined);
    }
  }
}

/**
 * The quota controller has counted this many pods, where the quota counts pods. A pod that came before the quota was
 * known is left out for minutes, and then the surge is not refused.
 */
function quotaCounts(quota: AnyObject, { client, clock }: Surroundings, pods: number): Promise<void> {
  return until(clock, 60_000, `ResourceQuota ${quota.metadata.name} with ${pods} pods counted`, async () => {
    const { status } = await client.get<AnyObject & { status?: { used?: Record<string, string> } }>(
      refOf(quota),
    );
    return status?.used !== undefined && Number(status.used["pods"] ?? pods) === pods;
  });
}

/** Whether what a workload of any kind wants is there; other objects want nothing. */
async function isUp(client: KubeClient, object: AnyObject, namespace: string): Promise<boolean> {
  const { kind } = object;
  const { name } = object.metadata;
  if (kind === "Deployment") return isRolledOut(client, name, namespace);
  if (kind !== "StatefulSet" && kind !== "DaemonSet") return true;
  const { spec, status } = await client.get<AnyObject & WorkloadStatus>({
    apiVersion: "apps/v1",
    kind,
    name,
    namespace,
  });
  const [wanted = 1, ready = 0] =
    kind === "StatefulSet"
      ? [spec?.replicas, status?.readyReplicas]
      : [status?.desiredNumberScheduled, status?.numberReady];
  return wanted > 0 && ready >= wanted;
}

interface WorkloadStatus {
  readonly spec?: { readonly replicas?: number };
  readonly status?: {
    readonly readyReplicas?: number;
    readonly desiredNumberScheduled?: number;
    readonly numberReady?: number;
  };
}

export async function isRolledOut(client: KubeClient, name: string, namespace: string): Promise<boolean> {
  const { metadata, spec, status } = await client.get<Deployment>({
    apiVersion: "apps/v1",
    kind: "Deployment",
    name,
    namespace,
  });
  const wanted = spec.replicas ?? 1;
  return (
    (status?.observedGeneration ?? 0) >= (metadata.generation ?? 1) &&
    status?.updatedReplicas === wanted &&
    status.availableReplicas === wanted &&
    status.replicas === wanted
  );
}

export function refOf(object: AnyObject): ObjectRef {
  const { apiVersion, kind, metadata } = object;
  return {
    apiVersion: apiVersion ?? "v1",
    kind: kind ?? "Pod",
    name: metadata.name,
    namespace: metadata.namespace,
  };
}

async function exists(client: KubeClient, ref: ObjectRef): Promise<boolean> {
  try {
    await client.get(ref);
    return true;
  } catch (error) {
    if (isReason(error, "NotFound")) return false;
    throw error;
  }
}

export async function until(
  clock: Clock,
  atMostMs: number,
  what: string,
  isTrue: () => Promise<boolean>,
): Promise<void> {
  const end = clock.monotonic() + atMostMs;
  while (!(await isTrue())) {
    if (clock.monotonic() > end) {
      throw new SlipwayError({
        code: "CORPUS_STAGE_STUCK",
        where: what,
        message: `was not there after ${atMostMs / 1000} s`,
      });
    }
    await clock.sleep(300);
  }
}
