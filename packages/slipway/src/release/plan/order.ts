/**
 * What a release does around the objects, in its order: hooks, waves with their bakes and gates, and what a failure or
 * a cluster that does not answer means. Pure, and made from the same functions as the release itself, so that it
 * cannot promise something else.
 */
import { shellLine } from "@slipway/base";
import type { GateConfig, ReleaseConfig } from "../../config/types.ts";
import { REQUEUE_FOR_MS, settingsOf, wavesOf } from "../engine/wave-settings.ts";
import { describeGate } from "../gates/describe-gate.ts";
import type { Hook, HookRecord } from "../hooks/hook.ts";

export interface PlannedHook {
  readonly name: string;
  /** `Job migrate of hooks/migrate.yaml`, or `npm run warm` for a program. */
  readonly runs: string;
  readonly kind: "job" | "command";
  /** The Job's manifest, relative to the configuration; undefined for a program. */
  readonly file: string | undefined;
  /** Where it runs; none for a program, which runs on the machine that releases. */
  readonly clusters: readonly string[];
  readonly timeoutMs: number;
}

export interface PlannedGate {
  readonly name: string;
  readonly kind: GateConfig["kind"];
  /** What must hold, as a sentence. */
  readonly asks: string;
  readonly timeoutMs: number;
}

export interface PlannedWave {
  /** Those that answer, or all when the release does not begin without the others. */
  readonly clusters: readonly string[];
  readonly bakeMs: number;
  /** Clusters that are on their way at a time; undefined for all. */
  readonly maxParallel: number | undefined;
  /** Asked after the bake, in this order. */
  readonly gates: readonly PlannedGate[];
  /** For the wave of those that did not answer: how long they are tried again. */
  readonly requeuedForMs?: number | undefined;
  /** Likewise: the hooks of before that go to every cluster, which each of these gets when it is back. */
  readonly hooksFirst?: readonly string[] | undefined;
}

/**
 * What becomes of a cluster that did not answer: `refused` the release does not begin without it; `left-behind` it ends
 * as `unknown`, and so does the release; `requeued` it is tried again after the other waves.
 */
export interface SilentCluster {
  readonly cluster: string;
  readonly fate: "refused" | "left-behind" | "requeued";
}

export interface ReleaseOrder {
  /** Before anything is changed. */
  readonly before: readonly PlannedHook[];
  readonly waves: readonly PlannedWave[];
  /** When every cluster is healthy. */
  readonly after: readonly PlannedHook[];
  /** Hooks of after that do not run, because a cluster is left behind. */
  readonly notRun?: readonly string[] | undefined;
  /** Undefined for a rollback, which never goes back by itself. */
  readonly onFailure: ReleaseConfig["onFailure"] | undefined;
  /** The release that a failure goes back to; undefined when there is none. */
  readonly backTo: number | undefined;
  /** The newest release that was healthy, when a failure does not go back to it because it has the same content. */
  readonly sameAs?: number | undefined;
  /** `release.unreachable`. */
  readonly unreachable: "fail" | "skip" | "requeue";
  readonly silent: readonly SilentCluster[];
}

interface OrderInput {
  readonly release: ReleaseConfig;
  /** Names of all clusters that the release goes to. */
  readonly clusters: readonly string[];
  /** Those of them that did not answer. */
  readonly silent: readonly string[];
  readonly skipUnreachable: boolean;
  readonly hooks: readonly HookRecord[];
  readonly backTo: number | undefined;
  readonly sameAs?: number | undefined;
}

