/**
 * The Deployment controller: moves pods from old templates to the new one without falling below the floor or rising
 * above the ceiling. It never touches a pod; it only sets the sizes of ReplicaSets, one step per decision, and is
 * asked again when their status changes. Behaves as Kubernetes' controller of 1.22 and newer.
 *
 * In order: claim ReplicaSets, note a pause, find (or make) the ReplicaSet of the template, then one of: follow a
 * change of `replicas` (`scaling.ts`), roll (`rolling.ts`), recreate. At last the status (`status.ts`, `progress.ts`).
 *
 * One difference in form: upstream writes the Deployment several times in one pass; here a decision writes each object
 * at most once.
 */
import type { Deployment, DeploymentStatus, KubeObject, LabelSelector, ReplicaSet } from "@slipway/kube";
import type { Command, Controller, Decision, Key, Refusal, Snapshot } from "../controller.ts";
import { keyOf, splitKey } from "../controller.ts";
import { claim, controllerOf, controllerReference } from "../replicaset/claim.ts";
import { Draft, deploymentEvent, sizeAnnotations } from "./draft.ts";
import { POD_TEMPLATE_HASH, templateHash } from "./hash.ts";
import {
  condition,
  conditionOf,
  hasProgressDeadline,
  isComplete,
  untilDeadlineMs,
  withCondition,
  withProgress,
} from "./progress.ts";
import {
  byAge,
  DESIRED_REPLICAS,
  expiredReplicaSets,
  findNewReplicaSet,
  MAX_REPLICAS,
  newReplicaSetAnnotations,
  nextRevision,
  REVISION,
} from "./revision.ts";
import { newReplicas, shrinkOld, sum } from "./rolling.ts";
import { scaleProportionally } from "./scaling.ts";
import { countStatus, isSameStatus, withReplicaFailure } from "./status.ts";
import { isRollingUpdate } from "./strategy.ts";

export const deploymentController: Controller = {
  name: "deployment-controller",
  watches: [
    { kind: "Deployment", keys: (object) => [keyOf(object)] },
    { kind: "ReplicaSet", keys: keysOfReplicaSet },
    { kind: "Pod", keys: keysOfPod },
  ],
  decide: decideDeployment,
};

/** What one decision knows. */
interface Rollout {
  readonly deployment: Deployment;
  /** The ReplicaSet of the current template, if it exists; changes go through the draft. */
  readonly newReplicaSet: ReplicaSet | undefined;
  /** All others, oldest first. */
  readonly old: readonly ReplicaSet[];
  readonly draft: Draft;
  readonly snapshot: Snapshot;
  readonly now: number;
}

export function decideDeployment(snapshot: Snapshot, key: Key, now: number): Decision {
  const { namespace, name } = splitKey(key);
  const deployment = snapshot.get("Deployment", namespace, name);
  if (deployment === undefined) return { commands: [] };
  if (isEmptySelector(deployment.spec.selector)) return refuseEmptySelector(deployment);

  const { owned, toAdopt, toRelease } = claim(deployment, snapshot.list("ReplicaSet", namespace));
  if (toAdopt.length + toRelease.length > 0) {
    const commands = [...toAdopt, ...toRelease].map((object): Command => ({ do: "update", object }));
    return { commands, requeueAfterMs: 0 };
  }

  const newReplicaSet = findNewReplicaSet(deployment, owned);
  const old = byAge(owned).filter(({ metadata }) => metadata.uid !== newReplicaSet?.metadata.uid);
  const draft = new Draft(deployment);
  const rollout: Rollout = { deployment, newReplicaSet, old, draft, snapshot, now };
  if (deployment.metadata.deletionTimestamp !== undefined) return finish(rollout, [], "counts");

  const pause = pauseStatus(deployment, now);
  if (pause !== undefined) {
    return { commands: [{ do: "update-status", object: withStatus(deployment, pause) }] };
  }
  if (newReplicaSet !== undefined) {
    const revised = reviseNewReplicaSet(deployment, newReplicaSet, old);
    if (revised !== undefined) draft.edit(revised);
  }
  if (deployment.spec.paused === true || isScaling(rollout)) return followScale(rollout);
  return isRollingUpdate(deployment) ? roll(rollout) : recreate(rollout);
}

// --- What precedes every rollout ---

function isEmptySelector(selector: LabelSelector): boolean {
  return (
    Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0
  );
}

function refuseEmptySelector(deployment: Deployment): Decision {
  const message = "This deployment is selecting all pods. A non-empty selector is required.";
  const { generation = 0 } = deployment.metadata;
  const isSeen = (deployment.status?.observedGeneration ?? 0) >= generation;
  const observed = withStatus(deployment, { ...deployment.status, observedGeneration: generation });
  return {
    commands: [
      deploymentEvent(deployment, "Warning", "SelectingAll", message),
      ...(isSeen ? [] : [{ do: "update-status", object: observed } as const]),
    ],
  };
}

