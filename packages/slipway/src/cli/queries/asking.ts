/** Asks every place and prints what each answered. */
import { parseDuration, SlipwayError } from "@slipway/base";
import { answerCsv, answerText } from "../../observe/queries/answer-text.ts";
import { gigabytes } from "../../observe/queries/bigquery/bigquery.ts";
import type { NamedQuery } from "../../observe/queries/query-file.ts";
import { boundParameters, createQueryRunner, sqlFor } from "../../observe/queries/run.ts";
import type { QueryAnswer, QueryLimits, QueryParameters } from "../../observe/warehouse/warehouse.ts";
import { LONGEST_QUERY_MS } from "../../observer/answers.ts";
import { type CliContext, type CommandInput, isSet, listOption, textOption } from "../command.ts";
import type { NamedPlace } from "./place.ts";

/** `--param name=value`, several. */
export function givenParameters(input: CommandInput): Record<string, string> {
  return Object.fromEntries(
    listOption(input, "param").map((text) => {
      const at = text.indexOf("=");
      if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
      throw new SlipwayError({
        code: "USAGE_PARAM",
        where: `--param ${text}`,
        message: "should be name=value",
        exitCode: 2,
      });
    }),
  );
}

function limitsOf(context: CliContext, input: CommandInput, places: readonly NamedPlace[]): QueryLimits {
  const maxRows = Number(textOption(input, "rows"));
  if (!Number.isInteger(maxRows) || maxRows < 1 || maxRows > 100_000)
    throw new SlipwayError({
      code: "USAGE_ROWS",
      where: "--rows",
      message: "should be a whole number from 1 to 100000",
      exitCode: 2,
    });
  const timeoutMs = parseDuration(textOption(input, "timeout") ?? "30s", "--timeout");
  const isOurs = places.some(({ place }) => place.dialect === "duckdb");
  if (timeoutMs < 1 || (isOurs && timeoutMs > LONGEST_QUERY_MS))
    throw new SlipwayError({
      code: "USAGE_TIMEOUT",
      where: "--timeout",
      message: `should be at most ${LONGEST_QUERY_MS / 60_000}m, and more than nothing`,
      exitCode: 2,
    });
  return { maxRows, timeoutMs, signal: context.signal };
}

/** 0 when all answered; otherwise the first error, after what the others said. */
export async function ask(
  context: CliContext,
  input: CommandInput,
  places: readonly NamedPlace[],
  query: NamedQuery,
  parameters: QueryParameters,
): Promise<number> {
  const limits = limitsOf(context, input, places);
  if (isSet(input, "dryRun")) return sayCost(context, input, places, query, parameters);
  const asked = await Promise.allSettled(
    places.map(({ place }) => createQueryRunner(place).run(query, parameters, limits)),
  );
  let isFirst = true;
  for (const [index, result] of asked.entries()) {
    const name = places[index]?.name ?? "";
    if (result.status !== "fulfilled") continue;
    print(context, input, places.length > 1 ? name : undefined, result.value, isFirst);
    isFirst = false;
  }
  const failed = asked.find((result) => result.status === "rejected");
  if (failed !== undefined) throw asUsage(failed.reason);
  return 0;
}

/** What the text of a query did wrong is no fault of the world or collector that said so. */
function asUsage(error: unknown): unknown {
  if (!(error instanceof SlipwayError) || !WRONG_TEXT.has(error.code)) return error;
  return new SlipwayError({ ...error.toJSON(), cause: error, exitCode: 2 });
}

const WRONG_TEXT = new Set(["QUERY_SYNTAX", "QUERY_NOT_SELECT"]);

function print(
  context: CliContext,
  input: CommandInput,
  name: string | undefined,
  answer: QueryAnswer,
  isFirst: boolean,
): void {
  if (isSet(input, "json")) return context.write(`${JSON.stringify({ place: name, ...answer })}\n`);
  if (isSet(input, "csv")) {
    // One table for all places: another program reads it.
    const [head, ...rows] = answerCsv(name === undefined ? answer : withPlace(answer, name));
    if (isFirst) context.write(`${head}\r\n`);
    context.write(rows.map((row) => `${row}\r\n`).join(""));
    if (answer.isTruncated)
      context.writeError(
        `${name === undefined ? "" : `${name}: `}only ${answer.rows.length} rows; more with --rows\n`,
      );
    return;
  }
  if (name !== undefined) context.write(`${name}:\n`);
  context.write(`${answerText(answer)}\n`);
}

function withPlace(answer: QueryAnswer, name: string): QueryAnswer {
  const { columns, rows } = answer;
  return {
    ...answer,
    columns: [{ name: "place", type: "text" }, ...columns],
    rows: rows.map((row) => [name, ...row]),
  };
}

/** What would be asked, and what it would cost; nothing is run. */
async function sayCost(
  context: CliContext,
  input: CommandInput,
  places: readonly NamedPlace[],
  query: NamedQuery,
  parameters: QueryParameters,
): Promise<number> {
  for (const { name, place, cost } of places) {
    const sql = sqlFor(query, place.dialect);
    const bound = boundParameters(place.dialect, sql, parameters);
    const bytes = await cost?.(sql, bound);
    context.write(
      isSet(input, "json")
        ? `${JSON.stringify({ place: name, sql, parameters: bound, bytes })}\n`
        : `${name}: ${bytes === undefined ? "costs nothing" : `would read ${gigabytes(bytes)}`}\n${JSON.stringify(bound)}\n${sql}\n`,
    );
  }
  return 0;
}
