/**
 * A release as lines that move: what happened so far as one value (`after(progress, event)`), and how that looks at a
 * moment in a terminal of some width (`progressLines`). Both pure; `progress.ts` writes the lines.
 *
 *   wave 2 of 3  osaka, kyoto
 *     osaka    web   ████████░░  8/10 ready  2 old   waiting, 1 min 12 s left: the pod is starting
 *     kyoto    web   ██████████ 10/10 ready          ok, bakes 41 s
 *   gate health, 52 s left: https://… answered 503, not 200
 */
import { formatDuration } from "@slipway/base";
import type { Progress, ReleaseEvent, WorkloadProgress } from "../release/events.ts";
import type { GateRecord } from "../release/gates/gate.ts";
import { cut, padTo } from "./width.ts";

interface Bar {
  readonly wave: number;
  readonly progress: Progress | undefined;
  readonly state: "applying" | "rolling" | "rolling-back";
}

export interface ReleaseProgress {
  readonly wave: { readonly index: number; readonly of: number } | undefined;
  /** Clusters that something is waited for in, in the order they were begun. */
  readonly clusters: ReadonlyMap<string, Bar>;
  readonly bake: { readonly wave: number; readonly endsAt: number } | undefined;
  readonly gate:
    | {
        readonly name: string;
        readonly kind: GateRecord["kind"];
        readonly endsAt: number;
        readonly said: string;
      }
    | undefined;
  readonly hooks: ReadonlyMap<string, { readonly endsAt: number }>;
}

export const NO_RELEASE: ReleaseProgress = {
  wave: undefined,
  clusters: new Map(),
  bake: undefined,
  gate: undefined,
  hooks: new Map(),
};

/** Pure: the progress after one more event. */
export function after(before: ReleaseProgress, event: ReleaseEvent): ReleaseProgress {
  switch (event.type) {
    case "wave-started": {
      const clusters = new Map(before.clusters);
      for (const name of event.clusters) {
        clusters.set(name, { wave: event.wave, progress: undefined, state: "applying" });
      }
      return { ...before, wave: { index: event.wave, of: event.waves }, clusters, bake: undefined };
    }
    case "progress": {
      const known = before.clusters.get(event.cluster);
      // A cluster that is watched after its wave is shown again only while it waits for something.
      if (known === undefined && event.progress.waitingFor.length === 0) return before;
      const state = known?.state === "rolling-back" ? "rolling-back" : "rolling";
      const wave = known?.wave ?? before.wave?.index ?? 0;
      return withCluster(before, event.cluster, { wave, progress: event.progress, state });
    }
    case "baking":
      return { ...before, bake: { wave: event.wave, endsAt: event.at + event.bakeMs } };
    case "gate-started":
      return {
        ...before,
        bake: undefined,
        gate: { name: event.gate, kind: event.kind, endsAt: event.at + event.timeoutMs, said: "" },
      };
    case "gate-waiting":
      return before.gate === undefined ? before : { ...before, gate: { ...before.gate, said: event.said } };
    case "gate-finished":
      return { ...before, gate: undefined };
    case "hook-started":
      return {
        ...before,
        hooks: new Map([...before.hooks, [hookKey(event), { endsAt: event.at + event.timeoutMs }]]),
      };
    case "hook-finished":
      return { ...before, hooks: new Map([...before.hooks].filter(([key]) => key !== hookKey(event))) };
    case "verdict":
    case "requeued":
    case "rolled-back":
      return withoutCluster(before, event.cluster);
    case "rolling-back": {
      const clusters = new Map(before.clusters);
      for (const name of event.clusters) {
        clusters.set(name, { wave: before.wave?.index ?? 0, progress: undefined, state: "rolling-back" });
      }
      return { ...before, clusters, bake: undefined, gate: undefined };
    }
    case "finished":
      return NO_RELEASE;
    default:
      return before;
  }
}

function hookKey(event: { readonly hook: string; readonly cluster: string | undefined }): string {
  return event.cluster === undefined ? event.hook : `${event.hook} in ${event.cluster}`;
}

function withCluster(before: ReleaseProgress, name: string, bar: Bar): ReleaseProgress {
  return { ...before, clusters: new Map([...before.clusters, [name, bar]]) };
}

