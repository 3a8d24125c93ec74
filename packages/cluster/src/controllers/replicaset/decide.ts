/**
 * The ReplicaSet controller: keeps `spec.replicas` pods of one template alive. The core is one subtraction, active
 * pods minus wanted; everything else is whom to count (`claim.ts`), who dies first (`ranking.ts`) and what to report
 * (`status.ts`). Behaves as Kubernetes 1.22 and newer.
 *
 * One thing differs in form, not in effect: expectations. Upstream remembers, per ReplicaSet, the creations and
 * deletions that its cache does not show yet, and does nothing until it does. Here the drivers promise more: a
 * controller never decides on a picture older than its own last write for that key (`execute` returns that version;
 * `world/` holds the key back until the picture has caught up). Without this promise a stale picture would create or
 * delete twice.
 */
import type { KubeObject, Pod, ReplicaSet } from "@slipway/kube";
import type { Command, Controller, Decision, Key, Refusal, Snapshot } from "../controller.ts";
import { keyOf, splitKey } from "../controller.ts";
import { podFromTemplate } from "../pod-template.ts";
import { claim, controllerOf } from "./claim.ts";
import { isActive } from "./pods.ts";
import { podsToDelete } from "./ranking.ts";
import { slowStartBatches } from "./slow-start.ts";
import { countStatus, isSameStatus } from "./status.ts";

/** The most pods that one decision creates or deletes, as upstream's burstReplicas. */
const BURST_REPLICAS = 500;

export const replicaSetController: Controller = {
  name: "replicaset-controller",
  watches: [
    { kind: "ReplicaSet", keys: (object) => [keyOf(object)] },
    { kind: "Pod", keys: keysOfPod },
  ],
  decide: decideReplicaSet,
};

export function decideReplicaSet(snapshot: Snapshot, key: Key, now: number): Decision {
  const { namespace, name } = splitKey(key);
  const replicaSet = snapshot.get("ReplicaSet", namespace, name);
  if (replicaSet === undefined) return { commands: [] };

  const candidates = snapshot.list("Pod", namespace).filter(isActive);
  const { owned, toAdopt, toRelease } = claim(replicaSet, candidates);
  if (toAdopt.length + toRelease.length > 0) {
    // First settle who belongs here; counting comes with the next decision, which sees the result.
    const commands = [...toAdopt, ...toRelease].map((object): Command => ({ do: "update", object }));
    return { commands, requeueAfterMs: 0 };
  }

  const wanted = replicaSet.spec.replicas ?? 1;
  const isLeaving = replicaSet.metadata.deletionTimestamp !== undefined;
  const commands: Command[] = [];
  if (!isLeaving && owned.length < wanted) {
    const missing = Math.min(wanted - owned.length, BURST_REPLICAS);
    slowStartBatches(missing).forEach((size, batch) => {
      for (let created = 0; created < size; created += 1) commands.push(createPod(replicaSet, batch));
    });
  } else if (!isLeaving && owned.length > wanted) {
    const surplus = Math.min(owned.length - wanted, BURST_REPLICAS);
    const related = relatedPods(snapshot, replicaSet, candidates);
    const { minReadySeconds = 0 } = replicaSet.spec;
    for (const pod of podsToDelete(owned, related, surplus, { minReadySeconds, now })) {
      commands.push(...deletePod(replicaSet, pod));
    }
  }

  const { status, nextAvailableAt } = countStatus(replicaSet, owned, now, undefined);
  if (!isSameStatus(replicaSet.status, status)) {
    commands.push({ do: "update-status", object: { ...replicaSet, status } as ReplicaSet });
  }
  return {
    commands,
    ...(nextAvailableAt === undefined ? {} : { requeueAfterMs: nextAvailableAt - now }),
    ifRefused: (command, refusal) => reportRefusal(replicaSet, owned, command, refusal, now),
  };
}

function createPod(replicaSet: ReplicaSet, batch: number): Command {
  return {
    do: "create",
    object: podFromTemplate(replicaSet),
    batch,
    followUp: (created) => [
      event(replicaSet, "Normal", "SuccessfulCreate", `Created pod: ${created.metadata.name}`),
    ],
  };
}

function deletePod(replicaSet: ReplicaSet, pod: Pod): readonly Command[] {
  const { namespace = "", name, uid } = pod.metadata;
  return [
    { do: "delete", kind: "Pod", namespace, name, ...(uid === undefined ? {} : { uid }) },
    event(replicaSet, "Normal", "SuccessfulDelete", `Deleted pod: ${name}`),
  ];
}

/** The condition says that the ReplicaSet cannot keep its promise; the counts are those before the refusal. */
function reportRefusal(
  replicaSet: ReplicaSet,
  owned: readonly Pod[],
  command: Command,
  refusal: Refusal,
  now: number,
): readonly Command[] {
  if (command.do !== "create" && command.do !== "delete") return [];
  const reason = command.do === "create" ? "FailedCreate" : "FailedDelete";
  const { status } = countStatus(replicaSet, owned, now, {
    type: "ReplicaFailure",
    status: "True",
    reason,
    message: refusal.message,
    lastTransitionTime: new Date(now).toISOString().replace(/\.\d+Z$/, "Z"),
  });
  const verb = command.do === "create" ? "creating" : "deleting";
  return [
    event(replicaSet, "Warning", reason, `Error ${verb}: ${refusal.message}`),
    ...(isSameStatus(replicaSet.status, status)
      ? []
      : [{ do: "update-status", object: { ...replicaSet, status } as ReplicaSet } as const]),
  ];
}

/** Active pods of every ReplicaSet under the same owner: a pod beside a sibling on its node is missed less. */
function relatedPods(snapshot: Snapshot, replicaSet: ReplicaSet, candidates: readonly Pod[]): readonly Pod[] {
  const owner = controllerOf(replicaSet)?.uid;
  const family = new Set([replicaSet.metadata.uid]);
  if (owner !== undefined) {
    for (const sibling of snapshot.list("ReplicaSet", replicaSet.metadata.namespace)) {
      if (controllerOf(sibling)?.uid === owner) family.add(sibling.metadata.uid);
    }
  }
  return candidates.filter((pod) => family.has(controllerOf(pod)?.uid));
}

function event(replicaSet: ReplicaSet, type: "Normal" | "Warning", reason: string, message: string): Command {
  const { namespace, name, uid } = replicaSet.metadata;
  const about = {
    apiVersion: replicaSet.apiVersion,
    kind: replicaSet.kind,
    ...(namespace === undefined ? {} : { namespace }),
    name,
    ...(uid === undefined ? {} : { uid }),
  };
  return { do: "event", about, type, reason, message };
}

/** A pod concerns its controller, the one it had before, and, as an orphan, every ReplicaSet that might adopt it. */
function keysOfPod(object: KubeObject, previous: KubeObject | undefined, snapshot: Snapshot): readonly Key[] {
  const keys = new Set<Key>();
  const namespace = object.metadata.namespace ?? "";
  const owner = controllerOf(object);
  for (const reference of [owner, previous && controllerOf(previous)]) {
    if (reference?.kind === "ReplicaSet") keys.add(`${namespace}/${reference.name}`);
  }
  if (owner === undefined) {
    for (const candidate of snapshot.list("ReplicaSet", namespace)) {
      if (claim(candidate, [object]).toAdopt.length > 0) keys.add(keyOf(candidate));
    }
  }
  return [...keys];
}
