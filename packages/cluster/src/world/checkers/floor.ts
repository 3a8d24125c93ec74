/**
 * Never below the floor: the controllers never *choose* to have fewer than `replicas - maxUnavailable` available pods.
 *
 * Pods that fall to faults are not a choice. Each available pod that a fault takes away is one *excuse*; the check is
 * available >= floor - excuses, whenever the ReplicaSet controller deletes a pod. Excuses end together, when
 * for SETTLE_MS there was no fault, the floor was held, and every ReplicaSet's status told the truth: then all
 * controllers know of the loss, and what they choose is theirs again. (Kubernetes itself promises no more: a pod that
 * fails between a decision and its execution is missing twice.)
 *
 * The check is armed once the floor has been reached; a change of the Deployment's sizes disarms it until it is again.
 */
import type { Deployment, Pod, ReplicaSet, StoreEvent } from "@slipway/kube";
import type { Actor, CheckedWorld, Checker } from "./checker.ts";
import { Violation } from "./checker.ts";
import { boundsOf, isActivePod, isAvailablePod, isReadyPod, ownerUid, replicaSetsOf } from "./truth.ts";

const SETTLE_MS = 15_000;

interface Watched {
  floor: number;
  isArmed: boolean;
  excuses: number;
  /** Since when all is calm, in virtual ms. */
  calmSinceMs: number;
}

export function floorChecker(): Checker {
  const watched = new Map<string, Watched>();

  const onPod = (event: StoreEvent, actor: Actor, world: CheckedWorld): void => {
    const pod = event.object as Pod;
    const before = event.previous as Pod | undefined;
    const family = familyOf(before ?? pod, world) ?? familyOf(pod, world);
    if (family === undefined) return;
    const state = stateOf(watched, family.deployment, world.now());
    const { available, isStatusTrue } = count(family, world);
    const served =
      before !== undefined && isReadyPod(before) && before.metadata.deletionTimestamp === undefined;
    const isReleased = before !== undefined && ownerUid(before) !== ownerUid(pod);
    const isLost = !isReadyPod(pod) || isLeaving(event) || isReleased;
    const isChosen = actor.kind === "controller" && served && isLeaving(event);
    if (served && isLost && !isChosen) {
      state.excuses += 1;
      state.calmSinceMs = world.now();
    }
    if (available < state.floor || !isStatusTrue) state.calmSinceMs = world.now();
    if (world.now() - state.calmSinceMs > SETTLE_MS) state.excuses = 0;
    if (available >= state.floor) state.isArmed = true;
    if (isChosen && state.isArmed && available < state.floor - state.excuses) {
      throw new Violation(
        "floor",
        `${actor.name} deleted ${pod.metadata.name}: ${available} pods are available, the floor is ${state.floor}` +
          (state.excuses === 0 ? "" : `, ${state.excuses} were lost to faults`),
      );
    }
  };

  return {
    name: "floor",
    onCommit(event, actor, world) {
      if (event.object.kind === "Pod") onPod(event, actor, world);
      else if (event.object.kind === "Deployment") {
        const deployment = event.object as Deployment;
        const state = stateOf(watched, deployment, world.now());
        const { floor } = boundsOf(deployment);
        if (floor === state.floor) return;
        state.floor = floor;
        state.isArmed = false;
      }
    },
  };
}

function isLeaving(event: StoreEvent): boolean {
  return event.type === "DELETED" || event.object.metadata.deletionTimestamp !== undefined;
}

interface Family {
  readonly deployment: Deployment;
  readonly replicaSets: readonly ReplicaSet[];
}

function familyOf(pod: Pod, world: CheckedWorld): Family | undefined {
  const uid = ownerUid(pod);
  if (uid === undefined) return undefined;
  const { namespace } = pod.metadata;
  const parent = world.store.list("ReplicaSet", namespace).find(({ metadata }) => metadata.uid === uid);
  const owner = parent && ownerUid(parent);
  const deployment = world.store.list("Deployment", namespace).find(({ metadata }) => metadata.uid === owner);
  return deployment && { deployment, replicaSets: replicaSetsOf(world.store, deployment) };
}

function stateOf(watched: Map<string, Watched>, deployment: Deployment, now: number): Watched {
  const uid = deployment.metadata.uid ?? "";
  const known = watched.get(uid);
  if (known !== undefined) return known;
  const fresh = { floor: boundsOf(deployment).floor, isArmed: false, excuses: 0, calmSinceMs: now };
  watched.set(uid, fresh);
  return fresh;
}

/** Available pods of the family, and whether every ReplicaSet's status says just that. One look at each pod. */
function count(
  { deployment, replicaSets }: Family,
  world: CheckedWorld,
): { readonly available: number; readonly isStatusTrue: boolean } {
  const { minReadySeconds = 0 } = deployment.spec;
  const byOwner = new Map(replicaSets.map(({ metadata }) => [metadata.uid ?? "", 0]));
  let available = 0;
  for (const pod of world.store.list("Pod", deployment.metadata.namespace)) {
    const owner = ownerUid(pod) ?? "";
    const counted = byOwner.get(owner);
    if (counted === undefined || !isActivePod(pod)) continue;
    if (!isAvailablePod(pod, minReadySeconds, world.now())) continue;
    byOwner.set(owner, counted + 1);
    available += 1;
  }
  const isStatusTrue = replicaSets.every(
    ({ metadata, status }) => (status?.availableReplicas ?? 0) === byOwner.get(metadata.uid ?? ""),
  );
  return { available, isStatusTrue };
}
