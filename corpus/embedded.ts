/** A case on the embedded cluster: simulated programs are chosen by the image, so each new container gets one of its own. */
import type { Behaviour } from "@slipway/cluster";
import type { AnyObject, Container } from "@slipway/kube";
import type { CorpusCase } from "../packages/slipway/src/corpus/case.ts";
import { mapContainers, mapPodSpec, podSpecOf } from "../packages/slipway/src/release/manifests/workload.ts";

export function isSimulated(one: CorpusCase): boolean {
  return one.embedded !== undefined && Object.keys(one.embedded).length > 0;
}

export function simulatedBehaviour(one: CorpusCase): Behaviour {
  const { readyAfterMs, startMs = 20, ...given } = one.embedded ?? {};
  const ready = readyAfterMs === "never" ? Number.POSITIVE_INFINITY : readyAfterMs;
  const told = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { ...told, startMs, ...(ready === undefined ? {} : { readyAfterMs: ready }) };
}

/** `after` with an image of the case's own in the container that fails; in a transient, in each that is new or changed. */
export function withImages(
  one: CorpusCase,
  before: readonly AnyObject[],
  after: readonly AnyObject[],
): readonly AnyObject[] {
  if (!isSimulated(one)) return after;
  const { expect } = one;
  const failing = expect.verdict === "failed" ? expect.container : undefined;
  const known = new Set(before.flatMap(containersOf).map((container) => JSON.stringify(container)));
  return after.map((object) =>
    mapPodSpec(object, (spec) =>
      mapContainers(spec, (container) =>
        known.has(JSON.stringify(container)) || container.name !== (failing ?? container.name)
          ? container
          : { ...container, image: `registry.example/${one.id}:2` },
      ),
    ),
  );
}

function containersOf(object: AnyObject): readonly Container[] {
  const spec = podSpecOf(object);
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
}
