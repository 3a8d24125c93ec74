/**
 * Where a case can be made to happen, and why not elsewhere. `places` of a case says where; this file has the reasons for
 * the places that it leaves out, so that what a cluster of ours is never asked is known. Pure.
 */
import type { CorpusCase, Place } from "../packages/slipway/src/corpus/case.ts";

interface Reason {
  readonly why: string;
  readonly holds: (one: CorpusCase) => boolean;
}

/** The first that holds is the one. */
const DERIVED: readonly Reason[] = [
  {
    why: "several clusters: this machine has one full node. Each of them is run alone, as the case of the same name",
    holds: (one) => one.clusters.length > 1,
  },
  {
    why: "what the API server does to whoever asks is done by the replay; a cluster that is cut off is the story of the lost cluster",
    holds: (one) => one.faults.length > 0,
  },
  { why: "clocks and events are distorted by the replay", holds: (one) => one.distort.length > 0 },
  {
    why: "the kubelet's cache and the machine's resolver are left alone",
    holds: (one) => one.recorded === "by-hand",
  },
];

const CANNOT: Readonly<Record<Exclude<Place, "replay">, readonly Reason[]>> = {
  real: DERIVED,
  embedded: [
    ...DERIVED,
    {
      why: "nodes of a certain size, label or taint, which the embedded cluster does not have",
      holds: (one) => one.recorded === "hollow",
    },
    {
      why: "what is done meanwhile is done to a real machine: its processes, its webhook, its controllers",
      holds: (one) => one.steps.length > 0,
    },
    {
      why: "the embedded cluster has neither quotas, LimitRanges nor PriorityClasses, and no controllers of StatefulSets, DaemonSets and volumes",
      holds: ({ id }) => /^(?:quota|limit-range|priority|stateful-set|daemon-set|claim|volume-host)/.test(id),
    },
    {
      why: "what registry, runtime and kubelet say of it is theirs: a simulated pod only starts, is ready, ends and is refused as it is told",
      holds: (one) => one.embedded === undefined,
    },
  ],
};

/** All reasons for a place, in their order. */
export function reasonsFor(place: Exclude<Place, "replay">): readonly string[] {
  return CANNOT[place].map(({ why }) => why);
}

/** Why the case is not run there; undefined where it is. */
export function whyNot(one: CorpusCase, place: Exclude<Place, "replay">): string | undefined {
  if (one.places.includes(place)) return undefined;
  return CANNOT[place].find(({ holds }) => holds(one))?.why ?? "nobody has said why";
}
