/** What a release does around the objects, as lines for people. What is not configured is no line. Pure. */
import { assertNever, formatDuration } from "@slipway/base";
import type { PlannedGate, PlannedHook, PlannedWave, ReleaseOrder, SilentCluster } from "./order.ts";

/**
 * `order: tokyo, then osaka; bake 1 min 00 s each` where there is nothing but waves of one kind; else a line for each
 * step. Waves that differ in nothing but their clusters are one.
 */
export function renderOrder(order: ReleaseOrder): readonly string[] {
  // Nobody answers, so there is nothing to begin with.
  if (order.waves.length === 0) return [];
  const groups = foldWaves(order.waves);
  const steps = [
    ...order.before.map((hook) => [hookText(hook)]),
    ...groups.map((group) => [
      waveText(group),
      ...(group[0] as PlannedWave).gates.map((gate) => `  ${gateText(gate)}`),
    ]),
    ...order.after.map((hook) => [hookText(hook)]),
  ];
  const [only = []] = steps;
  const failure = failureText(order);
  return [
    ...(steps.length === 1 && only.length === 1
      ? [`order: ${only[0]}`]
      : ["order:", ...steps.flatMap(([head, ...rest], index) => stepLines(head as string, rest, index))]),
    ...(failure === undefined ? [] : [failure]),
  ];
}

/** What becomes of a cluster that did not answer. */
export function silenceText({ fate }: SilentCluster, order: ReleaseOrder): string {
  switch (fate) {
    case "refused":
      return "the release does not begin without it (release.unreachable: fail)";
    case "left-behind": {
      const { notRun = [] } = order;
      const without = notRun.length === 0 ? "" : ` without hook ${notRun.join(" and ")} at the end`;
      return `is left behind as unknown; the others go on${without}, and the release cannot become healthy`;
    }
    case "requeued": {
      const forMs = order.waves.find(({ requeuedForMs }) => requeuedForMs !== undefined)?.requeuedForMs ?? 0;
      return `is tried again after the other waves, for ${formatDuration(forMs)}; unknown if it stays away`;
    }
    default:
      return assertNever(fate);
  }
}

const stepLines = (head: string, rest: readonly string[], index: number): readonly string[] => [
  `  ${index === 0 ? "" : "then "}${head}`,
  ...rest.map((line) => `  ${line}`),
];

function foldWaves(waves: readonly PlannedWave[]): readonly (readonly PlannedWave[])[] {
  const settingsOf = ({ clusters: _clusters, ...settings }: PlannedWave): string => JSON.stringify(settings);
  const groups: PlannedWave[][] = [];
  for (const wave of waves) {
    const last = groups.at(-1);
    if (last !== undefined && settingsOf(last[0] as PlannedWave) === settingsOf(wave)) last.push(wave);
    else groups.push([wave]);
  }
  return groups;
}

function waveText(group: readonly PlannedWave[]): string {
  const { bakeMs, maxParallel, gates, requeuedForMs, hooksFirst = [] } = group[0] as PlannedWave;
  const each = group.length > 1 ? " each" : "";
  return [
    group.map(({ clusters }) => clusters.join(" + ")).join(", then "),
    requeuedForMs === undefined ? "" : `, when it answers again within ${formatDuration(requeuedForMs)}`,
    hooksFirst.length === 0 ? "" : `, hook ${hooksFirst.join(" and ")} first`,
    maxParallel === undefined ? "" : `, ${maxParallel} at a time`,
    bakeMs === 0 ? "" : `; bake ${formatDuration(bakeMs)}${each}`,
    gates.length > 0 && group.length > 1 ? "; after each" : "",
  ].join("");
}

function gateText({ name, kind, asks, timeoutMs }: PlannedGate): string {
  const named = name === kind ? kind : `${name} (${kind})`;
  return `gate ${named}: ${asks}; within ${formatDuration(timeoutMs)}`;
}

function hookText({ name, runs, kind, clusters, timeoutMs }: PlannedHook): string {
  const where = kind === "command" ? "on this machine" : `in ${clusters.join(", ") || "no cluster"}`;
  return `hook ${name}: ${runs} ${where}; within ${formatDuration(timeoutMs)}`;
}

function failureText({ onFailure, backTo, sameAs }: ReleaseOrder): string | undefined {
  if (onFailure === undefined) return undefined;
  if (onFailure === "halt") return "on failure: nothing goes back (halt)";
  if (backTo === undefined) {
    return sameAs === undefined
      ? "on failure: nothing goes back, there is no other release that was healthy"
      : `on failure: nothing goes back, release ${sameAs} that was healthy last has the same content`;
  }
  const what =
    onFailure === "rollback-all"
      ? "every cluster that was begun"
      : "the wave that failed, with what was begun after it,";
  return `on failure: ${what} goes back to release ${backTo}`;
}
