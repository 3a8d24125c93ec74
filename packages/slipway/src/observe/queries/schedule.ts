/**
 * Which scheduled queries are due, and what their answers mean. Pure: `now` and what ran before are values. A run that
 * was missed (nothing ran at the time) is made up for once, not once for each time that was missed.
 */
import { Cron } from "croner";
import type { CellValue, QueryAnswer } from "../warehouse/warehouse.ts";
import type { NamedQuery, Threshold } from "./query-file.ts";

export interface ScheduledRun {
  readonly at: number;
  readonly ok: boolean;
  readonly problem: string | undefined;
  /** It has not run yet: this is when its schedule became known. */
  readonly isFirstSeen?: boolean;
}

export interface Due {
  readonly query: NamedQuery;
  /** The time that it was due, ms. */
  readonly at: number;
}

/** `last`: when each was last run, or its schedule became known; one that is not there counts from `since`. */
export function dueQueries(
  queries: readonly NamedQuery[],
  last: ReadonlyMap<string, number>,
  since: number,
  now: number,
): readonly Due[] {
  return queries.flatMap((query) => {
    const at = nextRun(query, last.get(query.name) ?? since);
    return at !== undefined && at <= now ? [{ query, at }] : [];
  });
}

/** When the next one is due, for whoever waits; undefined when none has a schedule. */
export function nextDue(
  queries: readonly NamedQuery[],
  last: ReadonlyMap<string, number>,
  since: number,
): number | undefined {
  const times = queries.flatMap((query) => nextRun(query, last.get(query.name) ?? since) ?? []);
  return times.length === 0 ? undefined : Math.min(...times);
}

function nextRun(query: NamedQuery, after: number): number | undefined {
  if (query.schedule === undefined) return undefined;
  const { cron, timeZone } = query.schedule;
  return new Cron(cron, { timezone: timeZone, paused: true, mode: "5-part" })
    .nextRun(new Date(after))
    ?.getTime();
}

export interface BeyondThreshold {
  /** What tells one row from another: its text columns; the same row keeps its key from run to run. */
  readonly key: string;
  readonly value: number | undefined;
  /** `checkout: p95 812, above 500`. */
  readonly text: string;
}

/** The rows that are beyond the threshold. A missing column is an error of the query, and thrown as text. */
export function beyondThreshold(threshold: Threshold, answer: QueryAnswer): readonly BeyondThreshold[] {
  if ("rows" in threshold) {
    if (answer.rows.length <= threshold.rows) return [];
    return answer.rows.map((row) => ({
      key: keyOf(answer, row),
      value: undefined,
      text: rowText(answer, row),
    }));
  }
  const index = answer.columns.findIndex(({ name }) => name === threshold.column);
  if (index < 0)
    throw new Error(
      `threshold: the answer has no column "${threshold.column}", only ${answer.columns.map(({ name }) => name).join(", ")}`,
    );
  return answer.rows.flatMap((row) => {
    const value = Number(row[index] ?? Number.NaN);
    const isBeyond = "above" in threshold ? value > threshold.above : value < threshold.below;
    if (!isBeyond) return [];
    const bound = "above" in threshold ? `above ${threshold.above}` : `below ${threshold.below}`;
    const key = keyOf(answer, row);
    const said = `${threshold.column} ${Number(value.toPrecision(6))}, ${bound}`;
    return [{ key, value, text: key === "" ? said : `${key}: ${said}` }];
  });
}

function keyOf(answer: QueryAnswer, row: readonly CellValue[]): string {
  return row.filter((_, index) => answer.columns[index]?.type === "text").join(" ");
}

function rowText(answer: QueryAnswer, row: readonly CellValue[]): string {
  return answer.columns.map(({ name }, index) => `${name} ${row[index] ?? "–"}`).join(", ");
}
