/**
 * Pods that the cluster took away: evicted, preempted, refused by the kubelet, lost with their node. Their ReplicaSet
 * makes others, so none of it fails a release on its own, with one exception: a container that the kubelet evicts
 * again and again for using more disk than its own limit is the release's doing.
 */
import type { Pod } from "@slipway/kube";
import { type Finding, isTrue, of, oneLine, type PodView, statusesOf } from "./finding.ts";

/** The pod's containers were fine and its node no longer says so. */
export function nodeLost(pod: Pod, view: PodView): Finding | undefined {
  const isLost =
    pod.status?.reason === "NodeLost" ||
    (view.events.some((event) => event.reason === "NodeNotReady") &&
      !isTrue(pod, "Ready") &&
      statusesOf(pod).every((status) => status.ready || status.state?.terminated?.exitCode === 0));
  if (!isLost) return undefined;
  const node = pod.spec.nodeName ?? "of the pod";
  return of(pod, undefined, {
    code: "NodeLost",
    why: `node ${node} does not answer; its pods are made again elsewhere`,
    budgetMs: undefined,
  });
}

const OWN_LIMIT =
  /exceed(?:s|ed)? (?:the )?(?:total |its )?(?:local ephemeral storage )?limit|exceeds the limit|exceeded its local/i;

/** New pods that ended as a whole. */
export function takenAway(pods: readonly Pod[]): readonly Finding[] {
  const ended = pods.filter((pod) => pod.status?.phase === "Failed");
  const last = ended.at(-1);
  if (last === undefined) return [];
  const message = oneLine(last.status?.message ?? "");
  const isOwn = last.status?.reason === "Evicted" && OWN_LIMIT.test(message);
  const times = ended.filter((pod) => pod.status?.reason === last.status?.reason).length;
  const often = times === 1 ? "a new pod was" : `${times} new pods were`;
  return [
    of(
      last,
      undefined,
      {
        code: "PodEvicted",
        why: `${often} taken away: ${last.status?.reason ?? "Failed"}${message === "" ? "" : `: ${message}`}`,
        budgetMs: isOwn && times >= 2 ? 0 : undefined,
      },
      `taken-away/${isOwn && times >= 2}`,
    ),
  ];
}
