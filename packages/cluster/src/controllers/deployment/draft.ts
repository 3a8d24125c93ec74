/**
 * The ReplicaSets of one decision while they are being changed. Each is written at most once, with everything that
 * was decided about it (size, annotations, minReadySeconds) in one compare-and-swap, in the order of the decisions.
 */
import type { Deployment, ReplicaSet } from "@slipway/kube";
import type { Command } from "../controller.ts";
import { DESIRED_REPLICAS, MAX_REPLICAS } from "./revision.ts";
import { type Limits, limitsOf } from "./strategy.ts";

export class Draft {
  readonly deployment: Deployment;
  readonly limits: Limits;
  readonly #edits = new Map<string, { replicaSet: ReplicaSet; events: Command[] }>();

  constructor(deployment: Deployment) {
    this.deployment = deployment;
    this.limits = limitsOf(deployment);
  }

  /** The ReplicaSet as it will be. */
  now(replicaSet: ReplicaSet): ReplicaSet {
    return this.#edits.get(replicaSet.metadata.name)?.replicaSet ?? replicaSet;
  }

  edit(replicaSet: ReplicaSet, events: readonly Command[] = []): void {
    const earlier = this.#edits.get(replicaSet.metadata.name)?.events ?? [];
    this.#edits.set(replicaSet.metadata.name, { replicaSet, events: [...earlier, ...events] });
  }

  /** Sets size and size annotations. True when the size changed. */
  scale(replicaSet: ReplicaSet, replicas: number): boolean {
    const current = this.now(replicaSet);
    const before = current.spec.replicas ?? 1;
    const annotations = { ...current.metadata.annotations, ...sizeAnnotations(this.limits) };
    const isAnnotated =
      current.metadata.annotations?.[DESIRED_REPLICAS] === annotations[DESIRED_REPLICAS] &&
      current.metadata.annotations?.[MAX_REPLICAS] === annotations[MAX_REPLICAS];
    if (before === replicas && isAnnotated) return false;
    const direction = before < replicas ? "up" : "down";
    const message = `Scaled ${direction} replica set ${current.metadata.name} to ${replicas} from ${before}`;
    this.edit(
      {
        ...current,
        metadata: { ...current.metadata, annotations },
        spec: { ...current.spec, replicas },
      },
      before === replicas ? [] : [deploymentEvent(this.deployment, "Normal", "ScalingReplicaSet", message)],
    );
    return before !== replicas;
  }

  commands(): readonly Command[] {
    return [...this.#edits.values()].flatMap(({ replicaSet, events }): readonly Command[] => [
      { do: "update", object: replicaSet },
      ...events,
    ]);
  }
}

/** What proportional scaling needs to know later: the wanted replicas and the ceiling of this moment. */
export function sizeAnnotations(limits: Limits): Readonly<Record<string, string>> {
  return { [DESIRED_REPLICAS]: String(limits.replicas), [MAX_REPLICAS]: String(limits.maxTotal) };
}

export function deploymentEvent(
  deployment: Deployment,
  type: "Normal" | "Warning",
  reason: string,
  message: string,
): Command {
  const { namespace, name, uid } = deployment.metadata;
  const about = {
    apiVersion: deployment.apiVersion,
    kind: deployment.kind,
    ...(namespace === undefined ? {} : { namespace }),
    name,
    ...(uid === undefined ? {} : { uid }),
  };
  return { do: "event", about, type, reason, message };
}
