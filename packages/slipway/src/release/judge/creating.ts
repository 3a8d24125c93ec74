/** The pod has a node and its containers are not created yet: volumes and the sandbox come first. */
import type { ContainerStatus, Event, Pod } from "@slipway/kube";
import { type Finding, of, oneLine, type PodView, starting } from "./finding.ts";

const INFRASTRUCTURE_BUDGET_MS = 120_000;
/**
 * A ConfigMap of the same release may reach the node a moment after the pod. The kubelet tries a mount again after 0.5, 1.5, 3.5 and
 * 7.5 s, and then not before 15.5 (exponentialbackoff of 1.20.2): 9 s leave the fourth the time to start a container, and more
 * would wait for nothing.
 */
const MISSING_BUDGET_MS = 9_000;

export function creating(pod: Pod, status: ContainerStatus, view: PodView): Finding {
  const trouble = newestTrouble(view.events);
  if (trouble === undefined) return starting(pod, status.name, "the container is being created");
  const message = oneLine(trouble.message ?? trouble.reason ?? "");
  if (trouble.reason === "FailedCreatePodSandBox") {
    return of(pod, undefined, {
      code: "PodSandboxFailed",
      why: `the pod's sandbox cannot be created: ${message}`,
      budgetMs: INFRASTRUCTURE_BUDGET_MS,
    });
  }
  return isMissing(message)
    ? of(pod, undefined, { code: "ConfigMissing", why: message, budgetMs: MISSING_BUDGET_MS })
    : of(pod, undefined, { code: "VolumePending", why: message, budgetMs: INFRASTRUCTURE_BUDGET_MS });
}

/**
 * `timed out waiting for the condition` of the kubelet's mount loop says nothing by itself; the event before it that
 * names what is missing does.
 */
function newestTrouble(events: readonly Event[]): Event | undefined {
  const troubles = events.filter((event) =>
    ["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedMapVolume"].includes(
      event.reason ?? "",
    ),
  );
  const isVague = (event: Event): boolean => /^Unable to attach or mount volumes/.test(event.message ?? "");
  return troubles.findLast((event) => !isVague(event)) ?? troubles.at(-1);
}

function isMissing(message: string): boolean {
  if (/failed to sync .* cache|timed out waiting for the condition/i.test(message)) return false;
  return /(?:configmap|secret) "?[^"]*"? not found|references non-existent/i.test(message);
}
