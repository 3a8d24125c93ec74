/**
 * What preflight needs to know of one cluster: one list per kind, all at once, and one question for each object that the
 * release refers to. What may not be read is remembered by name, since not knowing is not the same as in order. Secrets
 * are asked for one by one: their list would bring the records of all releases along.
 */
import { type AnyObject, isReason, type KubeClient, type Node, type Pod, StatusError } from "@slipway/kube";
import { broughtFor, type HookJob } from "../hooks/hook-object.ts";
import {
  accountsOf,
  type Found,
  keyed,
  pullSecretsOf,
  type Reference,
  referenceKey,
  referencesOf,
} from "./references.ts";

export interface ClusterFacts {
  /** Undefined: may not be read. The same for each list below. */
  readonly nodes: readonly Node[] | undefined;
  /** Of all namespaces: they all take room on the nodes. */
  readonly pods: readonly Pod[] | undefined;
  readonly replicaSets: readonly AnyObject[] | undefined;
  readonly autoscalers: readonly AnyObject[] | undefined;
  readonly budgets: readonly AnyObject[] | undefined;
  readonly quotas: readonly AnyObject[] | undefined;
  readonly limitRanges: readonly AnyObject[] | undefined;
  readonly priorityClasses: readonly AnyObject[] | undefined;
  /** Text of `kube-system/cluster-autoscaler-status`; undefined when there is none. */
  readonly autoscalerStatus: string | "unreadable" | undefined;
  /** By `referenceKey`. */
  readonly referenced: ReadonlyMap<string, Found>;
  /** `nodes`, `resourcequotas in shop`, `Secret db`: what the cluster did not let us read. */
  readonly unreadable: readonly string[];
}

type Sink = string[];

/** Never throws for what may not be read; a cluster that does not answer is the caller's to tell. */
export async function readClusterFacts(
  client: KubeClient,
  objects: readonly AnyObject[],
  hooks: readonly HookJob[] = [],
): Promise<ClusterFacts> {
  const unreadable: Sink = [];
  const all = [...objects, ...hooks.map(({ object }) => object)];
  const namespaces = [...new Set(all.flatMap(({ metadata }) => metadata.namespace ?? []))].sort();
  const every = <T extends AnyObject | Node | Pod>(versions: readonly string[], kind: string, word: string) =>
    listFirst<T>(client, versions, kind, { word, unreadable });
  const each = (versions: readonly string[], kind: string, word: string) =>
    listEach(client, versions, kind, { namespaces, word, unreadable });
  const [
    nodes,
    pods,
    replicaSets,
    autoscalers,
    budgets,
    quotas,
    limitRanges,
    priorityClasses,
    status,
    referenced,
  ] = await Promise.all([
    every<Node>(["v1"], "Node", "nodes"),
    every<Pod>(["v1"], "Pod", "pods of all namespaces"),
    each(["apps/v1"], "ReplicaSet", "replicasets"),
    each(
      ["autoscaling/v2", "autoscaling/v2beta2", "autoscaling/v1"],
      "HorizontalPodAutoscaler",
      "horizontalpodautoscalers",
    ),
    each(["policy/v1", "policy/v1beta1"], "PodDisruptionBudget", "poddisruptionbudgets"),
    each(["v1"], "ResourceQuota", "resourcequotas"),
    each(["v1"], "LimitRange", "limitranges"),
    every<AnyObject>(["scheduling.k8s.io/v1"], "PriorityClass", "priorityclasses"),
    autoscalerStatus(client),
    readReferenced(client, wantedOf(objects, hooks), unreadable),
  ]);
  return {
    nodes,
    pods,
    replicaSets,
    autoscalers,
    budgets,
    quotas,
    limitRanges,
    priorityClasses,
    autoscalerStatus: status,
    referenced,
    unreadable: unreadable.sort(),
  };
}

interface Reading {
  readonly namespace?: string | undefined;
  readonly word: string;
  readonly unreadable: Sink;
}