/** A pause is noted as a condition, so that its length does not count against the deadline. */
function pauseStatus(deployment: Deployment, now: number): DeploymentStatus | undefined {
  if (!hasProgressDeadline(deployment)) return undefined;
  const progressing = conditionOf(deployment.status, "Progressing");
  // A reported lack of progress is not painted over by a pause.
  if (progressing?.reason === "ProgressDeadlineExceeded") return undefined;
  const isPaused = deployment.spec.paused === true;
  const isNoted = progressing?.reason === "DeploymentPaused";
  if (isPaused === isNoted) return undefined;
  const next = isPaused
    ? condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now)
    : condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now);
  return withCondition(deployment.status ?? {}, next);
}

/** The new ReplicaSet with its revision, the Deployment's annotations and minReadySeconds; undefined when it has them. */
function reviseNewReplicaSet(
  deployment: Deployment,
  newReplicaSet: ReplicaSet,
  old: readonly ReplicaSet[],
): ReplicaSet | undefined {
  const current = newReplicaSet.metadata.annotations;
  const annotations = newReplicaSetAnnotations(deployment, current, nextRevision(old));
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  const isAnnotated = Object.entries(annotations).every(([name, value]) => current?.[name] === value);
  if (isAnnotated && (newReplicaSet.spec.minReadySeconds ?? 0) === minReadySeconds) return undefined;
  return {
    ...newReplicaSet,
    metadata: { ...newReplicaSet.metadata, annotations },
    spec: { ...newReplicaSet.spec, minReadySeconds },
  };
}

/**
 * The Deployment shows the revision of its new ReplicaSet. The annotation travels with the status, which may change
 * annotations of this kind; a plain update would count as a new generation.
 */
function withRevision(deployment: Deployment, newReplicaSet: ReplicaSet | undefined): Deployment {
  const revision = newReplicaSet?.metadata.annotations?.[REVISION];
  const { annotations } = deployment.metadata;
  if (revision === undefined || annotations?.[REVISION] === revision) return deployment;
  return {
    ...deployment,
    metadata: { ...deployment.metadata, annotations: { ...annotations, [REVISION]: revision } },
  };
}

// --- The ways to change sizes ---

/** Someone changed `replicas`: an active ReplicaSet still remembers another number. */
function isScaling({ newReplicaSet, old, draft }: Rollout): boolean {
  const all = newReplicaSet === undefined ? old : [...old, newReplicaSet];
  return all.filter(isActive).some((replicaSet) => {
    const desired = numberIn(replicaSet.metadata.annotations?.[DESIRED_REPLICAS]);
    return desired !== undefined && desired !== draft.limits.replicas;
  });
}

function followScale(rollout: Rollout): Decision {
  const { deployment, old } = rollout;
  scale(rollout);
  const cleanup = deployment.spec.paused === true ? deleteExpired(deployment, old) : [];
  return finish(rollout, cleanup, "counts");
}

/** All to one ReplicaSet when only one is active, all to the new one when it is complete, else by shares. */
function scale({ deployment, newReplicaSet, old, draft }: Rollout): void {
  const { replicas } = draft.limits;
  const all = newReplicaSet === undefined ? old : [...old, newReplicaSet];
  const active = all.filter(isActive);
  if (active.length <= 1) {
    const target = active[0] ?? newReplicaSet ?? old.at(-1);
    if (target !== undefined) draft.scale(target, replicas);
    return;
  }
  if (newReplicaSet !== undefined && isSaturated(newReplicaSet, replicas)) {
    for (const replicaSet of old.filter(isActive)) draft.scale(replicaSet, 0);
    return;
  }
  if (!isRollingUpdate(deployment)) return;
  const sizes = scaleProportionally(
    draft.limits,
    active.map((replicaSet) => ({
      name: replicaSet.metadata.name,
      replicas: sizeOf(replicaSet),
      maxReplicasBefore: numberIn(replicaSet.metadata.annotations?.[MAX_REPLICAS]),
      createdAt: replicaSet.metadata.creationTimestamp ?? "",
    })),
    deployment.status?.replicas ?? 0,
  );
  for (const replicaSet of active) {
    draft.scale(replicaSet, sizes.get(replicaSet.metadata.name) ?? sizeOf(replicaSet));
  }
}

function isSaturated(replicaSet: ReplicaSet, replicas: number): boolean {
  return (
    sizeOf(replicaSet) === replicas &&
    numberIn(replicaSet.metadata.annotations?.[DESIRED_REPLICAS]) === replicas &&
    (replicaSet.status?.availableReplicas ?? 0) === replicas
  );
}

