/** What is expected of objects in a cluster, decided from what the API server returned. Pure. */
import type { KubeObject, Pod } from "@slipway/kube";
import { type CheckOf, fail, failForGood, type Judgement, pass, unknown } from "../check.ts";
import { type Difference, differences, type Pattern, renderDifferences } from "../cluster/match.ts";
import {
  availability,
  currentPods,
  isGivenUp,
  isReady,
  newestPods,
  type WorkloadView,
  waitingFor,
} from "../cluster/pods.ts";

/** `object` undefined: the server says that there is none. */
export function judgeObject(
  { expectation }: Pick<CheckOf<"object">, "expectation">,
  object: KubeObject | undefined,
): Judgement {
  switch (expectation.matcher) {
    case "exists":
      return object === undefined ? fail("there is no such object") : pass();
    case "absent":
      return object === undefined
        ? pass()
        : fail(`it is there since ${object.metadata.creationTimestamp ?? "?"}`);
    case "matches": {
      if (object === undefined) return fail("there is no such object");
      const all = differences(expectation.pattern, object);
      return all.length === 0 ? pass() : fail(renderDifferences(all));
    }
  }
}

export function judgeObjects(
  { expectation }: Pick<CheckOf<"objects">, "expectation">,
  objects: readonly KubeObject[],
): Judgement {
  switch (expectation.matcher) {
    case "count":
      return objects.length === expectation.count ? pass() : fail(`${objects.length}: ${names(objects)}`);
    case "none": {
      const { pattern } = expectation;
      const matching = objects.filter(
        (one) => pattern === undefined || differences(pattern, one).length === 0,
      );
      return matching.length === 0
        ? pass(`${objects.length} looked at`)
        : fail(`${matching.length}: ${names(matching)}`);
    }
    case "every": {
      // Of nothing everything is true, and it would hold because a selector is misspelt.
      if (objects.length === 0) return fail("the selector finds no object");
      const bad = compared(expectation.pattern, objects).filter(({ all }) => all.length > 0);
      return bad.length === 0
        ? pass()
        : fail(bad.map(({ name, all }) => `${name}: ${renderDifferences(all)}`).join("\n"));
    }
    case "some": {
      if (objects.length === 0) return fail("the selector finds no object");
      const nearest = compared(expectation.pattern, objects).toSorted(
        (a, b) => a.all.length - b.all.length,
      )[0];
      if (nearest === undefined || nearest.all.length === 0) return pass();
      return fail(`none of ${objects.length}; nearest is ${nearest.name}`, renderDifferences(nearest.all));
    }
  }
}

const compared = (
  pattern: Pattern,
  objects: readonly KubeObject[],
): readonly { readonly name: string; readonly all: readonly Difference[] }[] =>
  objects.map((one) => ({ name: one.metadata.name, all: differences(pattern, one) }));

function names(objects: readonly KubeObject[]): string {
  const shown = objects.slice(0, 5).map(({ metadata }) => metadata.name);
  return [...shown, ...(objects.length > shown.length ? ["…"] : [])].join(", ") || "none";
}

/** `built`: digests of the images of this run. `isOwn`: nobody else changes anything in the namespace. */
export function judgeWorkload(
  { expectation }: Pick<CheckOf<"workload">, "expectation">,
  view: WorkloadView,
  built: readonly string[],
  isOwn = false,
): Judgement {
  switch (expectation.matcher) {
    case "available": {
      const { missing } = availability(view);
      if (missing === undefined) return pass();
      const waiting = newestPods(view).filter((pod) => !isReady(pod));
      const seen = [missing, ...waiting.map((pod) => `${pod.metadata.name} ${waitingFor(pod)}`)].join("\n");
      return isGivenUp(view) ? failForGood(seen) : fail(seen);
    }
    case "digest": {
      const judgement = judgeDigest(expectation.digest, view, built);
      const isOver = isOwn && availability(view).missing === undefined && currentPods(view).length > 0;
      return judgement.verdict === "fail" && isOver ? { ...judgement, isFinal: true } : judgement;
    }
    case "noRestarts":
      return judgeRestarts(newestPods(view));
  }
}

/** A container that has just ended was not started again yet, and is no better for it. */
function judgeRestarts(pods: readonly Pod[]): Judgement {
  if (pods.length === 0) return unknown("its newest revision has no pods that could be started again");
  const problems = pods.flatMap((pod) => {
    const { metadata, status } = pod;
    const restarted = (status?.containerStatuses ?? []).flatMap(
      ({ name, restartCount, state, lastState }) => {
        const code = (state?.terminated ?? lastState?.terminated)?.exitCode;
        const why = code === undefined ? "" : `, exited ${code} before`;
        if (restartCount > 0) return [`${metadata.name} ${name}: ${restartCount} restarts${why}`];
        return state?.terminated === undefined ? [] : [`${metadata.name} ${name}: exited ${code}`];
      },
    );
    return restarted.length > 0 || isReady(pod) ? restarted : [`${metadata.name} ${waitingFor(pod)}`];
  });
  return problems.length === 0 ? pass() : fail(problems.join("\n"));
}

/** Of all containers of the ready pods; an image that is named without its digest could be any. */
function judgeDigest(wanted: string | undefined, view: WorkloadView, built: readonly string[]): Judgement {
  const pods = currentPods(view);
  if (pods.length === 0) return fail("no pod of its newest revision is ready");
  const accepted = wanted === undefined ? built : [wanted];
  const seen = pods.flatMap((pod) =>
    pod.spec.containers.map(({ name, image }) => ({ pod: pod.metadata.name, name, image })),
  );
  const wrong = seen.filter(({ image }) => !accepted.some((digest) => image?.endsWith(`@${digest}`)));
  // Beside the service's own image there may be others, a proxy for one: those are not what was built.
  const isEnough =
    wanted === undefined
      ? wrong.length < seen.length && pods.every((pod) => hasOne(pod.spec.containers, accepted))
      : wrong.length === 0;
  if (isEnough) return pass();
  return fail(wrong.map(({ pod, name, image }) => `${pod} ${name}: ${image}`).join("\n"));
}

const hasOne = (containers: readonly { readonly image?: string }[], digests: readonly string[]): boolean =>
  containers.some(({ image }) => digests.some((digest) => image?.endsWith(`@${digest}`)));
