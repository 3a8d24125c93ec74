/** What pages ask of the warehouses: series, two releases, lines, and SQL. When none of them answers, that is the answer. */
import { type Clock, SlipwayError } from "@slipway/base";
import { VIEWS } from "../../observe/warehouse/duckdb/schema.ts";
import type { QueryLimits } from "../../observe/warehouse/warehouse.ts";
import type {
  CompareAnswer,
  LogsAnswer,
  QueriesAnswer,
  QueryAnswerView,
  SeriesAnswer,
} from "../../server/api.ts";
import { compareAnswer } from "./answers/compare.ts";
import { countsByRelease, countsByRoute, countsByTime } from "./answers/figures.ts";
import { findLogs, logsWish, newestLines } from "./answers/logs.ts";
import { summariesOf } from "./answers/releases.ts";
import { seriesAnswer, seriesWish } from "./answers/series.ts";
import { createTail } from "./answers/tail.ts";
import { parseBody, runQuery } from "./bodies.ts";
import { type Call, missing, releaseNumber } from "./http/route.ts";
import type { Stream } from "./http/streams.ts";
import type { QueriesPort } from "./ports.ts";
import type { Records } from "./records.ts";
import { askEach, type Rows, type RowsNow } from "./rows.ts";

export interface Questions {
  series(call: Call): Promise<SeriesAnswer>;
  compare(call: Call): Promise<CompareAnswer>;
  logs(call: Call): Promise<LogsAnswer>;
  /** Sends new lines until one side ends; rejects when they cannot be asked for. */
  tail(call: Call, stream: Stream): Promise<void>;
  queries(): Promise<QueriesAnswer>;
  run(call: Call): Promise<QueryAnswerView>;
}

const TAIL_EVERY_MS = 1000;
const TAIL_LINES = 500;

export function createQuestions(options: {
  readonly rows: () => RowsNow;
  readonly records: Pick<Records, "current">;
  readonly named: QueriesPort | undefined;
  readonly clock: Clock;
  /** Ends every tail. */
  readonly closing: AbortSignal;
}): Questions {
  const { records, named, clock } = options;
  const some = (): readonly Rows[] => {
    const { sources, nothing } = options.rows();
    if (sources.length > 0) return sources;
    throw nothingObserved(nothing);
  };

  return {
    async series({ query, signal }) {
      const wish = seriesWish(query, clock.now());
      const { sources } = options.rows();
      const [{ counts, problems }, known] = await Promise.all([
        countsByTime(sources, wish, limitsOf(signal)),
        records.current(),
      ]);
      refuseNothing(sources, problems);
      return seriesAnswer(wish, counts, summariesOf(known));
    },
    async compare({ query, signal }) {
      const wish = { a: releaseNumber("a", query.get("a")), b: releaseNumber("b", query.get("b")) };
      const asked = { service: query.get("service") ?? "", releases: [wish.a, wish.b] as const };
      const sources = some();
      const [counted, routed] = await Promise.all([
        countsByRelease(sources, asked, limitsOf(signal)),
        countsByRoute(sources, asked, limitsOf(signal)),
      ]);
      refuseNothing(sources, [...new Set([...counted.problems, ...routed.problems])]);
      return compareAnswer(wish, counted.counts, routed.counts);
    },
    async logs({ query, signal }) {
      const wish = logsWish(query, clock.now());
      const sources = some();
      const { problems, ...answer } = await findLogs(sources, wish, limitsOf(signal));
      refuseNothing(sources, problems);
      return answer;
    },
    async tail({ query, signal }, stream) {
      const lines = createTail(clock.now());
      const wish = new URLSearchParams(query);
      wish.set("limit", String(TAIL_LINES));
      wish.delete("to");
      const ending = AbortSignal.any([signal, stream.closed, options.closing]);
      try {
        while (!ending.aborted) {
          const now = clock.now();
          wish.set("from", String(Math.floor(lines.fromMs(now))));
          const { sources } = options.rows();
          const found = await newestLines(sources, logsWish(wish, now), limitsOf(ending, 5000));
          for (const entry of lines.take(found.entries)) if (!stream.send(entry)) return;
          await clock.sleep(TAIL_EVERY_MS, ending).catch(() => undefined);
        }
      } catch (error) {
        if (!ending.aborted) throw error;
      } finally {
        stream.close();
      }
    },
    async queries() {
      const listed = (await named?.list()) ?? { queries: [], dashboards: [], problems: [] };
      return { ...listed, tables: await tablesOf(options.rows().sources) };
    },
    async run({ body, signal }) {
      const wish = parseBody(runQuery, body);
      const limits = limitsOf(signal, 30_000);
      if (!("name" in wish)) return askEach(some(), wish.sql, {}, limits);
      if (named === undefined) throw missing("queries", "there are no named queries here");
      return named.run(wish, limits);
    },
  };
}

function limitsOf(signal: AbortSignal, timeoutMs = 15_000): QueryLimits {
  return { signal, timeoutMs };
}

/** When none of them answered, an empty chart would be a lie. */
function refuseNothing(sources: readonly Rows[], problems: readonly string[]): void {
  if (sources.length > 0 && problems.length >= sources.length) throw nothingObserved(problems.join("; "));
}

function nothingObserved(message: string): SlipwayError {
  return new SlipwayError({ code: "OBSERVE_NOTHING", where: "warehouse", message });
}

/** What a query may name, for completion: the catalogue itself is not for queries, but each table tells its columns. */
async function tablesOf(sources: readonly Rows[]): Promise<QueriesAnswer["tables"]> {
  const tables = await Promise.all(
    VIEWS.map(async (name) => {
      const answer = await sources[0]
        ?.query(`SELECT * FROM ${name} LIMIT 0`, {}, { timeoutMs: 2000 })
        .catch(() => undefined);
      return { name, columns: (answer?.columns ?? []).map((column) => column.name) };
    }),
  );
  return tables.filter(({ columns }) => columns.length > 0);
}
