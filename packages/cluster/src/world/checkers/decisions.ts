/**
 * What single decisions of the ReplicaSet controller must be, whatever it sees: it deletes pods that serve nobody
 * before pods that serve, and it reports the numbers of the picture it had.
 */
import type { Pod, Reader, ReplicaSet } from "@slipway/kube";
import type { Decision, Key } from "../../controllers/controller.ts";
import { splitKey } from "../../controllers/controller.ts";
import type { Checker } from "./checker.ts";
import { Violation } from "./checker.ts";
import { activePodsOf, isAvailablePod, isReadyPod } from "./truth.ts";

export function decisionChecker(): Checker {
  return {
    name: "decisions",
    onDecision({ name }, key, snapshot, decision, now) {
      if (name !== "replicaset-controller" || decision.commands.length === 0) return;
      const replicaSet = replicaSetOf(snapshot, key);
      if (replicaSet === undefined) return;
      const active = activePodsOf(snapshot, replicaSet);
      checkVictims(active, decision);
      checkReport(replicaSet, active, decision, now);
    },
  };
}

function replicaSetOf(snapshot: Reader, key: Key): ReplicaSet | undefined {
  const { namespace, name } = splitKey(key);
  return snapshot.get("ReplicaSet", namespace, name);
}

function checkVictims(active: readonly Pod[], decision: Decision): void {
  const victims = new Set(
    decision.commands.flatMap((command) => (command.do === "delete" ? [command.name] : [])),
  );
  if (victims.size === 0) return;
  const readyVictim = active.find((pod) => victims.has(pod.metadata.name) && isReadyPod(pod));
  const spared = active.find((pod) => !victims.has(pod.metadata.name) && !isReadyPod(pod));
  if (readyVictim !== undefined && spared !== undefined) {
    throw new Violation(
      "decisions",
      `${readyVictim.metadata.name} is ready and dies, ${spared.metadata.name} is not and lives`,
    );
  }
}

function checkReport(replicaSet: ReplicaSet, active: readonly Pod[], decision: Decision, now: number): void {
  for (const command of decision.commands) {
    if (command.do !== "update-status" || command.object.kind !== "ReplicaSet") continue;
    const { status } = command.object as ReplicaSet;
    const { minReadySeconds = 0 } = replicaSet.spec;
    const expected = [
      active.length,
      active.filter(isReadyPod).length,
      active.filter((pod) => isAvailablePod(pod, minReadySeconds, now)).length,
    ];
    const reported = [status?.replicas ?? 0, status?.readyReplicas ?? 0, status?.availableReplicas ?? 0];
    if (expected.join() !== reported.join()) {
      throw new Violation(
        "decisions",
        `${replicaSet.metadata.name} reports ${reported.join("/")} pods/ready/available, there are ${expected.join("/")}`,
      );
    }
  }
}
