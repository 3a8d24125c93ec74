/**
 * Does the rollout end? The question is built from what was read (which pods are old, which are as wanted, who else takes
 * room), answered by `forecast.ts`, and told with numbers: what a new pod needs, what the freest node has, and what to do.
 */
import {
  allocatableOf,
  hasEnded,
  type NodeView,
  requestsOf,
  resolveLimits,
} from "@slipway/cluster/scheduling";
import { type AnyObject, type Deployment, isEqual, type Pod, type ReplicaSet } from "@slipway/kube";
import { show } from "./amounts.ts";
import { type Autoscaler, autoscalerOf } from "./autoscaler.ts";
import { replicasWanted } from "./autoscaling.ts";
import type { ClusterFacts } from "./facts.ts";
import type { RawFinding } from "./finding.ts";
import { forecast } from "./forecast.ts";
import { checkLimitRanges, withDefaults } from "./limit-range.ts";
import { checkObjectCounts, checkUnspecified, quotasOf } from "./quota.ts";
import type { SeenObject } from "./seen.ts";
import type { Rollout, Stop, Walk } from "./walk.ts";

/** Pods that should be gone for this long hang on their node: what they take is not free soon. */
const HANGS_AFTER_MS = 60_000;

export function checkCapacity(
  facts: ClusterFacts,
  seen: readonly SeenObject[],
  now: number,
): readonly RawFinding[] {
  const quotas = quotasOf(facts.quotas ?? []);
  const changing = seen.filter(isRolling);
  const found: RawFinding[] = [];
  for (const one of changing) {
    const { object } = one;
    const pod = podOf(one, facts);
    found.push(...checkLimitRanges(object, pod.spec, facts.limitRanges ?? []));
    found.push(...checkUnspecified(object, pod, quotas));
  }
  const created = seen.filter(({ live }) => live === undefined).map(({ object }) => object);
  const sets = changing.map(({ object }) => ({ ...object, kind: "ReplicaSet" }));
  found.push(...checkObjectCounts([...created, ...sets], quotas));
  // A pod that is refused in itself needs no forecast of its room, nor one of which nobody knows how many there are to be.
  const refused = new Set(found.map(({ object }) => object));
  const rolling = changing.filter((one) => !refused.has(one.object) && isCountable(limitsOf(one, facts)));
  if (rolling.length === 0) return found;
  if (facts.nodes === undefined || facts.pods === undefined) return found;
  return [...found, ...forecastOf(facts, facts.pods, rolling, now)];
}

/** What the nodes and quotas say of the Deployments that roll. */
function forecastOf(
  facts: ClusterFacts,
  pods: readonly Pod[],
  rolling: readonly SeenObject[],
  now: number,
): readonly RawFinding[] {
  const nodes = facts.nodes ?? [];
  const foreign = rolling.filter(({ object }) => schedulerOf(object) !== "default-scheduler");
  const known = rolling.filter((one) => !foreign.includes(one));
  const found: RawFinding[] = foreign.map(({ object }) => ({
    code: "CAPACITY_UNKNOWN",
    object,
    message: `its pods are placed by the scheduler "${schedulerOf(object)}", so whether they fit is not known`,
  }));
  if (known.length === 0) return found;
  if (nodes.length === 0) {
    return [
      ...found,
      { code: "CAPACITY_UNKNOWN", message: "the cluster has no node: whether the pods fit is not known" },
    ];
  }
  const { rollouts, others } = rolloutsOf(facts, pods, known, now);
  const objects = new Map(known.map(({ object }) => [keyOf(object), object]));
  const result = forecast({ nodes, others, quotas: quotasOf(facts.quotas ?? []) }, rollouts, now);
  const scaler = autoscalerOf(facts.autoscalerStatus, nodes);
  if (result.verdict !== "fits") {
    for (const stop of result.stopped.stops) {
      const object = objects.get(`${stop.rollout.namespace}/${stop.rollout.name}`);
      found.push(tellStop(stop, object, result.verdict, scaler));
    }
    return found;
  }
  return [...found, ...tellRest(result.likely)];
}

function tellRest(walk: Walk): readonly RawFinding[] {
  const found: RawFinding[] = walk.quotaRefusals.map((reason) => ({
    code: "QUOTA_SLOWS",
    message: `${reason}; the rollout goes on in smaller steps, with a back-off between them`,
  }));
  if (walk.preempted > 0) {
    const what =
      walk.preempted === 1 ? "1 pod of lower priority is" : `${walk.preempted} pods of lower priority are`;
    found.push({ code: "CAPACITY_PREEMPTS", message: `${what} evicted to make room` });
  }
  return found;
}

function schedulerOf(object: AnyObject): string {
  return (object as unknown as Deployment).spec.template.spec.schedulerName ?? "default-scheduler";
}

const keyOf = (object: AnyObject): string =>
  `${object.metadata.namespace ?? "default"}/${object.metadata.name}`;

