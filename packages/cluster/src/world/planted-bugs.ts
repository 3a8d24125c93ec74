/**
 * Bugs on purpose: the mistakes that controllers like these really have, put around the true ones. The simulation is
 * worth what it catches, so a test runs every bug until a checker notices, and fails when one survives.
 *
 * A bug is planted at the border: in what a controller sees (`seeing`), or in what comes of its decision (`doing`).
 */
import type { Deployment, IntOrString, KubeObject, ObjectOf, Pod, ReplicaSet } from "@slipway/kube";
import {
  type Command,
  type Controller,
  type Decision,
  keyOf,
  type Snapshot,
} from "../controllers/controller.ts";
import { deploymentController } from "../controllers/deployment/decide.ts";
import { REVISION } from "../controllers/deployment/revision.ts";
import { replicaSetController } from "../controllers/replicaset/decide.ts";

export interface PlantedBug {
  readonly name: string;
  readonly controllers: readonly Controller[];
  /** False when the bug is to trust any picture, however old. */
  readonly isProtected: boolean;
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  bug("surge is rounded down", { deployment: seeing({ Deployment: withSurgeRoundedDown }) }),
  bug("unavailable is rounded up", { deployment: seeing({ Deployment: withUnavailableRoundedUp }) }),
  { ...bug("a stale cache is trusted", {}), isProtected: false },
  bug("readiness is ignored", { replicaSet: seeing({ Pod: asReady }) }),
  bug("minReadySeconds is ignored", { replicaSet: seeing({ ReplicaSet: withoutMinReadySeconds }) }),
  bug("pods that are ending still count", { replicaSet: seeing({ Pod: asStaying }) }),
  bug("the wrong pod dies first", { replicaSet: doing(deleteReadyPodsFirst) }),
  bug("new pods count as available before they are", { deployment: seeing({ ReplicaSet: asAvailable }) }),
  bug("old pods go before new ones are ready", { deployment: doing(scaleDownToNothing) }),
  bug("the new ReplicaSet grows by one too many", { deployment: doing(growOneMore) }),
  bug("the ceiling is ignored on the first look at a change", {
    deployment: seeing({ Deployment: withAnySurgeAtFirst }),
  }),
  bug("timers are lost", { deployment: doing(withoutTimer), replicaSet: doing(withoutTimer) }),
  bug("orphaned pods are not adopted", { replicaSet: seeing({ Pod: ownedOnly }) }),
  bug("orphaned ReplicaSets are not adopted", { deployment: seeing({ ReplicaSet: ownedOnly }) }),
  bug("the deadline never passes", { deployment: doing(withoutDeadline) }),
  bug("a rollback keeps its old revision", { deployment: doing(keepRevision) }),
  bug("old ReplicaSets are never deleted", { deployment: doing(withoutDeletes) }),
];

// --- How bugs are planted ---

type Plant = (controller: Controller) => Controller;
type Views = {
  readonly [K in "Deployment" | "ReplicaSet" | "Pod"]?: (object: ObjectOf<K>) => ObjectOf<K> | undefined;
};

function bug(name: string, plants: { readonly deployment?: Plant; readonly replicaSet?: Plant }): PlantedBug {
  return {
    name,
    isProtected: true,
    controllers: [
      plants.deployment?.(deploymentController) ?? deploymentController,
      plants.replicaSet?.(replicaSetController) ?? replicaSetController,
    ],
  };
}

/** The controller decides on objects that look different, or are not there. */
function seeing(views: Views): Plant {
  const look = (object: KubeObject | undefined): KubeObject | undefined => {
    const view =
      object && (views[object.kind as keyof Views] as ((seen: KubeObject) => KubeObject) | undefined);
    return object === undefined || view === undefined ? object : view(object);
  };
  const lookAll = (objects: readonly KubeObject[]): readonly KubeObject[] =>
    objects.flatMap((object) => look(object) ?? []);
  return (controller) => ({
    ...controller,
    decide: (snapshot, key, now) =>
      controller.decide(
        {
          get: (kind, namespace, name) => look(snapshot.get(kind, namespace, name)) as never,
          list: (kind, namespace) => lookAll(snapshot.list(kind, namespace)) as never,
          ownedBy: (uid) => lookAll(snapshot.ownedBy(uid)),
        },
        key,
        now,
      ),
  });
}

/** Something else comes of the decision. */
function doing(change: (decision: Decision, snapshot: Snapshot) => Decision): Plant {
  return (controller) => ({
    ...controller,
    decide: (snapshot, key, now) => change(controller.decide(snapshot, key, now), snapshot),
  });
}

// --- What is seen wrongly ---

function withSurgeRoundedDown(deployment: Deployment): Deployment {
  const { maxSurge = "25%" } = deployment.spec.strategy?.rollingUpdate ?? {};
  return withLimits(deployment, { maxSurge: rounded(maxSurge, deployment, Math.floor) });
}

function withUnavailableRoundedUp(deployment: Deployment): Deployment {
  const { maxUnavailable = "25%" } = deployment.spec.strategy?.rollingUpdate ?? {};
  return withLimits(deployment, { maxUnavailable: rounded(maxUnavailable, deployment, Math.ceil) });
}

function withAnySurgeAtFirst(deployment: Deployment): Deployment {
  const isFirstLook = (deployment.status?.observedGeneration ?? 0) < (deployment.metadata.generation ?? 0);
  return isFirstLook ? withLimits(deployment, { maxSurge: "200%" }) : deployment;
}

