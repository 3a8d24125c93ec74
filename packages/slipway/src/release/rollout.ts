/**
 * Follows one cluster after an apply: judges at every change and tells what it finds. Ends by itself when the
 * rollout is doomed or the cluster stays silent; otherwise when `signal` aborts.
 */
import type { Clock } from "@slipway/base";
import type { Pod } from "@slipway/kube";
import { type Cause, makeCause } from "./causes.ts";
import type { Progress } from "./events.ts";
import { baselineOf } from "./judge/crash.ts";
import type { ExpectedWorkload } from "./judge/workload.ts";
import { judge, newPodsOf, type RolloutSnapshot, type Seen } from "./judge.ts";
import type { ImageCheck } from "./model.ts";
import type { Observer } from "./observe.ts";

export type RolloutFact =
  | { readonly kind: "waiting" }
  | { readonly kind: "ok"; readonly notes: readonly string[] }
  | { readonly kind: "doomed"; readonly cause: Cause; readonly pod: Pod | undefined }
  | { readonly kind: "unknown"; readonly reason: string };

/** A cluster that is silent for this long is `unknown`. */
export const UNREACHABLE_PATIENCE_MS = 60_000;

export interface RolloutInput {
  readonly cluster: string;
  readonly kubectl: string;
  readonly observer: Observer;
  /** From the apply. */
  readonly expected: readonly ExpectedWorkload[];
  /** How often containers had ended before the apply. */
  readonly baseline: ReadonlyMap<string, number>;
  readonly references: readonly string[];
  readonly images: ImageCheck | undefined;
  readonly unreachableAfterMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** A single restart fails the rollout only while this says so; always when absent. */
  readonly isBaking?: (() => boolean) | undefined;
  readonly onProgress: (progress: Progress) => void;
  readonly onFact: (fact: RolloutFact) => void;
}

export async function followRollout(input: RolloutInput): Promise<void> {
  const { observer, clock, signal } = input;
  const images = new Map<string, "exists" | "missing" | "unknown">();
  let seen: Seen = new Map();
  let bakedFrom: ReadonlyMap<string, number> | undefined;
  while (!signal.aborted) {
    const version = observer.version();
    const now = clock.now();
    const silentSince = observer.unreachableSince();
    if (silentSince !== undefined) {
      // Old news is not judged; an ok of before is taken back until the cluster answers again.
      input.onFact({ kind: "waiting" });
      if (now - silentSince >= input.unreachableAfterMs) {
        return input.onFact({
          kind: "unknown",
          reason: `the cluster does not answer: ${observer.lastError()}`,
        });
      }
      await observer.changed(version, silentSince + input.unreachableAfterMs - now, signal);
      continue;
    }
    const snapshot: RolloutSnapshot = { ...input, ...observer.current(), images };
    const judged = judge(snapshot, seen, now);
    seen = judged.seen;
    input.onProgress(judged.progress);
    const { judgement } = judged;
    const isStrict = bakedFrom !== undefined && input.isBaking?.() !== false;
    const restarted = isStrict ? restartedSince(snapshot, bakedFrom ?? new Map(), input) : undefined;
    if (restarted !== undefined) return input.onFact(restarted);
    if (judgement.verdict === "doomed") return input.onFact({ kind: "doomed", ...judgement });
    if (judgement.verdict === "ok") {
      bakedFrom ??= baselineOf(newPodsOf(snapshot));
      input.onFact({ kind: "ok", notes: judgement.notes });
      await observer.changed(version, 60_000, signal);
      continue;
    }
    input.onFact({ kind: "waiting" });
    if (judgement.causes.some((cause) => cause.code === "ImageNotFound")) {
      if (await askRegistry(input, images)) continue;
    }
    // Readiness windows end without any change in the cluster, so look at least once a second.
    await observer.changed(version, Math.min(1_000, (judgement.budgetEndsAt ?? now + 1_000) - now), signal);
  }
}

/** Asks once for each image of the release; true when it learnt something. */
async function askRegistry(
  input: RolloutInput,
  images: Map<string, "exists" | "missing" | "unknown">,
): Promise<boolean> {
  if (input.images === undefined || images.size > 0) return false;
  for (const reference of input.references) {
    images.set(reference, await input.images.exists(reference).catch(() => "unknown" as const));
  }
  return images.size > 0;
}

/** A pod that was available and restarts during the bake has failed it, even if it comes back. */
function restartedSince(
  snapshot: RolloutSnapshot,
  before: ReadonlyMap<string, number>,
  input: RolloutInput,
): RolloutFact | undefined {
  for (const pod of newPodsOf(snapshot)) {
    if (pod.metadata.deletionTimestamp !== undefined) continue;
    for (const status of pod.status?.containerStatuses ?? []) {
      const key = `${pod.metadata.uid}/${status.name}`;
      const ends = baselineOf([pod]).get(key) ?? 0;
      if (!before.has(key) || ends <= (before.get(key) ?? 0)) continue;
      const end = status.state?.terminated ?? status.lastState?.terminated;
      const reason =
        end === undefined ? "" : `: exit code ${end.exitCode}${end.reason ? `, ${end.reason}` : ""}`;
      const cause = makeCause("RestartedWhileBaking", {
        cluster: input.cluster,
        kubectl: input.kubectl,
        object: {
          namespace: pod.metadata.namespace ?? "default",
          pod: pod.metadata.name,
          container: status.name,
        },
        why: `was ready and then ended during the bake time${reason}`,
      });
      return { kind: "doomed", cause, pod };
    }
  }
  return undefined;
}
