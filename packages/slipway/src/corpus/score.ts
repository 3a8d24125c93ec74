/** What came of it: sums by group, the goals, and the table that people read. Pure. */
import { formatDuration, renderTable } from "@slipway/base";
import type { CaseKind, CorpusCase } from "./case.ts";
import type { PlayedCase } from "./run-case.ts";

export interface GroupScore {
  readonly kind: CaseKind;
  readonly held: boolean;
  /** The same cases once more, each in one of three clusters. */
  readonly beside: boolean;
  readonly cases: number;
  /** Cases of which every run, calm and seeded, came to what was expected. */
  readonly right: number;
  readonly runs: number;
  readonly rightRuns: number;
  /** Runs of failures whose only reason was that time passed. */
  readonly timeAlone: number;
  /** Runs of transients that failed. */
  readonly falseAlarms: number;
  /** Of the calm runs, decisive signal to verdict, in ms; undefined where none has any. */
  readonly medianMs: number | undefined;
  readonly p95Ms: number | undefined;
  /** Calm verdicts later than the case allows. */
  readonly late: number;
  readonly recorded: Readonly<Record<CorpusCase["recorded"], number>>;
  /** To be replayed, and not recorded. */
  readonly missing: number;
}

export interface CorpusScore {
  readonly groups: readonly GroupScore[];
  /** Of all failures, open and held back. */
  readonly rightRatio: number;
  readonly timeAlone: number;
  readonly falseAlarms: number;
  readonly goals: readonly { readonly goal: string; readonly value: string; readonly isMet: boolean }[];
  readonly isMet: boolean;
}

const RIGHT_AT_LEAST = 0.95;
const MEDIAN_AT_MOST_MS = 10_000;

export function score(played: readonly PlayedCase[], missing: readonly CorpusCase[]): CorpusScore {
  const groups: GroupScore[] = [];
  for (const kind of ["failures", "transients"] as const) {
    for (const held of [false, true]) {
      const isIn = (one: CorpusCase): boolean => one.kind === kind && one.held === held;
      const own = played.filter((made) => isIn(made.case));
      const group = groupScore(own, { kind, held, beside: false, missing: missing.filter(isIn).length });
      if (group.cases + group.missing > 0) groups.push(group);
      const besides = own.flatMap(({ case: one, beside }) =>
        beside === undefined ? [] : [{ case: one, calm: beside, seeded: [], beside: undefined }],
      );
      if (besides.length > 0) groups.push(groupScore(besides, { kind, held, beside: true, missing: 0 }));
    }
  }
  const failures = groups.filter(({ kind, beside }) => kind === "failures" && !beside);
  const besides = groups.filter(({ beside }) => beside);
  const transients = groups.filter(({ kind }) => kind === "transients");
  const sum = (all: readonly GroupScore[], of: (group: GroupScore) => number): number =>
    all.reduce((total, group) => total + of(group), 0);
  const cases = sum(failures, (group) => group.cases);
  const rightRatio = cases === 0 ? 1 : sum(failures, (group) => group.right) / cases;
  const besideRatio =
    sum(besides, ({ right }) => right) /
    Math.max(
      1,
      sum(besides, (group) => group.cases),
    );
  const timeAlone = sum([...failures, ...besides], (group) => group.timeAlone);
  const falseAlarms = sum(transients, (group) => group.falseAlarms);
  const times = played.flatMap(({ calm }) => (calm.verdictMs === undefined ? [] : [calm.verdictMs]));
  const median = quantile(times, 0.5);
  const goals = [
    ...(failures.length === 0
      ? []
      : [
          {
            goal: "right cause, container and cluster: at least 95 % of the failures",
            value: percent(rightRatio),
            isMet: rightRatio >= RIGHT_AT_LEAST,
          },
          {
            goal: "the same in one of three clusters, the others healthy: at least 95 %",
            value: besides.length === 0 ? "-" : percent(besideRatio),
            isMet: besides.length === 0 || besideRatio >= RIGHT_AT_LEAST,
          },
          { goal: "explained by time alone: none", value: String(timeAlone), isMet: timeAlone === 0 },
          {
            goal: "decisive signal to verdict: median at most 10 s",
            value: timeText(median),
            isMet: median === undefined || median <= MEDIAN_AT_MOST_MS,
          },
        ]),
    ...(transients.length === 0
      ? []
      : [
          {
            goal: `false alarms in ${sum(transients, (group) => group.runs)} runs of transients: none`,
            value: String(falseAlarms),
            isMet: falseAlarms === 0,
          },
        ]),
  ];
  return { groups, rightRatio, timeAlone, falseAlarms, goals, isMet: goals.every(({ isMet }) => isMet) };
}

function groupScore(
  own: readonly PlayedCase[],
  group: Pick<GroupScore, "kind" | "held" | "beside" | "missing">,
): GroupScore {
  const runs = own.flatMap(({ calm, seeded }) => [calm, ...seeded]);
  const times = own.flatMap(({ calm }) => (calm.verdictMs === undefined ? [] : [calm.verdictMs]));
  const isLate = ({ case: one, calm }: PlayedCase): boolean =>
    one.expect.verdict !== "healthy" && (calm.verdictMs ?? 0) > one.expect.withinSeconds * 1000;
  const places = (place: CorpusCase["recorded"]): number =>
    own.filter((made) => made.case.recorded === place).length;
  return {
    ...group,
    cases: own.length,
    right: own.filter(({ calm, seeded }) => [calm, ...seeded].every((run) => run.isRight)).length,
    runs: runs.length,
    rightRuns: runs.filter((run) => run.isRight).length,
    timeAlone: group.kind === "failures" ? runs.filter((run) => run.isTimeAlone).length : 0,
    falseAlarms: group.kind === "transients" ? runs.filter((run) => !run.isRight).length : 0,
    medianMs: quantile(times, 0.5),
    p95Ms: quantile(times, 0.95),
    late: own.filter(isLate).length,
    recorded: {
      real: places("real"),
      hollow: places("hollow"),
      derived: places("derived"),
      "by-hand": places("by-hand"),
    },
  };
}

/** The smallest value that at least this share of the values does not exceed. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

function percent(ratio: number): string {
  return `${(Math.floor(ratio * 1000) / 10).toFixed(1)} %`;
}

function timeText(ms: number | undefined): string {
  return ms === undefined ? "-" : ms < 1_000 ? `${Math.round(ms)}ms` : formatDuration(ms);
}

export const HEADINGS = [
  "group",
  "cases",
  "right",
  "by time alone",
  "false alarms",
  "median",
  "p95",
  "recorded real / hollow / derived / by hand",
  "not recorded",
] as const;

export function scoreRows(score: CorpusScore): readonly (readonly string[])[] {
  return score.groups.map((group) => [
    `${group.kind}${group.beside ? ", in one of three clusters" : ""}${group.held ? ", held back" : ""}`,
    String(group.cases),
    `${group.right} (${group.rightRuns} of ${group.runs} runs)`,
    group.kind === "failures" ? String(group.timeAlone) : "-",
    group.kind === "transients" ? String(group.falseAlarms) : "-",
    timeText(group.medianMs),
    timeText(group.p95Ms),
    [group.recorded.real, group.recorded.hollow, group.recorded.derived, group.recorded["by-hand"]].join(
      " / ",
    ),
    String(group.missing),
  ]);
}

export function renderScore(score: CorpusScore): string {
  const goals = score.goals.map(({ goal, value, isMet }) => [isMet ? "✓" : "✗", goal, value]);
  return `${renderTable([[...HEADINGS], ...scoreRows(score)])}\n\n${renderTable(goals)}`;
}
