/**
 * A named query: one `.sql` file with what it is about in comments on top and one body for each dialect.
 *
 *   -- title: Response times by minute
 *   -- parameters:
 *   --   from: { type: time, default: "-1h" }
 *   -- chart: { kind: line, x: minute, y: [p50, p95] }
 *   -- schedule: { cron: "0 9 * * 1-5", timeZone: Asia/Tokyo }
 *   -- threshold: { column: p95, above: 500 }
 *
 *   -- dialect: duckdb
 *   SELECT …
 *   -- dialect: bigquery
 *   SELECT …
 *
 * The head is YAML behind `--`, so the file stays SQL for every editor. Parameters are `$name` for DuckDB and `@name` for
 * BigQuery. A file without a dialect line is DuckDB's.
 */
import { nearest, SlipwayError } from "@slipway/base";
import { Cron } from "croner";
import { parse as parseYaml } from "yaml";
import * as z from "zod";

const DIALECTS = ["duckdb", "bigquery"] as const;
export type Dialect = (typeof DIALECTS)[number];

const parameterSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("time"), default: z.string().optional() }),
  z.strictObject({
    type: z.literal("text"),
    default: z.string().optional(),
    oneOf: z.array(z.string()).min(1).optional(),
  }),
  z.strictObject({
    type: z.literal("number"),
    default: z.number().optional(),
    min: z.number().optional(),
    max: z.number().optional(),
  }),
  z.strictObject({ type: z.literal("boolean"), default: z.boolean().optional() }),
]);

const chartSchema = z.union(
  [
    z.strictObject({ kind: z.literal("table") }),
    z.strictObject({
      kind: z.enum(["line", "bar"]),
      x: z.string(),
      y: z.array(z.string()).min(1).max(12),
      /** Column whose values each make a line of their own. */
      by: z.string().optional(),
    }),
  ],
  { error: "should be { kind: table } or { kind: line | bar, x, y: [column…] }" },
);

const headSchema = z.strictObject({
  title: z.string().min(1).max(120),
  about: z.string().optional(),
  parameters: z
    .record(z.string().regex(/^[a-z][a-z0-9_]*$/, "should be lower case"), parameterSchema)
    .default({}),
  chart: chartSchema.optional(),
  schedule: z
    .strictObject({
      cron: z.string(),
      timeZone: z.string().default("UTC"),
      /** Send the answer to Slack each time, as text and a picture. */
      report: z.boolean().default(false),
    })
    .optional(),
  threshold: z
    .union(
      [
        z.strictObject({ column: z.string(), above: z.number() }),
        z.strictObject({ column: z.string(), below: z.number() }),
        z.strictObject({ rows: z.int().min(0) }),
      ],
      { error: "should be { column, above }, { column, below } or { rows }" },
    )
    .optional(),
});

export type QueryParameter = z.output<typeof parameterSchema>;
export type Chart = z.output<typeof chartSchema>;
export type Threshold = NonNullable<z.output<typeof headSchema>["threshold"]>;

export interface NamedQuery {
  /** Of the file, without `.sql`. */
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly parameters: Readonly<Record<string, QueryParameter>>;
  readonly chart: Chart | undefined;
  readonly schedule:
    | { readonly cron: string; readonly timeZone: string; readonly report: boolean }
    | undefined;
  /** Each row beyond it is an alert. `rows: 0`: any row is. */
  readonly threshold: Threshold | undefined;
  readonly sql: Readonly<Partial<Record<Dialect, string>>>;
  /** Where it came from, for people. */
  readonly file: string;
}

