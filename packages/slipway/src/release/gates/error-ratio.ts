/**
 * The ratio of failed requests, as the edge counts them, of the new release against that of the one before.
 *
 * Too little traffic concludes nothing: one failure of three requests is not a ratio. Where the release before was
 * not asked often enough itself (a first release), the new one is compared with no failures at all.
 */
import type { GateConfig } from "../../config/types.ts";
import type { Asking, GateFinding, ServedCount } from "./gate.ts";

type RatioGate = Extract<GateConfig, { kind: "error-ratio" }>;

export interface Served {
  readonly requests: number;
  readonly errors: number;
}

const LOOK_EVERY_MS = 1_000;

/** `isNew` says whether a ReplicaSet of a cluster of this wave belongs to the new release. */
export async function askErrorRatio(
  gate: RatioGate,
  asking: Asking,
  facts: {
    readonly isNew: (count: Pick<ServedCount, "cluster" | "replicaSet">) => boolean;
    /** Counters at the start of the release: what the same pods served before is not this release's. */
    readonly before: readonly ServedCount[];
  },
): Promise<GateFinding> {
  const { clock, ports, signal, waiting } = asking;
  if (ports.served === undefined) {
    return { outcome: "undecided", said: "no edge of Slipway stands in front of these clusters", values: {} };
  }
  let last: GateFinding | undefined;
  while (!signal.aborted) {
    const counts = await ports.served().catch((error: unknown) => error as Error);
    if (counts instanceof Error) waiting(`the edge does not tell its counters: ${counts.message}`);
    else {
      last = conclude(gate, splitServed(counts, { ...facts, service: gate.service }));
      if (last.outcome !== "undecided") return last;
      waiting(last.said, last.values);
    }
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
  }
  if (last !== undefined && gate.tooFew === "pass") return { ...last, outcome: "passed" };
  return last ?? { outcome: "timed-out", said: "", values: {} };
}

/** Sums of the new release and of all others. */
export function splitServed(
  counts: readonly ServedCount[],
  facts: {
    readonly isNew: (count: Pick<ServedCount, "cluster" | "replicaSet">) => boolean;
    readonly before: readonly ServedCount[];
    readonly service: string | undefined;
  },
): { readonly fresh: Served; readonly previous: Served } {
  let fresh: Served = { requests: 0, errors: 0 };
  let previous: Served = { requests: 0, errors: 0 };
  for (const count of counts) {
    if (facts.service !== undefined && count.service !== facts.service) continue;
    if (!facts.isNew(count)) {
      previous = add(previous, count);
      continue;
    }
    const earlier = facts.before.find(
      (one) =>
        one.cluster === count.cluster && one.service === count.service && one.replicaSet === count.replicaSet,
    );
    fresh = add(fresh, {
      requests: count.requests - (earlier?.requests ?? 0),
      errors: count.errors - (earlier?.errors ?? 0),
    });
  }
  return { fresh, previous };
}

function add(a: Served, b: Served): Served {
  return { requests: a.requests + b.requests, errors: a.errors + b.errors };
}

/** 3 of 200 (1.5 %) against 1 of 1000 (0.1 %) is 1.4 points more: above `maxIncrease` 0.01 it fails. */
export function conclude(
  gate: Pick<RatioGate, "maxIncrease" | "minRequests">,
  { fresh, previous }: { readonly fresh: Served; readonly previous: Served },
): GateFinding {
  const values = {
    newRequests: fresh.requests,
    newErrors: fresh.errors,
    previousRequests: previous.requests,
    previousErrors: previous.errors,
    maxIncrease: gate.maxIncrease,
    minRequests: gate.minRequests,
  };
  const told = `new release ${text(fresh)}, the one before ${text(previous)}`;
  if (fresh.requests < gate.minRequests) {
    const said = `${told}: too little traffic to conclude, ${gate.minRequests} requests are needed`;
    return { outcome: "undecided", said, values };
  }
  const isComparable = previous.requests >= gate.minRequests;
  const allowed = (isComparable ? ratio(previous) : 0) + gate.maxIncrease;
  const against = isComparable ? "" : " (too few of the one before to compare with: taken as none failed)";
  const isFine = ratio(fresh) <= allowed;
  return {
    outcome: isFine ? "passed" : "failed",
    said: `${told}${against}; allowed up to ${percent(allowed)}`,
    values,
  };
}

function ratio({ requests, errors }: Served): number {
  return requests === 0 ? 0 : errors / requests;
}

function text(served: Served): string {
  return `${served.errors} of ${served.requests} requests failed (${percent(ratio(served))})`;
}

function percent(value: number): string {
  return `${Number((value * 100).toFixed(2))} %`;
}