/** A Deployment that makes pods: a new one, another template, or more replicas. */
function isRolling(one: SeenObject): boolean {
  if (one.object.kind !== "Deployment") return false;
  const wanted = wantedOf(one);
  if (wanted.spec.paused === true) return false;
  if (one.live === undefined) return true;
  const live = one.live as unknown as Deployment;
  return !isEqual(wanted.spec.template, live.spec.template) || isUnfinished(live) || grows(wanted, live);
}

const grows = (wanted: Deployment, live: Deployment): boolean =>
  (wanted.spec.replicas ?? live.spec.replicas ?? 1) > (live.spec.replicas ?? 1);

/** The release before was cut off: the rollout goes on, changed or not. */
function isUnfinished({ spec, status }: Deployment): boolean {
  const replicas = spec.replicas ?? 1;
  return (status?.updatedReplicas ?? replicas) < replicas || (status?.replicas ?? replicas) > replicas;
}

/** With the defaults of the cluster where the dry run told them. */
const wantedOf = ({ object, after }: SeenObject): Deployment => (after ?? object) as unknown as Deployment;

function podOf(one: SeenObject, facts: ClusterFacts): Pod {
  const { template } = wantedOf(one).spec;
  const namespace = one.object.metadata.namespace ?? "default";
  const spec = withDefaults(template.spec, facts.limitRanges ?? [], namespace);
  const name = one.object.metadata.name;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...template.metadata,
      name,
      namespace,
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name,
          uid: `new-${namespace}/${name}`,
          controller: true,
        },
      ],
    },
    spec: { ...spec, ...priorityOf(spec.priorityClassName, facts.priorityClasses ?? []) },
  };
}

/** As the admission plugin Priority resolves it: the named class, else the global default, else 0. */
function priorityOf(
  name: string | undefined,
  classes: readonly AnyObject[],
): { readonly priority: number; readonly preemptionPolicy?: string } {
  const found = classes.find((one) =>
    name === undefined || name === "" ? one["globalDefault"] === true : one.metadata.name === name,
  );
  const policy = found?.["preemptionPolicy"];
  return {
    priority: typeof found?.["value"] === "number" ? found["value"] : 0,
    ...(typeof policy === "string" ? { preemptionPolicy: policy } : {}),
  };
}

