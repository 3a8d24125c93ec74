/**
 * What is not well with the release that somebody leaves by hand. Its pods, and their logs and events with them, are gone
 * soon after the first apply of a rollback; whoever asks the next morning has only what was kept before. Where all is well
 * nothing is taken, and where it is not, it takes a moment and no more: seconds count.
 */
import type { Clock } from "@slipway/base";
import type { AnyObject, KubeClient } from "@slipway/kube";
import type { Observation } from "../engine/observe.ts";
import type { Cause, CauseCode } from "../judge/causes.ts";
import { baselineOf } from "../judge/crash.ts";
import { judge } from "../judge/judge.ts";
import type { Judgement } from "../judge/judgement.ts";
import type { ExpectedWorkload } from "../judge/workload.ts";
import { type Evidence, takeEvidence } from "./evidence.ts";

const TAKE_AT_MOST_MS = 2_000;

/** Never rejects. `objects` are those that take the place of what is there; `leaves` is the release that is left. */
export async function evidenceOfLeft(input: {
  readonly cluster: string;
  readonly kubectl: string;
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly observation: Observation;
  readonly objects: readonly AnyObject[];
  readonly leaves: number;
}): Promise<Evidence | undefined> {
  const { observation, clock } = input;
  const { judgement } = judge(
    {
      ...observation,
      cluster: input.cluster,
      kubectl: input.kubectl,
      expected: liveOnes(input.objects, observation),
      baseline: baselineOf(observation.pods),
      images: new Map(),
    },
    new Map(),
    clock.now(),
  );
  const cause = causeIn(judgement);
  if (cause === undefined) return undefined;
  const pod =
    judgement.verdict === "doomed"
      ? judgement.pod
      : observation.pods.find(
          ({ metadata }) =>
            metadata.name === cause.object.pod && metadata.namespace === cause.object.namespace,
        );
  const evidence = await takeEvidence({
    ...{ client: input.client, clock, observation, cause, pod },
    before: new Map(),
    atMostMs: TAKE_AT_MOST_MS,
  });
  return { ...evidence, left: input.leaves };
}

/** Of the same names, as they are there now. */
function liveOnes(objects: readonly AnyObject[], observation: Observation): readonly ExpectedWorkload[] {
  const live = {
    Deployment: observation.deployments,
    StatefulSet: observation.statefulSets,
    DaemonSet: observation.daemonSets,
  };
  return objects.flatMap(({ kind, metadata: { name, namespace = "default" } }): ExpectedWorkload[] => {
    if (kind !== "Deployment" && kind !== "StatefulSet" && kind !== "DaemonSet") return [];
    const found = live[kind].find(
      ({ metadata }) => metadata.name === name && (metadata.namespace ?? "default") === namespace,
    );
    return found === undefined ? [] : [{ kind, namespace, name, generation: found.metadata.generation ?? 1 }];
  });
}

/** That something is on its way is nothing to explain later. */
const USUAL: ReadonlySet<CauseCode> = new Set([
  "ContainerStarting",
  "MinReadySeconds",
  "OldPodsTerminating",
  "RolloutNotObserved",
  "RolloutPending",
]);

function causeIn(judgement: Judgement): Cause | undefined {
  switch (judgement.verdict) {
    case "ok":
      return undefined;
    case "doomed":
      return judgement.cause;
    case "waiting":
      return judgement.causes.find(({ code }) => !USUAL.has(code));
  }
}
