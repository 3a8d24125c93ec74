/** What a judge says, and what it remembers from one look to the next. */
import type { Pod } from "@slipway/kube";
import type { Cause } from "./causes.ts";

export type Judgement =
  | {
      readonly verdict: "ok";
      readonly notes: readonly string[];
      /** Set while old pods are in their grace period: when (our clock, ms) that has been long enough for any of them. */
      readonly drainsUntil?: number;
    }
  /** `budgetEndsAt` is when it becomes `doomed`; undefined when only the progress deadline ends it. */
  | {
      readonly verdict: "waiting";
      readonly causes: readonly Cause[];
      readonly budgetEndsAt: number | undefined;
    }
  | { readonly verdict: "doomed"; readonly cause: Cause; readonly pod: Pod | undefined };

/** Since when (our clock, ms) each waiting cause holds, and what contests of replicas are remembered by. */
export type Seen = ReadonlyMap<string, number>;

/** Of one look: what was seen before, and what the next look will be told. */
export interface Memory {
  readonly seen: Seen;
  readonly nextSeen: Map<string, number>;
  readonly now: number;
}

/** Records that `key` holds and says since when. */
export function since(memory: Memory, key: string): number {
  const first = memory.seen.get(key) ?? memory.now;
  memory.nextSeen.set(key, first);
  return first;
}