/** The list in the first version that is served; empty when the cluster has no such kind. */
async function listFirst<T extends AnyObject | Node | Pod>(
  client: KubeClient,
  versions: readonly string[],
  kind: string,
  { namespace, word, unreadable }: Reading,
): Promise<readonly T[] | undefined> {
  for (const apiVersion of versions) {
    try {
      // Version 0 is answered from the API server's cache: a moment old, and cheap with thousands of pods.
      const { items } = await client.list<T>(
        { apiVersion, kind },
        { ...(namespace === undefined ? {} : { namespace }), resourceVersion: "0" },
      );
      return items;
    } catch (error) {
      if (isReason(error, "NotFound")) continue;
      if (!isRefusal(error)) throw error;
      unreadable.push(`${word}${namespace === undefined ? "" : ` in ${namespace}`} (${error.httpCode})`);
      return undefined;
    }
  }
  return [];
}

async function listEach(
  client: KubeClient,
  versions: readonly string[],
  kind: string,
  { namespaces, ...reading }: Reading & { readonly namespaces: readonly string[] },
): Promise<readonly AnyObject[] | undefined> {
  const lists = await Promise.all(
    namespaces.map((namespace) => listFirst<AnyObject>(client, versions, kind, { ...reading, namespace })),
  );
  return lists.some((list) => list === undefined) ? undefined : lists.flatMap((list) => list ?? []);
}

/** An answer that is no data, be it for want of rights or for trouble in there: preflight goes on without, and says so. */
function isRefusal(error: unknown): error is StatusError {
  return error instanceof StatusError;
}

async function autoscalerStatus(client: KubeClient): Promise<string | "unreadable" | undefined> {
  const ref = {
    apiVersion: "v1",
    kind: "ConfigMap",
    namespace: "kube-system",
    name: "cluster-autoscaler-status",
  };
  try {
    const { data } = await client.get<AnyObject>(ref);
    return String((data as { status?: string } | undefined)?.status ?? "");
  } catch (error) {
    if (isReason(error, "NotFound")) return undefined;
    if (isRefusal(error)) return "unreadable";
    throw error;
  }
}

/** What the release does not bring itself, or brings too late for a hook. By `referenceKey`. */
function wantedOf(objects: readonly AnyObject[], hooks: readonly HookJob[]): ReadonlyMap<string, Reference> {
  const wanted = new Map<string, Reference>();
  const want = (object: AnyObject, brought: ReadonlyMap<string, AnyObject>): void => {
    for (const reference of [...referencesOf(object), ...accountsOf(object)]) {
      if (!brought.has(referenceKey(reference))) wanted.set(referenceKey(reference), reference);
    }
  };
  const ours = keyed(objects);
  for (const object of objects) want(object, ours);
  for (const { hook, object } of hooks) want(object, keyed(broughtFor(hook, objects)));
  return wanted;
}

async function readReferenced(
  client: KubeClient,
  wanted: ReadonlyMap<string, Reference>,
  unreadable: Sink,
): Promise<ReadonlyMap<string, Found>> {
  const found = new Map<string, Found>();
  const read = async (references: readonly Reference[]): Promise<void> => {
    const asked = new Map(references.map((reference) => [referenceKey(reference), reference]));
    await Promise.all(
      [...asked].map(async ([key, reference]) => {
        if (!found.has(key)) found.set(key, await readOne(client, reference, unreadable));
      }),
    );
  };
  await read([...wanted.values()]);
  // An account names more: the Secrets that its pods are pulled with.
  const accounts = [...found.values()].filter((one) => typeof one === "object");
  await read(accounts.filter(({ kind }) => kind === "ServiceAccount").flatMap(pullSecretsOf));
  return found;
}

async function readOne(client: KubeClient, reference: Reference, unreadable: Sink): Promise<Found> {
  const { apiVersion, kind, name, namespace } = reference;
  try {
    return await client.get<AnyObject>({ apiVersion, kind, name, namespace });
  } catch (error) {
    if (isReason(error, "NotFound")) return isUnserved(error) ? "unserved" : "missing";
    if (!isRefusal(error)) throw error;
    unreadable.push(`${kind} ${name} (${error.httpCode})`);
    return "unreadable";
  }
}

/** A kind that nobody serves is told apart by its details: they name no object. */
function isUnserved(error: StatusError): boolean {
  return error.status.details?.name === undefined;
}