function withoutCluster(before: ReleaseProgress, name: string): ReleaseProgress {
  return { ...before, clusters: new Map([...before.clusters].filter(([one]) => one !== name)) };
}

const BAR_WIDTH = 10;
const MOST_LINES = 12;

/** No line is wider than `columns - 1`, so that none wraps; nothing to wait for is no line at all. */
export function progressLines(progress: ReleaseProgress, now: number, columns: number): readonly string[] {
  const rows = [...progress.clusters].flatMap(([name, bar]) => rowsOf(name, bar, { progress, now }));
  const names = Math.max(0, ...rows.map(({ name }) => name.length));
  const workloads = Math.max(0, ...rows.map(({ workload }) => workload.length));
  const lines = rows.map(({ name, workload, counts, why }) => {
    const head = `  ${padTo(name, names)}  ${workloads === 0 ? "" : `${padTo(workload, workloads)}  `}`;
    return `${head}${counts}${why === "" ? "" : `  ${why}`}`;
  });
  for (const [hook, { endsAt }] of progress.hooks) lines.push(`  hook ${hook}, ${left(endsAt, now)}`);
  if (progress.gate !== undefined) {
    const { name, endsAt, said } = progress.gate;
    lines.push(`  gate ${name}, ${left(endsAt, now)}${said === "" ? "" : `: ${said}`}`);
  }
  const kept = lines.length <= MOST_LINES ? lines : lines.slice(0, MOST_LINES - 1);
  if (kept.length < lines.length) kept.push(`  … ${lines.length - kept.length} more`);
  return kept.map((line) => cut(line.replaceAll(/\s*\n\s*/g, " "), columns - 1));
}

interface Row {
  readonly name: string;
  readonly workload: string;
  readonly counts: string;
  readonly why: string;
}

/** One row for each Deployment; the cluster's name stands on the first. */
function rowsOf(
  name: string,
  bar: Bar,
  { progress, now }: { readonly progress: ReleaseProgress; readonly now: number },
): readonly Row[] {
  const verb = bar.state === "rolling-back" ? "going back" : "applying";
  if (bar.progress === undefined) return [{ name, workload: "", counts: verb, why: "" }];
  const { workloads = [] } = bar.progress;
  if (workloads.length === 0) {
    return [
      {
        name,
        workload: "",
        counts: countsOf(bar.progress),
        why: whyOf(bar.progress, bar, { progress, now }),
      },
    ];
  }
  return workloads.map((one, index) => ({
    name: index === 0 ? name : "",
    workload: one.name,
    counts: countsOf(one),
    why: whyOf(one, bar, { progress, now }),
  }));
}

type Counts = Pick<WorkloadProgress, "old" | "ready" | "total">;

function countsOf({ old, ready, total }: Counts): string {
  const full = total === 0 ? BAR_WIDTH : Math.min(BAR_WIDTH, Math.floor((ready / total) * BAR_WIDTH));
  const bar = "█".repeat(full) + "░".repeat(BAR_WIDTH - full);
  return `${bar} ${ready}/${total} ready${old === 0 ? "" : `, ${old} old`}`;
}

function whyOf(
  one: Pick<WorkloadProgress, "waitingFor" | "budgetEndsAt" | "ready" | "total">,
  bar: Bar,
  { progress, now }: { readonly progress: ReleaseProgress; readonly now: number },
): string {
  const told = one.waitingFor.find(({ code }) => code !== "RolloutPending") ?? one.waitingFor[0];
  const back = bar.state === "rolling-back" ? "going back" : "";
  if (told !== undefined) {
    // The time first: the end of a line is what a narrow terminal cuts.
    const budget = one.budgetEndsAt === undefined ? "" : `, ${left(one.budgetEndsAt, now)}`;
    return [back, `waiting${budget}: ${told.why}`].filter((text) => text !== "").join(", ");
  }
  if (progress.bake?.wave === bar.wave && now < progress.bake.endsAt) {
    return `ok, must stay so: ${left(progress.bake.endsAt, now)}`;
  }
  return back === "" && one.ready >= one.total ? "ok" : back;
}

/** Whole seconds: a tenth that flickers says nothing. */
function left(endsAt: number, now: number): string {
  const ms = Math.max(0, Math.ceil((endsAt - now) / 1000) * 1000);
  return `${ms < 60_000 ? `${ms / 1000} s` : formatDuration(ms)} left`;
}
