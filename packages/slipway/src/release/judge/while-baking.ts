/**
 * A container that was available and ends during the bake. Once is enough, also when it comes back: to find that is what a
 * bake is for. Ends that the node caused do not count.
 */
import { makeCause } from "./causes.ts";
import { baselineOf, describeExit, endsByNode, lastEnd, memoryLimit } from "./crash.ts";
import type { Judgement } from "./judgement.ts";
import { placedPodsOf, type RolloutSnapshot } from "./snapshot.ts";

/** `before` has how often containers had ended when the bake began, as `baselineOf` counts. */
export function restartedWhileBaking(
  snapshot: RolloutSnapshot,
  before: ReadonlyMap<string, number>,
): Extract<Judgement, { verdict: "doomed" }> | undefined {
  for (const { pod, place } of placedPodsOf(snapshot)) {
    if (pod.metadata.deletionTimestamp !== undefined || pod.status?.phase === "Failed") continue;
    const events = snapshot.events.filter((event) => event.involvedObject.uid === pod.metadata.uid);
    for (const status of pod.status?.containerStatuses ?? []) {
      const key = `${pod.metadata.uid}/${status.name}`;
      const ends = (baselineOf([pod]).get(key) ?? 0) - endsByNode(pod, { events });
      if (!before.has(key) || ends <= (before.get(key) ?? 0)) continue;
      const end = lastEnd(status);
      const isTooLarge = end?.reason === "OOMKilled";
      const how = isTooLarge ? `killed for using more than ${memoryLimit(pod, status.name)}` : undefined;
      const told = how ?? (end === undefined ? undefined : describeExit(end));
      const cause = makeCause("RestartedWhileBaking", {
        cluster: snapshot.cluster,
        kubectl: snapshot.kubectl,
        object: { ...place, pod: pod.metadata.name, container: status.name },
        why: `was ready and then ended during the bake time${told === undefined ? "" : `: ${told}`}`,
      });
      return { verdict: "doomed", cause, pod };
    }
  }
  return undefined;
}
