/**
 * Where the pages' numbers come from: the warehouse of this process, or those of several clusters behind their
 * collectors. Every question is made so that the rows of several warehouses put one below the other are the answer of all
 * of them: counts, not ratios; buckets, not percentiles.
 */
import { SlipwayError } from "@slipway/base";
import type {
  CellValue,
  QueryAnswer,
  QueryLimits,
  QueryParameters,
} from "../../observe/warehouse/warehouse.ts";
import type { LineFigures } from "../../server/api.ts";

export interface Rows {
  /** Of the cluster, or `world`. */
  readonly name: string;
  query(sql: string, parameters?: QueryParameters, limits?: QueryLimits): Promise<QueryAnswer>;
  lines(): Promise<LineFigures>;
}

/** The warehouses that answer at the moment, and why those of the other clusters do not; empty when all do. */
export interface RowsNow {
  readonly sources: readonly Rows[];
  readonly nothing: string;
}

/** One row as an object. */
export type Row = Readonly<Record<string, CellValue>>;

export interface Asked {
  readonly rows: readonly Row[];
  /** What could not be asked, a sentence for each; the rows are then those of the others. */
  readonly problems: readonly string[];
  readonly isTruncated: boolean;
}

/** Asks all of them. A warehouse that does not answer is a problem to be shown, and no reason to show nothing. */
export async function askAll(
  sources: readonly Rows[],
  sql: string,
  parameters: QueryParameters,
  limits: QueryLimits = {},
): Promise<Asked> {
  const answers = await Promise.all(
    sources.map(async (source): Promise<Asked> => {
      try {
        const { columns, rows, isTruncated } = await source.query(sql, parameters, limits);
        const names = columns.map(({ name }) => name);
        return {
          rows: rows.map((row) => Object.fromEntries(names.map((name, index) => [name, row[index] ?? null]))),
          problems: [],
          isTruncated,
        };
      } catch (error) {
        return { rows: [], problems: [`${source.name}: ${sentenceOf(error)}`], isTruncated: false };
      }
    }),
  );
  return {
    rows: answers.flatMap(({ rows }) => rows),
    problems: answers.flatMap(({ problems }) => problems),
    isTruncated: answers.some(({ isTruncated }) => isTruncated),
  };
}

/**
 * Of several warehouses the rows come one below the other, with a column that says whose each is: percentiles of
 * several cannot be made into one.
 */
export async function askEach(
  sources: readonly Rows[],
  sql: string,
  parameters: QueryParameters,
  limits: QueryLimits,
): Promise<QueryAnswer> {
  const answers = await Promise.all(sources.map((source) => source.query(sql, parameters, limits)));
  const [first] = answers;
  if (first === undefined)
    throw new SlipwayError({
      code: "OBSERVE_NOTHING",
      where: "warehouse",
      message: "no requests or logs are collected here",
    });
  if (answers.length === 1) return first;
  return {
    columns: [{ name: "warehouse", type: "text" }, ...first.columns],
    rows: answers.flatMap(({ rows }, index) => rows.map((row) => [sources[index]?.name ?? "", ...row])),
    isTruncated: answers.some(({ isTruncated }) => isTruncated),
    elapsedMs: Math.max(...answers.map(({ elapsedMs }) => elapsedMs)),
    committed: Math.max(...answers.map(({ committed }) => committed)),
  };
}

export async function linesOfAll(sources: readonly Rows[], nothing: string): Promise<LineFigures> {
  const all = await Promise.all(
    sources.map((source) =>
      source
        .lines()
        .catch((error: unknown) => ({ ...NO_LINES, problem: `${source.name}: ${sentenceOf(error)}` })),
    ),
  );
  return sources.length === 0 ? { ...NO_LINES, problem: nothing } : all.reduce(addLines);
}

const NO_LINES: LineFigures = {
  read: 0,
  requests: 0,
  logs: 0,
  quarantine: 0,
  gaps: 0,
  lagMs: 0,
  probes: 0,
  problem: undefined,
};

function addLines(a: LineFigures, b: LineFigures): LineFigures {
  const problems = [a.problem, b.problem].filter((one) => one !== undefined);
  return {
    read: a.read + b.read,
    requests: a.requests + b.requests,
    logs: a.logs + b.logs,
    quarantine: a.quarantine + b.quarantine,
    gaps: a.gaps + b.gaps,
    lagMs: Math.max(a.lagMs, b.lagMs),
    probes: a.probes + b.probes,
    problem: problems.length === 0 ? undefined : problems.join("; "),
  };
}

export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export const textOf = (value: CellValue | undefined): string =>
  value === null || value === undefined ? "" : String(value);

/** Whole numbers beyond 2^53 come as text. */
export const numberOf = (value: CellValue | undefined): number => Number(value ?? 0);
