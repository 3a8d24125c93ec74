/**
 * Named queries on BigQuery. Every query is first tried as a dry run, which costs nothing and says how many bytes it would
 * read; it runs only below the limit, and with the limit as `maximumBytesBilled`, so that Google refuses it as well.
 */
import type { BigQuery, Query } from "@google-cloud/bigquery";
import { SlipwayError } from "@slipway/base";
import type { ObserveConfig } from "../../../config/observe.ts";
import type {
  CellValue,
  QueryAnswer,
  QueryColumn,
  QueryLimits,
  QueryParameters,
} from "../../warehouse/warehouse.ts";
import type { QueryPlace } from "../run.ts";
import { overSink } from "./views.ts";

type BigQueryConfig = NonNullable<ObserveConfig["bigquery"]>;

/** What of the library is used. */
export type BigQueryClient = Pick<BigQuery, "createQueryJob">;

export interface BigQueryPlace extends QueryPlace {
  /** Bytes that the query would read. */
  cost(sql: string, parameters: QueryParameters): Promise<number>;
}

const MAX_ROWS = 10_000;
const TIMEOUT_MS = 60_000;

export function createBigQueryPlace(
  config: BigQueryConfig,
  client: BigQueryClient,
  clock: { readonly monotonic: () => number },
): BigQueryPlace {
  const jobOf = (sql: string, parameters: QueryParameters): Query => ({
    query: overSink("bigquery", sql, config),
    useLegacySql: false,
    params: paramsOf(parameters),
    ...(config.location === undefined ? {} : { location: config.location }),
    labels: { tool: "slipway" },
  });
  const cost = async (sql: string, parameters: QueryParameters): Promise<number> => {
    const [job] = await client
      .createQueryJob({ ...jobOf(sql, parameters), dryRun: true })
      .catch((cause: unknown) => Promise.reject(asError(cause)));
    const statistics = (job.metadata as { statistics?: { totalBytesProcessed?: string } }).statistics;
    return Number(statistics?.totalBytesProcessed ?? Number.NaN);
  };
  return {
    dialect: "bigquery",
    committed: () => undefined,
    cost,
    async query(sql, parameters, limits: QueryLimits) {
      const began = clock.monotonic();
      const bytes = await cost(sql, parameters);
      // A dry run that does not say its bytes proves nothing; Google's own limit is then the only one.
      if (bytes > config.maxBytesBilled) throw tooExpensive(bytes, config.maxBytesBilled);
      const { maxRows = MAX_ROWS, timeoutMs = TIMEOUT_MS } = limits;
      try {
        const [job] = await client.createQueryJob({
          ...jobOf(sql, parameters),
          maximumBytesBilled: String(config.maxBytesBilled),
          jobTimeoutMs: timeoutMs,
        });
        const [rows, , answer] = await job.getQueryResults({
          maxResults: maxRows + 1,
          autoPaginate: false,
          timeoutMs,
        });
        const columns = columnsOf(answer);
        return {
          columns,
          rows: rows
            .slice(0, maxRows)
            .map((row) => columns.map(({ name }) => cellOf((row as Record<string, unknown>)[name]))),
          isTruncated: rows.length > maxRows || Number(answer?.totalRows ?? 0) > maxRows,
          elapsedMs: Math.round(clock.monotonic() - began),
          committed: 0,
        } satisfies QueryAnswer;
      } catch (cause) {
        throw asError(cause);
      }
    },
  };
}

/** Opened late: the library is large, and most commands never need it. Credentials are Google's own (ADC). */
export async function openBigQuery(config: BigQueryConfig): Promise<BigQueryClient> {
  const { BigQuery: Client } = await import("@google-cloud/bigquery");
  return new Client({
    projectId: config.project,
    ...(config.location === undefined ? {} : { location: config.location }),
  });
}

/** Times are ISO 8601 text here and TIMESTAMP there. */
function paramsOf(parameters: QueryParameters): Record<string, CellValue | Date> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [
      name,
      typeof value === "string" && ISO_TIME.test(value) ? new Date(value) : value,
    ]),
  );
}

const ISO_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

function columnsOf(
  answer: { schema?: { fields?: { name?: string; type?: string }[] } } | null | undefined,
): QueryColumn[] {
  return (answer?.schema?.fields ?? []).map(({ name = "", type = "" }) => ({ name, type: typeOf(type) }));
}

function typeOf(type: string): QueryColumn["type"] {
  if (["INTEGER", "INT64", "FLOAT", "FLOAT64", "NUMERIC", "BIGNUMERIC"].includes(type)) return "number";
  if (["TIMESTAMP", "DATETIME", "DATE"].includes(type)) return "time";
  return type === "BOOLEAN" || type === "BOOL" ? "boolean" : "text";
}

/** The library wraps times and large numbers in objects with `value`. */
function cellOf(value: unknown): CellValue {
  if (value === null || value === undefined) return null;
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "object" && "value" in value) {
    const text = String((value as { value: unknown }).value);
    const at = Date.parse(text);
    return /^\d{4}-\d{2}-\d{2}T/.test(text) && !Number.isNaN(at) ? new Date(at).toISOString() : text;
  }
  return JSON.stringify(value);
}

function tooExpensive(bytes: number, limit: number): SlipwayError {
  return new SlipwayError({
    code: "QUERY_COST",
    where: "observe/bigquery/maxBytesBilled",
    message: `the query would read ${gigabytes(bytes)}, the limit is ${gigabytes(limit)}`,
    hint: "Ask for a shorter time (--param from=-1h), or raise the limit.",
    exitCode: 2,
  });
}

export function gigabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

function asError(cause: unknown): SlipwayError {
  if (cause instanceof SlipwayError) return cause;
  const { code, message, errors } = cause as {
    code?: unknown;
    message?: string;
    errors?: { reason?: string }[];
  };
  const isOverLimit = errors?.[0]?.reason === "bytesBilledLimitExceeded";
  const isRefused = code === 401 || code === 403;
  // Without an HTTP status Google was never asked: no credentials, or no network.
  const wasAsked = typeof code === "number";
  return new SlipwayError({
    code: isOverLimit
      ? "QUERY_COST"
      : isRefused
        ? "BIGQUERY_AUTH"
        : wasAsked
          ? "QUERY_FAILED"
          : "BIGQUERY_UNREACHABLE",
    where: "observe/bigquery",
    message: message ?? String(cause),
    ...(isRefused || !wasAsked
      ? {
          hint: "Credentials are Google's own: `gcloud auth application-default login`, with the roles bigquery.jobUser and bigquery.dataViewer.",
        }
      : {}),
    exitCode: isRefused || !wasAsked ? 3 : 1,
    cause,
  });
}
