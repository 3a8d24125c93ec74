/**
 * Never above the ceiling: the sizes of a Deployment's ReplicaSets together never exceed `replicas + maxSurge` by the
 * controller's choice, a ReplicaSet never creates pods beyond its size, and what a ReplicaSet remembers of the
 * ceiling (its annotations) is right.
 *
 * Pods that are already being deleted do not count, as in Kubernetes.
 */
import type { Deployment, Pod, ReplicaSet } from "@slipway/kube";
import type { Actor, CheckedWorld, Checker } from "./checker.ts";
import { Violation } from "./checker.ts";
import { activePodsOf, boundsOf, ownerUid, replicaSetsOf } from "./truth.ts";

/** A size that was lowered so recently may not have reached the ReplicaSet's controller. */
const KNOWN_AFTER_MS = 20_000;

export function ceilingChecker(): Checker {
  /** Former sizes by uid, with the time until which they may still be believed. */
  const sizes = new Map<string, { readonly size: number; untilMs: number }[]>();

  return {
    name: "ceiling",
    onCommit({ object, previous, type }, actor, world) {
      if (type === "DELETED") return;
      if (object.kind === "ReplicaSet") {
        const before = previous as ReplicaSet | undefined;
        const after = object as ReplicaSet;
        remember(sizes, after, before, world.now());
        const grew = (after.spec.replicas ?? 1) > (before?.spec.replicas ?? 0);
        if (actor.kind === "controller" && actor.name === "deployment-controller") {
          checkTotal(after, grew, actor, world);
        }
      }
      if (object.kind === "Pod" && type === "ADDED" && actor.kind === "controller") {
        checkPods(sizes, object as Pod, world);
      }
    },
  };
}

function checkTotal(
  replicaSet: ReplicaSet,
  grew: boolean,
  actor: Extract<Actor, { kind: "controller" }>,
  world: CheckedWorld,
): void {
  // As the controller saw it: the user may have changed the Deployment since.
  const deployment = actor.snapshot
    .list("Deployment", replicaSet.metadata.namespace)
    .find(({ metadata }) => metadata.uid === ownerUid(replicaSet));
  if (deployment === undefined) return;
  const { ceiling, replicas } = boundsOf(deployment);
  const total = sizesOf(deployment, world);
  if (grew && total > ceiling) {
    throw new Violation(
      "ceiling",
      `${replicaSet.metadata.name} grew: ${total} pods wanted, at most ${ceiling}`,
    );
  }
  const { annotations = {} } = replicaSet.metadata;
  const desired = annotations["deployment.kubernetes.io/desired-replicas"];
  const most = annotations["deployment.kubernetes.io/max-replicas"];
  if (grew && (desired !== String(replicas) || most !== String(ceiling))) {
    throw new Violation(
      "ceiling",
      `${replicaSet.metadata.name} remembers ${desired} and at most ${most}; it should be ${replicas} and ${ceiling}`,
    );
  }
}

function sizesOf(deployment: Deployment, world: CheckedWorld): number {
  return replicaSetsOf(world.store, deployment).reduce((total, { spec }) => total + (spec.replicas ?? 1), 0);
}

function remember(
  sizes: Map<string, { readonly size: number; untilMs: number }[]>,
  after: ReplicaSet,
  before: ReplicaSet | undefined,
  now: number,
): void {
  if (before?.spec.replicas === after.spec.replicas) return;
  const known = (sizes.get(after.metadata.uid ?? "") ?? []).filter(({ untilMs }) => untilMs >= now);
  for (const earlier of known) earlier.untilMs = Math.min(earlier.untilMs, now + KNOWN_AFTER_MS);
  known.push({ size: after.spec.replicas ?? 1, untilMs: Number.POSITIVE_INFINITY });
  sizes.set(after.metadata.uid ?? "", known);
}

function checkPods(
  sizes: ReadonlyMap<string, readonly { readonly size: number; readonly untilMs: number }[]>,
  pod: Pod,
  world: CheckedWorld,
): void {
  const owner = world.store
    .list("ReplicaSet", pod.metadata.namespace)
    .find(({ metadata }) => metadata.uid === ownerUid(pod));
  if (owner === undefined) {
    throw new Violation("ceiling", `${pod.metadata.name} was created for a ReplicaSet that is not there`);
  }
  const believable = (sizes.get(owner.metadata.uid ?? "") ?? [])
    .filter(({ untilMs }) => untilMs >= world.now())
    .map(({ size }) => size);
  const active = activePodsOf(world.store, owner).length;
  if (active > Math.max(0, ...believable)) {
    throw new Violation(
      "ceiling",
      `${owner.metadata.name} created ${pod.metadata.name}: it has ${active} pods and wants ${owner.spec.replicas}`,
    );
  }
}
