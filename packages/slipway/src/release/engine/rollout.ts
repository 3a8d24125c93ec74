/**
 * Follows one cluster after an apply: judges at every change and tells what it finds. Ends by itself when the
 * rollout is doomed or the cluster stays silent; otherwise when `signal` aborts.
 *
 * Nothing is doomed on old news: before a rollout is called so, everything is listed once more and judged again.
 */
import type { Clock } from "@slipway/base";
import type { KubeClient, Pod } from "@slipway/kube";
import type { Progress } from "../events.ts";
import { keepLastLogs, type LastLogs } from "../evidence/last-logs.ts";
import type { LogEnds } from "../evidence/log-ends.ts";
import { type Cause, makeCause } from "../judge/causes.ts";
import { baselineOf } from "../judge/crash.ts";
import { type Judged, judge } from "../judge/judge.ts";
import type { Seen } from "../judge/judgement.ts";
import { newPodsOf, type RolloutSnapshot } from "../judge/snapshot.ts";
import { restartedWhileBaking } from "../judge/while-baking.ts";
import type { ExpectedWorkload } from "../judge/workload.ts";
import type { ImageCheck } from "../model.ts";
import type { Observer } from "./observe.ts";
import { stuckPods } from "./stuck-pods.ts";

export type RolloutFact =
  | { readonly kind: "waiting" }
  | { readonly kind: "ok"; readonly notes: readonly string[] }
  | {
      readonly kind: "doomed";
      readonly cause: Cause;
      readonly pod: Pod | undefined;
      /** Logs that were read when containers died, by pod uid and container. */
      readonly logs?: ReadonlyMap<string, LogEnds>;
    }
  | { readonly kind: "unknown"; readonly reason: string; readonly cause?: Cause };

/** A cluster that is silent for this long is `unknown`. */
export const UNREACHABLE_PATIENCE_MS = 60_000;
/** A restart during the bake is looked at again after this: the event that says why may come after it. */
const RESTART_PATIENCE_MS = 2_000;
const LOG_PATIENCE_MS = 2_000;
/** A pod that is replaced in its turn is not ready for a moment too. */
const STUCK_AFTER_MS = 10_000;

export interface RolloutInput {
  readonly cluster: string;
  readonly kubectl: string;
  readonly client: Pick<KubeClient, "logs">;
  readonly observer: Observer;
  /** From the apply. */
  readonly expected: readonly ExpectedWorkload[];
  /** How often containers had ended before the apply. */
  readonly baseline: ReadonlyMap<string, number>;
  readonly references: readonly string[];
  readonly images: ImageCheck | undefined;
  /** `report` for a rollback: ok before old pods are gone. */
  readonly oldPods?: "wait" | "report" | undefined;
  readonly unreachableAfterMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** A single restart fails the rollout only while this says so; always when absent. */
  readonly isBaking?: (() => boolean) | undefined;
  readonly onProgress: (progress: Progress) => void;
  readonly onFact: (fact: RolloutFact) => void;
  /** What was applied takes the place of a later release. */
  readonly goesBack?: boolean | undefined;
  /** A pod that its StatefulSet waits for before it does anything has not become ready for a while; told once. */
  readonly onStuck?: ((pod: Pod) => void) | undefined;
}