/** One step of a rolling update: grow the new, or else shrink the old, or else tidy up. */
function roll(rollout: Rollout): Decision {
  const { deployment, newReplicaSet, old, draft } = rollout;
  const oldTotal = sum(old.map(sizeOf));
  if (newReplicaSet === undefined) {
    return createReplicaSet(rollout, newReplicas(draft.limits, oldTotal, 0));
  }
  const size = sizeOf(newReplicaSet);
  const wanted = newReplicas(draft.limits, oldTotal + size, size);
  if (wanted !== size) draft.scale(newReplicaSet, wanted);
  else shrink(draft, newReplicaSet, old.filter(isActive));
  return finish(rollout, tidy(deployment, old), "progress");
}

function shrink(draft: Draft, newReplicaSet: ReplicaSet, old: readonly ReplicaSet[]): void {
  const { afterCleanup, afterScaleDown } = shrinkOld(
    draft.limits,
    { replicas: sizeOf(newReplicaSet), available: newReplicaSet.status?.availableReplicas ?? 0 },
    old.map((replicaSet) => ({
      replicas: sizeOf(replicaSet),
      available: replicaSet.status?.availableReplicas ?? 0,
    })),
  );
  for (const sizes of [afterCleanup, afterScaleDown]) {
    old.forEach((replicaSet, index) => {
      const size = sizes[index] ?? sizeOf(replicaSet);
      if (size !== sizeOf(draft.now(replicaSet))) draft.scale(replicaSet, size);
    });
  }
}

/** First everything old goes, to its last terminating pod; only then the new comes. */
function recreate(rollout: Rollout): Decision {
  const { deployment, newReplicaSet, old, draft } = rollout;
  const activeOld = old.filter(isActive);
  for (const replicaSet of activeOld) draft.scale(replicaSet, 0);
  if (activeOld.length > 0 || hasOldPods(rollout)) return finish(rollout, [], "progress");
  if (newReplicaSet === undefined) return createReplicaSet(rollout, draft.limits.replicas);
  if (sizeOf(newReplicaSet) !== draft.limits.replicas) draft.scale(newReplicaSet, draft.limits.replicas);
  return finish(rollout, tidy(deployment, old), "progress");
}

function hasOldPods({ deployment, old, snapshot }: Rollout): boolean {
  if (sum(old.map(({ status }) => status?.replicas ?? 0)) > 0) return true;
  const oldUids = new Set(old.map(({ metadata }) => metadata.uid));
  return snapshot
    .list("Pod", deployment.metadata.namespace)
    .some(
      (pod) =>
        oldUids.has(controllerOf(pod)?.uid) &&
        pod.status?.phase !== "Succeeded" &&
        pod.status?.phase !== "Failed",
    );
}

function tidy(deployment: Deployment, old: readonly ReplicaSet[]): readonly Command[] {
  return isComplete(deployment, deployment.status ?? {}) ? deleteExpired(deployment, old) : [];
}

function deleteExpired(deployment: Deployment, old: readonly ReplicaSet[]): readonly Command[] {
  return expiredReplicaSets(deployment, old).map(({ metadata }): Command => {
    const { namespace = "", name, uid } = metadata;
    return { do: "delete", kind: "ReplicaSet", namespace, name, ...(uid === undefined ? {} : { uid }) };
  });
}

// --- The new ReplicaSet ---

/** A name that is taken by another template is a collision of hashes: count it, and the next name differs. */
function createReplicaSet(rollout: Rollout, replicas: number): Decision {
  const { deployment, snapshot, now } = rollout;
  const created = buildReplicaSet(rollout, replicas);
  const { name, namespace = "" } = created.metadata;
  if (snapshot.get("ReplicaSet", namespace, name) !== undefined) {
    const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
    const status = { ...deployment.status, collisionCount };
    return { commands: [{ do: "update-status", object: withStatus(deployment, status) }] };
  }
  const event = `Scaled up replica set ${name} to ${replicas}`;
  const message = `Created new replica set "${name}"`;
  const noted = noteProgress(
    deployment,
    condition("Progressing", "True", "NewReplicaSetCreated", message, now),
  );
  const { commands, ...rest } = finish(
    { ...rollout, deployment: noted, newReplicaSet: created },
    [],
    "progress",
  );
  return {
    ...rest,
    commands: [
      { do: "create", object: created },
      ...(replicas === 0 ? [] : [deploymentEvent(deployment, "Normal", "ScalingReplicaSet", event)]),
      ...commands,
    ],
    ifRefused: (command, refusal) =>
      command.do === "create" ? reportRefusal(deployment, name, refusal, now) : [],
  };
}

function noteProgress(deployment: Deployment, next: ReturnType<typeof condition>): Deployment {
  if (!hasProgressDeadline(deployment)) return deployment;
  return withStatus(deployment, withCondition(deployment.status ?? {}, next));
}