function rounded(value: IntOrString, { spec }: Deployment, round: (value: number) => number): number {
  return typeof value === "number" ? value : round((Number.parseInt(value, 10) * (spec.replicas ?? 1)) / 100);
}

function withLimits(
  deployment: Deployment,
  limits: { readonly maxSurge?: IntOrString; readonly maxUnavailable?: IntOrString },
): Deployment {
  const { strategy } = deployment.spec;
  const rollingUpdate = { ...strategy?.rollingUpdate, ...limits };
  return { ...deployment, spec: { ...deployment.spec, strategy: { ...strategy, rollingUpdate } } };
}

function asReady(pod: Pod): Pod {
  const conditions = (pod.status?.conditions ?? []).map((condition) =>
    condition.type === "Ready" ? { ...condition, status: "True" as const } : condition,
  );
  return { ...pod, status: { ...pod.status, conditions } };
}

function asStaying(pod: Pod): Pod {
  const { deletionTimestamp: _ending, ...metadata } = pod.metadata;
  return { ...pod, metadata };
}

function withoutMinReadySeconds(replicaSet: ReplicaSet): ReplicaSet {
  return { ...replicaSet, spec: { ...replicaSet.spec, minReadySeconds: 0 } };
}

function asAvailable(replicaSet: ReplicaSet): ReplicaSet {
  const { status } = replicaSet;
  return status === undefined
    ? replicaSet
    : { ...replicaSet, status: { ...status, availableReplicas: status.replicas } };
}

function ownedOnly<T extends KubeObject>(object: T): T | undefined {
  return object.metadata.ownerReferences === undefined ? undefined : object;
}

// --- What is done wrongly ---

function without(decision: Decision, isDropped: (command: Command) => boolean): Decision {
  return { ...decision, commands: decision.commands.filter((command) => !isDropped(command)) };
}

function withoutTimer({ requeueAfterMs: _lost, ...decision }: Decision): Decision {
  return decision;
}

function withoutDeletes(decision: Decision): Decision {
  return without(decision, (command) => command.do === "delete");
}

function withoutDeadline(decision: Decision): Decision {
  return without(
    decision,
    (command) =>
      command.do === "update-status" &&
      ((command.object as Deployment).status?.conditions ?? []).some(
        ({ reason }) => reason === "ProgressDeadlineExceeded",
      ),
  );
}

/** Every victim that serves nobody is spared for one that serves, as far as there are any. */
function deleteReadyPodsFirst(decision: Decision, snapshot: Snapshot): Decision {
  const victims = new Set(decision.commands.flatMap((each) => (each.do === "delete" ? [each.name] : [])));
  const isReady = (pod: Pod): boolean =>
    pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
  const commands = decision.commands.map((command): Command => {
    if (command.do !== "delete" || command.kind !== "Pod") return command;
    const victim = snapshot.get("Pod", command.namespace, command.name);
    const owner = victim?.metadata.ownerReferences?.[0]?.uid;
    if (victim === undefined || isReady(victim)) return command;
    const instead = snapshot
      .list("Pod", command.namespace)
      .find(
        (pod) =>
          isReady(pod) &&
          !victims.has(pod.metadata.name) &&
          pod.metadata.ownerReferences?.[0]?.uid === owner &&
          pod.metadata.deletionTimestamp === undefined,
      );
    if (instead?.metadata.uid === undefined) return command;
    victims.add(instead.metadata.name);
    return { ...command, name: instead.metadata.name, uid: instead.metadata.uid };
  });
  return { ...decision, commands };
}

function scaleDownToNothing(decision: Decision, snapshot: Snapshot): Decision {
  return resize(decision, snapshot, (before, after) => (after < before ? 0 : after));
}

function growOneMore(decision: Decision, snapshot: Snapshot): Decision {
  return resize(decision, snapshot, (before, after) => (after > before ? after + 1 : after));
}

function resize(
  decision: Decision,
  snapshot: Snapshot,
  size: (before: number, after: number) => number,
): Decision {
  const commands = decision.commands.map((command): Command => {
    if (command.do !== "update" || command.object.kind !== "ReplicaSet") return command;
    const after = command.object as ReplicaSet;
    const before = storedOf(after, snapshot)?.spec.replicas ?? 0;
    const replicas = size(before, after.spec.replicas ?? 1);
    return { ...command, object: { ...after, spec: { ...after.spec, replicas } } as ReplicaSet };
  });
  return { ...decision, commands };
}

function keepRevision(decision: Decision, snapshot: Snapshot): Decision {
  const commands = decision.commands.map((command): Command => {
    if (command.do !== "update" || command.object.kind !== "ReplicaSet") return command;
    const { metadata } = command.object;
    const revision = storedOf(command.object, snapshot)?.metadata.annotations?.[REVISION];
    const annotations = { ...metadata.annotations, ...(revision && { [REVISION]: revision }) };
    return { ...command, object: { ...command.object, metadata: { ...metadata, annotations } } };
  });
  return { ...decision, commands };
}

function storedOf(object: KubeObject, snapshot: Snapshot): ReplicaSet | undefined {
  const [namespace = "", name = ""] = keyOf(object).split("/");
  return snapshot.get("ReplicaSet", namespace, name);
}