export function orderOfDeploy(input: OrderInput): ReleaseOrder {
  const { release, silent } = input;
  const { unreachable = "fail" } = release;
  // As `deploy` does: --skip-unreachable lets a release begin, and the policy says what then becomes of a cluster.
  const goesOnWithout = input.skipUnreachable || unreachable !== "fail";
  const fate = !goesOnWithout ? "refused" : unreachable === "requeue" ? "requeued" : "left-behind";
  const waves = wavesOf(release, input.clusters);
  const settings = settingsOf(release, waves);
  const away = goesOnWithout ? silent : [];
  const waveAt = (clusters: readonly string[], index: number): PlannedWave => ({
    clusters,
    bakeMs: settings[index]?.bakeMs ?? release.bakeMs,
    maxParallel: settings[index]?.maxParallel,
    gates: (settings[index]?.gates ?? []).map(gateOf),
  });
  const planned = waves
    .map((wave, index) =>
      waveAt(
        wave.filter((name) => !away.includes(name)),
        index,
      ),
    )
    .filter(({ clusters }) => clusters.length > 0);
  const again = fate === "requeued" ? waves.flat().filter((name) => away.includes(name)) : [];
  const requeued = {
    ...waveAt(again, waves.length),
    requeuedForMs: release.requeueForMs ?? REQUEUE_FOR_MS,
    hooksFirst: input.hooks.filter(isLateHook).map(({ hook }) => hook.name),
  };
  const present = planned.flatMap((wave) => wave.clusters);
  return {
    before: hooksOf(input.hooks, "before", present),
    waves: again.length === 0 ? planned : [...planned, requeued],
    ...afterOf(input.hooks, [...present, ...again], fate === "left-behind" && silent.length > 0),
    onFailure: release.onFailure,
    backTo: input.backTo,
    ...(input.sameAs === undefined ? {} : { sameAs: input.sameAs }),
    unreachable,
    silent: silent.map((cluster) => ({ cluster, fate })),
  };
}

/** All clusters at once, without bake and gates, with the hooks that are meant for it; never goes back by itself. */
export function orderOfRollback(input: Pick<OrderInput, "clusters" | "silent" | "hooks">): ReleaseOrder {
  const present = input.clusters.filter((name) => !input.silent.includes(name));
  const hooks = input.hooks.filter(({ hook }) => hook.onRollback);
  return {
    before: hooksOf(hooks, "before", present),
    waves: present.length === 0 ? [] : [{ clusters: present, bakeMs: 0, maxParallel: undefined, gates: [] }],
    ...afterOf(hooks, present, input.silent.length > 0),
    onFailure: undefined,
    backTo: undefined,
    unreachable: "skip",
    silent: input.silent.map((cluster) => ({ cluster, fate: "left-behind" })),
  };
}

/** As `decide.ts` has it: with a cluster that is unknown the release ends before them. */
function afterOf(
  hooks: readonly HookRecord[],
  clusters: readonly string[],
  leavesBehind: boolean,
): Pick<ReleaseOrder, "after" | "notRun"> {
  const after = hooksOf(hooks, "after", clusters);
  if (!leavesBehind || after.length === 0) return { after };
  return { after: [], notRun: after.map(({ name }) => name) };
}

function isLateHook({ hook: { when, run } }: HookRecord): boolean {
  return when === "before" && run.kind === "job" && run.in === "each";
}

function gateOf(gate: GateConfig): PlannedGate {
  const { name, kind, timeoutMs } = gate;
  return { name, kind, asks: describeGate(gate), timeoutMs };
}

function hooksOf(
  hooks: readonly HookRecord[],
  when: Hook["when"],
  clusters: readonly string[],
): readonly PlannedHook[] {
  return hooks
    .filter(({ hook }) => hook.when === when)
    .map(({ hook: { name, timeoutMs, run } }): PlannedHook => {
      if (run.kind === "command") {
        const runs = shellLine(run.command).replaceAll(/\s+/g, " ");
        return { name, runs, kind: "command", file: undefined, clusters: [], timeoutMs };
      }
      const from = run.file === undefined ? "" : ` of ${run.file}`;
      const runs = `Job ${run.job.metadata.name}${from}`;
      const places = run.in === "each" ? clusters : clusters.slice(0, 1);
      return { name, runs, kind: "job", file: run.file, clusters: places, timeoutMs };
    });
}
