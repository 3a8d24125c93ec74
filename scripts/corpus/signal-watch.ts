/** When the decisive signal of a case was first seen, among all that the watches bring. */
import type { Clock } from "@slipway/base";
import type { KubeObject } from "@slipway/kube";
import type { CorpusCase } from "../../packages/slipway/src/corpus/case.ts";
import { isDecisive } from "../../packages/slipway/src/corpus/signal.ts";

export interface SignalWatch {
  see(object: KubeObject, type: "ADDED" | "MODIFIED" | "DELETED"): void;
  /** The change is applied now; what was seen before is the old version. Returns the moment. */
  begin(): number;
  /** Something else than an object was the signal: the apply itself, or its refusal. */
  mark(at: number): void;
  /** By the clock; undefined as long as it was not seen. */
  seenAt(): number | undefined;
}

export function watchSignal({ decisive }: Pick<CorpusCase, "decisive">, clock: Clock): SignalWatch {
  let beganAt = Number.POSITIVE_INFINITY;
  let seenAt: number | undefined;
  const oldPods = new Set<string>();
  return {
    see: (object, type) => {
      if (seenAt !== undefined || decisive === undefined) return;
      const { uid = "" } = object.metadata;
      const hasBegun = clock.now() >= beganAt;
      if (!hasBegun && object.kind === "Pod") oldPods.add(uid);
      if (hasBegun && type !== "DELETED" && isDecisive(decisive, object, !oldPods.has(uid)))
        seenAt = clock.now();
    },
    begin: () => {
      beganAt = clock.now();
      return beganAt;
    },
    mark: (at) => {
      seenAt ??= at;
    },
    seenAt: () => seenAt,
  };
}
