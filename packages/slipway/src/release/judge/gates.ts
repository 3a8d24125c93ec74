/** Conditions of a pod that somebody outside the kubelet sets, like a load balancer's health check. */
import type { Pod } from "@slipway/kube";
import { type Finding, isTrue, of } from "./finding.ts";

export function closedGate(pod: Pod): Finding | undefined {
  const closed = (pod.spec.readinessGates ?? []).find((gate) => !isTrue(pod, gate.conditionType));
  if (closed === undefined || !isTrue(pod, "ContainersReady")) return undefined;
  const message = pod.status?.conditions?.find((one) => one.type === closed.conditionType)?.message;
  const told = message === undefined || message === "" ? "" : `: ${message}`;
  return of(pod, undefined, {
    code: "ReadinessGateClosed",
    why: `its readiness gate ${closed.conditionType} is not open${told}`,
    budgetMs: undefined,
  });
}

const NEG_GATE = "cloud.google.com/load-balancer-neg-ready";
/** GKE opens its gate at once without a health check, and after ten minutes whatever the health check says. */
const NEG_WITHOUT_PROOF = new Set(["LoadBalancerNegWithoutHealthCheck", "LoadBalancerNegTimeout"]);

/** Gates that are open without anybody having seen the pod answer: for the notes of a success. */
export function unprovenGates(pods: readonly Pod[]): readonly string[] {
  const reasons = new Map<string, number>();
  for (const pod of pods) {
    const gate = pod.status?.conditions?.find((one) => one.type === NEG_GATE && one.status === "True");
    const reason = gate?.reason ?? "";
    if (NEG_WITHOUT_PROOF.has(reason)) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  return [...reasons].map(
    ([reason, count]) =>
      `readiness gate ${NEG_GATE} of ${count} ${count === 1 ? "pod" : "pods"} is open without proof that the load balancer reaches it (${reason})`,
  );
}
