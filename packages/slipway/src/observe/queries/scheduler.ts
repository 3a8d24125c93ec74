/**
 * Runs the scheduled queries of a project when they are due. A query that fails, a file that cannot be read, and a row beyond a query's threshold, are
 * handed to whoever alerts; a report is sent. What ran when is kept, so that a restart neither repeats nor forgets a run;
 * only a process killed between sending a report and writing that down sends it twice.
 */
import type { Clock, SlipwayError } from "@slipway/base";
import type { QueryAnswer } from "../warehouse/warehouse.ts";
import { answerText } from "./answer-text.ts";
import { type QueryLibrary, queryOfProblem } from "./load.ts";
import { resolveParameters } from "./parameters.ts";
import { chartSvg } from "./picture/chart-svg.ts";
import type { NamedQuery } from "./query-file.ts";
import type { QueryRunner } from "./run.ts";
import { type BeyondThreshold, beyondThreshold, dueQueries, type ScheduledRun } from "./schedule.ts";

export interface Report {
  readonly query: string;
  readonly title: string;
  /** A table; the first rows. */
  readonly text: string;
  /** The chart as SVG, where the query has one. */
  readonly svg: string | undefined;
}

/** What the outcome of a run goes to. A rejection of `report` is the failure of the run. */
export interface ScheduleOutlet {
  failed(query: NamedQuery, problem: string, now: number): void;
  /** It ran well again, or still. */
  succeeded?(query: NamedQuery): void;
  /** All rows beyond the threshold; none: what was open is over. */
  beyond(query: NamedQuery, rows: readonly BeyondThreshold[], now: number): void;
  /** It has no schedule any more, or no file: what was said of it is over. */
  gone(name: string): void;
  /** All files that cannot be read, and whose queries do not run therefore; told when that changes. */
  unreadable(problems: readonly SlipwayError[]): void;
  /** Undefined where nobody takes reports. */
  report?: ((report: Report) => Promise<void>) | undefined;
}

export interface ScheduleMemory {
  read(): Promise<Readonly<Record<string, ScheduledRun>>>;
  write(runs: Readonly<Record<string, ScheduledRun>>): Promise<void>;
}

export interface Scheduler {
  /** Runs what is due; call it about every ten seconds. Calls do not overlap. */
  tick(): Promise<void>;
  lastRun(name: string): ScheduledRun | undefined;
}

const REPORT_ROWS = 20;
/** Somebody may be writing the file at this moment. */
const UNREADABLE_MS = 60_000;

export async function createScheduler(options: {
  readonly library: () => Promise<QueryLibrary>;
  readonly runner: QueryRunner;
  readonly outlet: ScheduleOutlet;
  readonly memory: ScheduleMemory;
  readonly clock: Clock;
}): Promise<Scheduler> {
  const { clock, runner, outlet, memory } = options;
  let runs = await memory.read();
  /** A schedule that was not there then begins there. */
  let lookedAt = clock.now();
  let isRunning = false;
  /** Since when each file is as it cannot be read. */
  let broken: ReadonlyMap<string, number> = new Map();
  let told: string | undefined;

  const remember = async (query: NamedQuery, run: ScheduledRun): Promise<void> => {
    runs = { ...runs, [query.name]: run };
    await memory.write(runs);
  };

  /** A file that cannot be read now may be the same again soon: its query is not gone. */
  const forgetGone = async ({ queries, problems }: QueryLibrary): Promise<void> => {
    const known = new Set([
      ...queries.filter(({ schedule }) => schedule !== undefined).map(({ name }) => name),
      ...problems.map(queryOfProblem),
    ]);
    const gone = Object.keys(runs).filter((name) => !known.has(name));
    if (gone.length === 0) return;
    for (const name of gone) outlet.gone(name);
    runs = Object.fromEntries(Object.entries(runs).filter(([name]) => known.has(name)));
    await memory.write(runs);
  };
  /** Kept, so that a time that is missed before the first run is made up for, too. */
  const noteNew = async ({ queries }: QueryLibrary): Promise<void> => {
    const fresh = queries.filter(({ name, schedule }) => schedule !== undefined && runs[name] === undefined);
    if (fresh.length === 0) return;
    const seen: ScheduledRun = { at: lookedAt, ok: true, problem: undefined, isFirstSeen: true };
    runs = { ...runs, ...Object.fromEntries(fresh.map(({ name }) => [name, seen])) };
    await memory.write(runs);
  };
  const tellUnreadable = ({ problems }: QueryLibrary): void => {
    const now = clock.now();
    const textOf = ({ where, message }: SlipwayError): string => `${where}: ${message}`;
    broken = new Map(
      problems.map((problem) => [textOf(problem), Math.min(now, broken.get(textOf(problem)) ?? now)]),
    );
    const lasting = problems.filter((problem) => now - (broken.get(textOf(problem)) ?? now) >= UNREADABLE_MS);
    const text = lasting.map(textOf).join("\n");
    if (text === told) return;
    told = text;
    outlet.unreadable(lasting);
  };

  return {
    lastRun: (name) => (runs[name]?.isFirstSeen === true ? undefined : runs[name]),
    async tick() {
      if (isRunning) return;
      isRunning = true;
      try {
        const library = await options.library();
        const { queries } = library;
        tellUnreadable(library);
        await forgetGone(library);
        await noteNew(library);
        lookedAt = clock.now();
        const last = new Map(Object.entries(runs).map(([name, { at }]) => [name, at]));
        for (const { query } of dueQueries(queries, last, lookedAt, clock.now())) await run(query);
      } finally {
        isRunning = false;
      }
    },
  };

  async function run(query: NamedQuery): Promise<void> {
    const at = clock.now();
    try {
      const answer = await runner.run(query, resolveParameters(query, {}, at));
      // Also where it has no threshold any more: what was beyond it is over.
      const { threshold } = query;
      outlet.beyond(query, threshold === undefined ? [] : beyondThreshold(threshold, answer), at);
      if (query.schedule?.report === true) await outlet.report?.(reportOf(query, answer));
      outlet.succeeded?.(query);
      await remember(query, { at, ok: true, problem: undefined });
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      outlet.failed(query, problem, at);
      await remember(query, { at, ok: false, problem });
    }
  }
}

function reportOf(query: NamedQuery, answer: QueryAnswer): Report {
  const { chart } = query;
  return {
    query: query.name,
    title: query.title,
    text: answerText(answer, REPORT_ROWS),
    svg: chart === undefined || chart.kind === "table" ? undefined : chartSvg(query.title, chart, answer),
  };
}
