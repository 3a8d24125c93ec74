/**
 * Old pods drain on their own, as long as their grace period lets them: that is told, not waited for. One that a finalizer
 * keeps is another thing: when the controller of the finalizer is gone, it stays for ever, and so does what it holds.
 */
import type { Pod } from "@slipway/kube";
import type { Finding } from "./finding.ts";
import { type Memory, since } from "./judgement.ts";
import type { Workload } from "./workload.ts";

export function oldPodsKept(pods: readonly Pod[]): Finding {
  return {
    code: "ObjectTerminating",
    key: "old-pods/kept",
    why: stillTerminating(pods),
    budgetMs: drainMs(pods),
    object: { pod: pods[0]?.metadata.name },
  };
}

/** A pod on a lost node never goes: after its grace period and a while nobody counts on it. */
export function drainsUntilOf(
  { metadata }: Workload,
  oldPods: readonly Pod[],
  memory: Memory,
): number | undefined {
  if (oldPods.length === 0) return undefined;
  const until = since(memory, `${metadata.uid}/drain`) + drainMs(oldPods);
  return until > memory.now ? until : undefined;
}

/** The kubelet may take a while to see that a pod has ended. */
function drainMs(pods: readonly Pod[]): number {
  return Math.max(...pods.map((pod) => pod.spec.terminationGracePeriodSeconds ?? 30)) * 1000 + 30_000;
}

export function isKept({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length > 0;
}

export function stillTerminating(pods: readonly Pod[]): string {
  const finalizers = [...new Set(pods.flatMap((pod) => pod.metadata.finalizers ?? []))];
  const kept = finalizers.length === 0 ? "" : ` (kept by ${finalizers.join(", ")})`;
  return `${pods.length} old ${pods.length === 1 ? "pod is" : "pods are"} still terminating${kept}`;
}