export async function followRollout(input: RolloutInput): Promise<void> {
  const { observer, clock, signal } = input;
  const images = new Map<string, "exists" | "missing" | "unknown">();
  let seen: Seen = new Map();
  let bakedFrom: ReadonlyMap<string, number> | undefined;
  let restartSeenAt: number | undefined;
  const logs = keepLastLogs(input);
  const stuck = watchStuck(input);
  const look = (): { readonly snapshot: RolloutSnapshot; readonly judged: Judged } => {
    const snapshot: RolloutSnapshot = { ...input, ...observer.current(), images, logs: logs.texts };
    return { snapshot, judged: judge(snapshot, seen, clock.now()) };
  };
  while (!signal.aborted) {
    const version = observer.version();
    const now = clock.now();
    const silentSince = observer.unreachableSince();
    if (silentSince !== undefined) {
      // Old news is not judged; an ok of before is taken back until the cluster answers again.
      input.onFact({ kind: "waiting" });
      if (now - silentSince >= input.unreachableAfterMs) return input.onFact(silence(input));
      await observer.changed(version, silentSince + input.unreachableAfterMs - now, signal);
      continue;
    }
    const { snapshot, judged } = look();
    seen = judged.seen;
    input.onProgress(judged.progress);
    logs.look(newPodsOf(snapshot));
    stuck(snapshot, now);
    const { judgement } = judged;
    const isStrict = bakedFrom !== undefined && input.isBaking?.() !== false;
    const restarted = isStrict ? restartedWhileBaking(snapshot, bakedFrom ?? new Map()) : undefined;
    restartSeenAt = restarted === undefined ? undefined : (restartSeenAt ?? now);
    if (restarted !== undefined && now - (restartSeenAt ?? now) >= RESTART_PATIENCE_MS) {
      const { cause, pod } = restarted;
      return input.onFact({ kind: "doomed", cause, pod, logs: logs.ends });
    }
    if (judgement.verdict === "doomed") {
      const confirmed = await confirm(input, { look, logs });
      if (confirmed !== undefined) return input.onFact(confirmed);
      // It was old news, or there is no other to be had; whatever it is, the next look tells.
      await observer.changed(version, 100, signal);
      continue;
    }
    if (judgement.verdict === "ok") {
      // While old pods drain, their nodes are still busy with the rollout: one crash is forgiven as it was in the rollout.
      const { drainsUntil = now } = judgement;
      if (drainsUntil <= now) bakedFrom ??= baselineOf(newPodsOf(snapshot));
      input.onFact({ kind: "ok", notes: judgement.notes });
      const quietMs = drainsUntil <= now ? 60_000 : Math.min(60_000, drainsUntil - now);
      await observer.changed(version, restartSeenAt === undefined ? quietMs : 500, signal);
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

/**
 * Tells of each stuck pod once, when it is so `STUCK_AFTER_MS` after it was first. What crashes is ready for a moment after
 * every restart, which does not free its set.
 */
function watchStuck(input: RolloutInput): (snapshot: RolloutSnapshot, now: number) => void {
  const since = new Map<string, number>();
  const told = new Set<string>();
  return (snapshot, now) => {
    const ours = (snapshot.statefulSets ?? []).filter(({ metadata: { name, namespace = "default" } }) =>
      input.expected.some(
        (one) => one.kind === "StatefulSet" && one.name === name && one.namespace === namespace,
      ),
    );
    const pods = stuckPods(ours, snapshot.pods, input.goesBack === true);
    for (const pod of pods) {
      const { uid = "" } = pod.metadata;
      const first = since.get(uid) ?? now;
      since.set(uid, first);
      if (told.has(uid) || now - first < STUCK_AFTER_MS) continue;
      told.add(uid);
      input.onStuck?.(pod);
    }
  };
}

/** Lists everything again and judges it; undefined when it is not doomed after all or the cluster does not answer. */
async function confirm(
  input: RolloutInput,
  at: { readonly look: () => { readonly judged: Judged }; readonly logs: LastLogs },
): Promise<RolloutFact | undefined> {
  const isFresh = await input.observer.refresh(input.signal);
  if (!isFresh || input.signal.aborted) return undefined;
  if (at.look().judged.judgement.verdict !== "doomed") return undefined;
  // The log may say more than the exit code, like a program for another architecture.
  await at.logs.settled(LOG_PATIENCE_MS);
  const { judgement } = at.look().judged;
  return judgement.verdict === "doomed"
    ? { kind: "doomed", cause: judgement.cause, pod: judgement.pod, logs: at.logs.ends }
    : undefined;
}

function silence(input: RolloutInput): RolloutFact {
  const isOverloaded = input.observer.isOverloaded();
  const error = input.observer.lastError();
  const why = isOverloaded
    ? `the cluster's API only refuses: ${error}`
    : `the cluster does not answer: ${error}`;
  const cause = makeCause(isOverloaded ? "ClusterOverloaded" : "ClusterUnreachable", {
    cluster: input.cluster,
    kubectl: input.kubectl,
    object: { namespace: input.expected[0]?.namespace ?? "default" },
    why,
  });
  return { kind: "unknown", reason: why, cause };
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
