/**
 * Runs people's SELECTs beside the ingest: a connection of its own for each, a read-only transaction, at most so many
 * rows, and an interrupt when the time is up or nobody waits any more.
 */
import type { DuckDBPreparedStatement } from "@duckdb/node-api";
import { type Clock, SlipwayError } from "@slipway/base";
import type { CellValue, QueryAnswer, QueryLimits, QueryParameters } from "../warehouse.ts";
import { cellOf, columnType } from "./cells.ts";
import { type Connection, connect, type Database, rowsOf } from "./connection.ts";
import { checkStatement, syntaxError } from "./guard.ts";
import { Slots } from "./slots.ts";

const MAX_ROWS = 10_000;
const TIMEOUT_MS = 30_000;
const MAX_CHECKED = 500;
/** DuckDB counts most of its memory against its limit, but not text and lists while they are computed. */
const MAX_GROWTH_BYTES = 1_000_000_000;
/** What heeds no interrupt (planning, one step of an expression) may grow so far, or go on so long, before it is given up. */
const RUNAWAY_BYTES = 3_000_000_000;
const RUNAWAY_MS = 60_000;
const WATCH_MS = 50;

export interface QueryRunner {
  run(sql: string, parameters: QueryParameters, limits: QueryLimits): Promise<QueryAnswer>;
  /** Ends what runs and lets nothing begin until the work is done: it needs the memory, or the instance is exchanged. */
  without<T>(work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

interface Running {
  /** Undefined until it is connected. */
  connection: Connection | undefined;
  /** Why it was interrupted. */
  stopped: "timeout" | "abort" | "memory" | undefined;
  stoppedAt: number;
  readonly ended: PromiseWithResolvers<void>;
}

export function createQueryRunner(options: {
  database(): Database;
  readonly clock: Clock;
  /** Statements at one time. Each takes a thread of Node's pool, which commits need too. */
  readonly atOnce: number;
  /** A query was interrupted and does not end, nor can it be made to: only the end of the process frees what it holds. */
  readonly onRunaway: (why: string) => void;
  /** Of this process. */
  readonly residentBytes?: () => number;
}): QueryRunner {
  const { clock, residentBytes = () => process.memoryUsage.rss() } = options;
  const slots = new Slots(options.atOnce);
  const idle: Connection[] = [];
  const running = new Set<Running>();
  const checked = new Set<string>();
  let isPaused: Promise<unknown> | undefined;
  let isClosing = false;
  let watching = new AbortController();

  /**
   * While anything runs. A query whose memory nobody counts is ended before the machine is full. One that is to end is
   * interrupted again at each look: an interrupt between two of its statements, or before the first, is lost.
   */
  const watch = async (isOver: AbortSignal): Promise<void> => {
    const before = residentBytes();
    let isTold = false;
    for (;;) {
      await clock.sleep(WATCH_MS, isOver).catch(() => undefined);
      if (isOver.aborted) return;
      const grown = residentBytes() - before;
      if (grown > MAX_GROWTH_BYTES) interruptAll();
      for (const { stopped, connection } of running) if (stopped) connection?.sql.interrupt();
      const now = clock.monotonic();
      const stuck = [...running].find(({ stopped, stoppedAt }) => stopped && now - stoppedAt > RUNAWAY_MS);
      if (isTold || (grown <= RUNAWAY_BYTES && stuck === undefined)) continue;
      isTold = true;
      options.onRunaway(
        `a query does not heed that it was interrupted, and has ${stuck ? "gone on for another minute" : `taken ${Math.round(grown / 1e6)} MB`}`,
      );
    }
  };
  const stop = (one: Running, why: NonNullable<Running["stopped"]>): void => {
    if (one.stopped === undefined) one.stoppedAt = clock.monotonic();
    one.stopped ??= why;
    one.connection?.sql.interrupt();
  };
  const interruptAll = (): void => {
    for (const one of running) stop(one, "memory");
  };

  const check = async (connection: Connection, sql: string): Promise<void> => {
    if (checked.has(sql)) return;
    const statement = await connection.sql.prepare("SELECT json_serialize_sql($1::VARCHAR)");
    statement.bindVarchar(1, sql);
    const answer = await statement.runAndReadAll();
    statement.destroySync();
    checkStatement(String(answer.getRows()[0]?.[0]));
    if (checked.size >= MAX_CHECKED) checked.clear();
    checked.add(sql);
  };

  return {
    run: (sql, parameters, limits) =>
      slots.take(async () => {
        while (isPaused !== undefined) await isPaused;
        if (isClosing) throw givenUp();
        const ended = Promise.withResolvers<void>();
        const one: Running = { connection: undefined, stopped: undefined, stoppedAt: 0, ended };
        const done = new AbortController();
        const timeoutMs = limits.timeoutMs ?? TIMEOUT_MS;
        const onAbort = (): void => stop(one, "abort");
        running.add(one);
        if (running.size === 1) {
          watching = new AbortController();
          void watch(watching.signal);
        }
        const started = clock.monotonic();
        try {
          if (limits.signal?.aborted === true) throw givenUp(limits.signal.reason);
          limits.signal?.addEventListener("abort", onAbort, { once: true });
          clock.sleep(timeoutMs, done.signal).then(
            () => stop(one, "timeout"),
            () => undefined,
          );
          const connection = idle.pop() ?? (await connect(options.database()));
          one.connection = connection;
          if (one.stopped !== undefined) throw new Error("stopped before it had begun");
          await check(connection, sql);
          const answer = await answerOf(connection, sql, parameters, limits.maxRows ?? MAX_ROWS);
          return { ...answer, elapsedMs: Math.round(clock.monotonic() - started) };
        } catch (error) {
          throw queryError(error, one.stopped, timeoutMs);
        } finally {
          done.abort();
          limits.signal?.removeEventListener("abort", onAbort);
          running.delete(one);
          if (running.size === 0) watching.abort();
          // An interrupt may have met its ROLLBACK.
          if (one.stopped !== undefined) one.connection?.sql.disconnectSync();
          else if (one.connection !== undefined) idle.push(one.connection);
          one.ended.resolve();
        }
      }),
    async without(work) {
      while (isPaused !== undefined) await isPaused;
      const paused = Promise.withResolvers<void>();
      isPaused = paused.promise;
      try {
        interruptAll();
        await Promise.all([...running].map(({ ended }) => ended.promise));
        for (const connection of idle.splice(0)) connection.sql.disconnectSync();
        return await work();
      } finally {
        isPaused = undefined;
        paused.resolve();
      }
    },
    async close() {
      isClosing = true;
      for (const one of running) stop(one, "abort");
      await slots.idle();
      for (const connection of idle.splice(0)) connection.sql.disconnectSync();
    },
  };
}

async function answerOf(
  connection: Connection,
  sql: string,
  parameters: QueryParameters,
  maxRows: number,
): Promise<Omit<QueryAnswer, "elapsedMs">> {
  await connection.sql.run("BEGIN TRANSACTION READ ONLY");
  try {
    const [commit] = await rowsOf(connection, "SELECT value FROM meta WHERE key = 'committed'");
    const extracted = await connection.sql.extractStatements(sql);
    if (extracted.count !== 1) throw syntaxError("one statement at a time");
    const statement = await extracted.prepare(0);
    try {
      bind(statement, parameters);
      const result = await statement.stream();
      const columns = result
        .columnNames()
        .map((name, index) => ({ name, type: columnType(result.columnType(index)) }));
      const rows: CellValue[][] = [];
      while (rows.length <= maxRows) {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) break;
        for (const row of chunk.getRows()) rows.push(row.map(cellOf));
      }
      const isTruncated = rows.length > maxRows;
      return {
        columns,
        rows: isTruncated ? rows.slice(0, maxRows) : rows,
        isTruncated,
        committed: Number(commit?.["value"]),
      };
    } finally {
      statement.destroySync();
    }
  } finally {
    await connection.sql.run("ROLLBACK").catch(() => undefined);
  }
}

function bind(statement: DuckDBPreparedStatement, parameters: QueryParameters): void {
  for (let index = 1; index <= statement.parameterCount; index += 1) {
    const name = statement.parameterName(index);
    if (!Object.hasOwn(parameters, name)) {
      throw new SlipwayError({
        code: "QUERY_FAILED",
        where: `$${name}`,
        message: "the query has this parameter, and no value came for it",
      });
    }
    const value = parameters[name] as CellValue;
    if (value === null) statement.bindNull(index);
    else if (typeof value === "string") statement.bindVarchar(index, value);
    else if (typeof value === "boolean") statement.bindBoolean(index, value);
    else if (Number.isSafeInteger(value)) statement.bindBigInt(index, BigInt(value));
    else statement.bindDouble(index, value);
  }
}

function givenUp(cause?: unknown): SlipwayError {
  return new SlipwayError({ code: "QUERY_FAILED", where: "query", message: "was given up", cause });
}

function queryError(error: unknown, stopped: Running["stopped"], timeoutMs: number): unknown {
  if (error instanceof SlipwayError) return error;
  if (stopped === "abort") return givenUp(error);
  if (stopped === "timeout") {
    return new SlipwayError({
      code: "QUERY_TIMEOUT",
      where: "query",
      message: `took longer than ${timeoutMs / 1000} s`,
      hint: "Ask for less: a range of ts, fewer groups, or the view `rollup`.",
      cause: error,
    });
  }
  // DuckDB gives no codes, only the class of the error as the first words of its message.
  const text = error instanceof Error ? error.message : String(error);
  if (stopped === "memory" || text.startsWith("Out of Memory Error")) {
    return new SlipwayError({
      code: "QUERY_MEMORY",
      where: "query",
      message: "needs more memory than queries may have",
      hint: "Ask for less: a range of ts, fewer groups, or the view `rollup`.",
      cause: error,
    });
  }
  const first = text.split("\n\n")[0] ?? text;
  if (/^(?:Parser|Binder|Catalog) Error: /.test(text)) return syntaxError(first.replace(/^\w+ Error: /, ""));
  return new SlipwayError({ code: "QUERY_FAILED", where: "query", message: first, cause: error });
}