function rolloutsOf(
  facts: ClusterFacts,
  pods: readonly Pod[],
  rolling: readonly SeenObject[],
  now: number,
): { readonly rollouts: readonly Rollout[]; readonly others: readonly Pod[] } {
  const ours = new Set<Pod>();
  const byOwner = new Map<string, Pod[]>();
  for (const pod of pods) {
    if (hasEnded(pod) || pod.metadata.deletionTimestamp !== undefined) continue;
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid;
    if (owner !== undefined) byOwner.set(owner, [...(byOwner.get(owner) ?? []), pod]);
  }
  const rollouts = rolling.map((one): Rollout => {
    const wanted = wantedOf(one);
    const live = one.live as unknown as Deployment | undefined;
    const sets = ((facts.replicaSets ?? []) as readonly unknown[] as readonly ReplicaSet[])
      .filter(
        ({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === live?.metadata.uid) === true,
      )
      .sort((a, b) => ((a.metadata.creationTimestamp ?? "") < (b.metadata.creationTimestamp ?? "") ? -1 : 1));
    const old: Pod[][] = [];
    let current: readonly Pod[] = [];
    for (const set of live === undefined ? [] : sets) {
      const own = byOwner.get(set.metadata.uid ?? "") ?? [];
      for (const pod of own) ours.add(pod);
      if (isSameTemplate(set, wanted)) current = own;
      else if (own.length > 0) old.push(own);
    }
    return {
      name: one.object.metadata.name,
      namespace: one.object.metadata.namespace ?? "default",
      limits: limitsOf(one, facts),
      isRecreated: wanted.spec.strategy?.type === "Recreate",
      pod: podOf(one, facts),
      old,
      current,
    };
  });
  const others = pods.filter((pod) => !ours.has(pod) && staysFor(pod, now));
  return { rollouts, others };
}

function staysFor(pod: Pod, now: number): boolean {
  const { deletionTimestamp } = pod.metadata;
  if (deletionTimestamp !== undefined) return now - Date.parse(deletionTimestamp) > HANGS_AFTER_MS;
  if (pod.spec.nodeName !== undefined) return true;
  return (pod.spec.schedulerName ?? "default-scheduler") === "default-scheduler";
}

function isSameTemplate(set: ReplicaSet, wanted: Deployment): boolean {
  const { "pod-template-hash": _hash, ...labels } = set.spec.template.metadata?.labels ?? {};
  const template = {
    ...set.spec.template,
    metadata: { ...set.spec.template.metadata, labels },
  };
  return isEqual(template, wanted.spec.template);
}

/** `replicas: two` or `maxSurge: few` is refused by the dry run, in its own words. */
function isCountable(limits: Rollout["limits"]): boolean {
  return Object.values(limits).every((value) => Number.isSafeInteger(value)) && limits.replicas >= 0;
}

function limitsOf(one: SeenObject, facts: ClusterFacts): Rollout["limits"] {
  const replicas = replicasWanted(one, facts.autoscalers ?? []);
  const rolling = wantedOf(one).spec.strategy?.rollingUpdate;
  const { maxSurge, maxUnavailable } = resolveLimits(
    replicas,
    rolling?.maxSurge ?? "25%",
    rolling?.maxUnavailable ?? "25%",
  );
  return {
    replicas,
    maxSurge,
    maxUnavailable,
    maxTotal: replicas + maxSurge,
    minAvailable: replicas - maxUnavailable,
  };
}

function tellStop(
  stop: Stop,
  object: AnyObject | undefined,
  verdict: "tight" | "stops",
  scaler: Autoscaler,
): RawFinding {
  const { rollout, placed, old } = stop;
  const { replicas, maxSurge, maxUnavailable } = rollout.limits;
  const first = rollout.old.length === 0 && rollout.current.length === 0;
  const at = `${placed} of ${replicas} new pods${first ? "" : `, with ${old} old`}`;
  const might = verdict === "tight" ? "may stop" : "stops";
  if (stop.quota !== undefined) {
    const message = `the rollout ${might} at ${at}: ${stop.quota}`;
    return { code: verdict === "tight" ? "CAPACITY_TIGHT" : "QUOTA_EXCEEDED", object, message };
  }
  const surge = first ? "" : ` (maxSurge ${maxSurge}, maxUnavailable ${maxUnavailable})`;
  const facts = [lackOf(stop), stop.unschedulable].filter((part) => part !== undefined && part !== "");
  const message = `the rollout ${might} at ${at}${surge}: ${facts.join("; ")}`;
  const hint = hintFor(stop, first);
  if (verdict === "tight") return { code: "CAPACITY_TIGHT", object, message, hint };
  return withAutoscaler({ code: "CAPACITY_SHORT", object, message, hint }, stop, scaler);
}

/** `1 surge pod needs 500m cpu, the freest of 3 nodes has 300m`. */
function lackOf({ rollout, views, placed, old }: Stop): string | undefined {
  const { replicas, maxTotal } = rollout.limits;
  const missing = Math.max(1, Math.min(replicas, maxTotal - old) - placed);
  const what = `${missing} ${old > 0 ? "surge " : ""}pod${missing === 1 ? "" : "s"}`;
  const lacks = [...requestsOf(rollout.pod)].flatMap(([resource, amount]) => {
    const free = freest(views, resource);
    if (amount === 0 || amount <= free) return [];
    return [
      `${missing === 1 ? "needs" : "need"} ${show(resource, amount)} ${resource}${missing === 1 ? "" : " each"}, the freest of ${views.length} nodes has ${show(resource, free)}`,
    ];
  });
  return lacks.length === 0 ? undefined : `${what} ${lacks.join(", and ")}`;
}

function freest(views: readonly NodeView[], resource: string): number {
  return Math.max(
    0,
    ...views.map(
      (view) => (allocatableOf(view.node).get(resource) ?? 0) - (view.requested.get(resource) ?? 0),
    ),
  );
}

function hintFor({ rollout, old }: Stop, first: boolean): string {
  const { replicas, maxUnavailable } = rollout.limits;
  const room = "Make room: a node more, or smaller requests";
  if (first || old === 0) return `${room}, or fewer replicas.`;
  if (maxUnavailable === 0 && replicas > 1)
    return `${room}; or let an old pod go first with maxUnavailable: 1 (${replicas - 1} of ${replicas} serve while it rolls).`;
  return `${room}.`;
}

/** Somebody may add nodes; a pod that is larger than every node is not helped by more of them. */
function withAutoscaler(finding: RawFinding, { rollout, views }: Stop, scaler: Autoscaler): RawFinding {
  const requests = requestsOf(rollout.pod);
  const fitsEmpty = views.some(({ node }) =>
    [...requests].every(([name, amount]) => amount <= (allocatableOf(node).get(name) ?? 0)),
  );
  const message = (what: string): string => `${finding.message}; ${what}`;
  switch (scaler.kind) {
    case "none":
      return { ...finding, message: message("no autoscaler was found that could add a node") };
    case "full":
      return { ...finding, message: message(scaler.what) };
    case "unknown":
      return {
        ...finding,
        code: "CAPACITY_AUTOSCALER",
        message: message(`whether an autoscaler can add a node is not known: ${scaler.why}`),
      };
    case "can": {
      const room = scaler.room === undefined ? "" : `, up to ${scaler.room} more`;
      const what = fitsEmpty
        ? `${scaler.what} may add nodes${room}`
        : `${scaler.what} may add nodes${room}, but the pod fits on none of the shapes there are now, not even empty`;
      return { ...finding, code: "CAPACITY_AUTOSCALER", message: message(what) };
    }
  }
}
