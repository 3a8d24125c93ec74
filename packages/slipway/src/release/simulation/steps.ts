/** Where a release is when a fault strikes, told from what it says and what it sends. */
import type { AnyObject } from "@slipway/kube";
import type { ReleaseEvent } from "../events.ts";

export const STEPS = [
  "plan",
  "lock",
  "record",
  "apply",
  "judge",
  "bake",
  "evidence",
  "restore",
  "finish",
] as const;

export type Step = (typeof STEPS)[number];

export function stepAfterEvent(step: Step, event: ReleaseEvent): Step {
  switch (event.type) {
    case "locked":
      return "record";
    case "wave-started":
      return "apply";
    case "applied":
      return "judge";
    case "baking":
      return "bake";
    case "verdict":
      return event.verdict === "failed" ? "evidence" : "finish";
    case "rolling-back":
      return "restore";
    case "rolled-back":
      return "finish";
    default:
      return step;
  }
}

/** The lock is taken without a word before it: the first write to the Lease tells. */
export function stepAfterCall(step: Step, verb: string, object: AnyObject | undefined): Step {
  const isLock = object?.kind === "Lease" && (verb === "create" || verb === "replace" || verb === "get");
  return step === "plan" && isLock ? "lock" : step;
}