/** `file` is for messages. Throws QUERY_FILE with the line. */
export function parseQueryFile(name: string, text: string, file: string): NamedQuery {
  const invalid = (message: string, line?: number): SlipwayError =>
    new SlipwayError({
      code: "QUERY_FILE",
      where: line === undefined ? file : `${file}:${line}`,
      message,
      hint: "docs/guide/queries.md shows a whole file.",
      exitCode: 2,
    });
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name))
    throw invalid("the file's name should be lower case letters, digits and dashes");
  const lines = text.split(/\r?\n/);
  const headLength = lines.findIndex((line) => !line.startsWith("--") || isDialectLine(line));
  const head = lines.slice(0, headLength < 0 ? lines.length : headLength);
  const parsed = headSchema.safeParse(readHead(head, invalid));
  if (!parsed.success) throw invalid(z.prettifyError(parsed.error));
  const sql = bodies(lines.slice(head.length), head.length, invalid);
  if (Object.keys(sql).length === 0) throw invalid("has no SQL");
  const { parameters, chart, schedule, threshold, title, about = "" } = parsed.data;
  for (const [dialect, body] of Object.entries(sql)) {
    const problem = parameterProblem(Object.keys(parameters), parameterNames(dialect as Dialect, body));
    if (problem !== undefined) throw invalid(`${dialect}: ${problem}`);
  }
  if (schedule !== undefined) {
    const missing = Object.keys(parameters).filter((key) => parameters[key]?.default === undefined);
    if (missing.length > 0)
      throw invalid(`schedule: parameters without a default cannot be filled in: ${missing.join(", ")}`);
    const problem = scheduleProblem(schedule.cron, schedule.timeZone);
    if (problem !== undefined) throw invalid(`schedule: ${problem}`);
  }
  return { name, title, about, parameters, chart, schedule, threshold, sql, file };
}

function readHead(
  head: readonly string[],
  invalid: (message: string, line?: number) => SlipwayError,
): unknown {
  const yaml = head.map((line) => line.slice(2).replace(/^ /, "")).join("\n");
  if (yaml.trim() === "") throw invalid("begins without a head: at least `-- title: …` is needed", 1);
  try {
    return parseYaml(yaml);
  } catch (error) {
    const line = (error as { linePos?: readonly { line: number }[] }).linePos?.[0]?.line;
    throw invalid(error instanceof Error ? (error.message.split("\n")[0] as string) : String(error), line);
  }
}

const DIALECT_LINE = /^--\s*dialect:\s*(\S+)\s*$/;

function isDialectLine(line: string): boolean {
  return DIALECT_LINE.test(line);
}

function bodies(
  lines: readonly string[],
  before: number,
  invalid: (message: string, line?: number) => SlipwayError,
): Partial<Record<Dialect, string>> {
  const found: Partial<Record<Dialect, string>> = {};
  let dialect: Dialect = "duckdb";
  let body: string[] = [];
  const keep = (): void => {
    const sql = body.join("\n").trim().replace(/;\s*$/, "");
    if (sql !== "") found[dialect] = sql;
    body = [];
  };
  for (const [index, line] of lines.entries()) {
    const named = DIALECT_LINE.exec(line)?.[1];
    if (named === undefined) {
      body.push(line);
      continue;
    }
    keep();
    const known = DIALECTS.find((one) => one === named);
    if (known === undefined)
      throw invalid(`no dialect "${named}"; there are ${DIALECTS.join(" and ")}`, before + index + 1);
    if (found[known] !== undefined) throw invalid(`the dialect ${known} is there twice`, before + index + 1);
    dialect = known;
  }
  keep();
  return found;
}

/** Strings, `$$strings$$` of DuckDB, quoted names and comments. */
const NO_CODE =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\$([A-Za-z_]*)\$[\s\S]*?\$\1\$|--.*$|\/\*[\s\S]*?\*\//gm;

/** Names of parameters in a text, outside of strings and comments. */
export function parameterNames(dialect: Dialect, sql: string): readonly string[] {
  const bare = sql.replaceAll(NO_CODE, " ");
  const pattern = dialect === "duckdb" ? /\$([a-z][a-z0-9_]*)/g : /@([a-z][a-z0-9_]*)/g;
  return [...new Set([...bare.matchAll(pattern)].map((match) => match[1] as string))];
}

function parameterProblem(declared: readonly string[], used: readonly string[]): string | undefined {
  const unknown = used.find((name) => !declared.includes(name));
  if (unknown === undefined) return undefined;
  const close = nearest(unknown, declared);
  return `uses the parameter "${unknown}", which the head does not declare${close === undefined ? "" : `; did you mean "${close}"?`}`;
}

/** Whether a schedule ever comes does not depend on the day that it is asked. */
const ANY_DAY = new Date(Date.UTC(2026, 0, 1));

function scheduleProblem(cron: string, timeZone: string): string | undefined {
  try {
    const next = new Cron(cron, { timezone: timeZone, paused: true, mode: "5-part" }).nextRun(ANY_DAY);
    return next === null ? `"${cron}" never comes` : undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