function buildReplicaSet({ deployment, old, draft }: Rollout, replicas: number): ReplicaSet {
  const { template, selector, minReadySeconds } = deployment.spec;
  const { namespace, name } = deployment.metadata;
  const hash = templateHash(template, deployment.status?.collisionCount);
  const labels = { ...template.metadata?.labels, [POD_TEMPLATE_HASH]: hash };
  const annotations = newReplicaSetAnnotations(deployment, undefined, nextRevision(old));
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels,
      annotations: { ...annotations, ...sizeAnnotations(draft.limits) },
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas,
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [POD_TEMPLATE_HASH]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

function reportRefusal(
  deployment: Deployment,
  name: string,
  refusal: Refusal,
  now: number,
): readonly Command[] {
  const message = `Failed to create new replica set "${name}": ${refusal.message}`;
  const failed = noteProgress(
    deployment,
    condition("Progressing", "False", "ReplicaSetCreateError", message, now),
  );
  return [
    deploymentEvent(deployment, "Warning", "ReplicaSetCreateError", message),
    ...(failed === deployment || isSameStatus(deployment.status, failed.status ?? {})
      ? []
      : [{ do: "update-status", object: failed } as const]),
  ];
}

// --- The end of every decision ---

/** The drafted sizes, then the status: with the rollout's progress, or (while scaling or paused) the counts alone. */
function finish(rollout: Rollout, cleanup: readonly Command[], report: "counts" | "progress"): Decision {
  const { deployment, newReplicaSet, old, draft, snapshot, now } = rollout;
  const current = newReplicaSet === undefined ? [] : [draft.now(newReplicaSet)];
  const all = [...old.map((replicaSet) => draft.now(replicaSet)), ...current];
  let status = countStatus(found(rollout), all, current[0], now);
  if (report === "progress") {
    status = withProgress(deployment, status, current[0], now);
    status = withReplicaFailure(status, all, current[0], now);
  }
  const { namespace = "", name } = deployment.metadata;
  const stored = snapshot.get("Deployment", namespace, name)?.status;
  const numbered = withRevision(deployment, current[0]);
  const requeueAfterMs = report === "progress" ? untilDeadlineMs(deployment, status, now) : undefined;
  return {
    commands: [
      ...draft.commands(),
      ...cleanup,
      ...(isSameStatus(stored, status) && numbered === deployment
        ? []
        : [{ do: "update-status", object: withStatus(numbered, status) } as const]),
    ],
    ...(requeueAfterMs === undefined ? {} : { requeueAfterMs }),
  };
}

/** A Deployment without a Progressing condition that finds its ReplicaSet there starts its deadline now. */
function found({ deployment, newReplicaSet, now }: Rollout): Deployment {
  if (newReplicaSet === undefined || conditionOf(deployment.status, "Progressing") !== undefined) {
    return deployment;
  }
  const message = `Found new replica set "${newReplicaSet.metadata.name}"`;
  return noteProgress(deployment, condition("Progressing", "True", "FoundNewReplicaSet", message, now));
}

function withStatus(deployment: Deployment, status: DeploymentStatus): Deployment {
  return { ...deployment, status };
}

function isActive(replicaSet: ReplicaSet): boolean {
  return sizeOf(replicaSet) > 0;
}

function sizeOf(replicaSet: ReplicaSet): number {
  return replicaSet.spec.replicas ?? 1;
}

function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

// --- Which changes concern which Deployments ---

function keysOfReplicaSet(
  object: KubeObject,
  previous: KubeObject | undefined,
  snapshot: Snapshot,
): readonly Key[] {
  const keys = new Set<Key>();
  const namespace = object.metadata.namespace ?? "";
  const owner = controllerOf(object);
  for (const reference of [owner, previous && controllerOf(previous)]) {
    if (reference?.kind === "Deployment") keys.add(`${namespace}/${reference.name}`);
  }
  if (owner === undefined) {
    for (const candidate of snapshot.list("Deployment", namespace)) {
      if (claim(candidate, [object]).toAdopt.length > 0) keys.add(keyOf(candidate));
    }
  }
  return [...keys];
}

/** Only Recreate waits for pods themselves: for the last old one to be gone. */
function keysOfPod(
  object: KubeObject,
  _previous: KubeObject | undefined,
  snapshot: Snapshot,
): readonly Key[] {
  const namespace = object.metadata.namespace ?? "";
  const owner = controllerOf(object);
  if (owner?.kind !== "ReplicaSet") return [];
  const replicaSet = snapshot.get("ReplicaSet", namespace, owner.name);
  const deployment = replicaSet === undefined ? undefined : controllerOf(replicaSet);
  if (deployment?.kind !== "Deployment") return [];
  const stored = snapshot.get("Deployment", namespace, deployment.name);
  return stored === undefined || isRollingUpdate(stored) ? [] : [`${namespace}/${deployment.name}`];
}
