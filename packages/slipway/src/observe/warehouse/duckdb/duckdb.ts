/** The Warehouse port on DuckDB: what is asked of it, one change after the other. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Dictionaries } from "../../access/batch.ts";
import type { SourceLabels } from "../../access/source.ts";
import type {
  Commit,
  HeardStream,
  QueryAnswer,
  QueryLimits,
  QueryParameters,
  ReleaseRow,
  Warehouse,
  WarehouseFigures,
} from "../warehouse.ts";
import { type Backfill, openBackfill } from "./backfill.ts";
import { inTransaction, writeCommit } from "./commit.ts";
import { compactRollup, mergeRollup } from "./compact.ts";
import { closeDatabase, connect, rowsOf } from "./connection.ts";
import { loadCounts } from "./load.ts";
import type { Unlock } from "./lock.ts";
import type { QueryRunner } from "./query.ts";
import { type Relabel, relabel } from "./relabel.ts";
import { SEALED_KINDS } from "./schema.ts";
import { Slots } from "./slots.ts";
import { freeBytes, fullError, isFullError, isInvalidated, isOutOfMemory, neededBytes } from "./space.ts";
import type { State } from "./state.ts";
import { forgetStreams, heardStreams } from "./streams.ts";
import { DAY_MS, filesToDrop, type HotDay, type Keep, sealsDue } from "./tidy.ts";

/** The rollup's new rows are made one for each key when they are so many, so that panels stay fast. */
const MANY_ROLLUP_ROWS = 50_000;

export interface DuckOptions {
  readonly folder: string | undefined;
  readonly unlock: Unlock;
  readonly queries: QueryRunner;
  readonly reserveBytes: number;
  readonly keep: Keep;
  /** A new instance in place of the one that DuckDB gave up. */
  readonly reopen: () => Promise<void>;
}

export class DuckWarehouse implements Warehouse {
  readonly dictionaries: Dictionaries;
  readonly #state: State;
  readonly #options: DuckOptions;
  /** Changes run one after the other: there is one connection that writes. */
  readonly #turn = new Slots(1);
  readonly #tidying = new Slots(1);
  readonly #backfilling = new Slots(1);
  readonly #listeners: ((committed: number) => void)[] = [];
  #problem: string | undefined;
  #isLost = false;

  constructor(state: State, options: DuckOptions) {
    this.dictionaries = state.dictionaries;
    this.#state = state;
    this.#options = options;
    state.exchange = () => this.#exchange();
  }

  sourceOf(labels: SourceLabels): number {
    return this.#state.sources.idOf(labels);
  }

  offsetOf(stream: string): number {
    return this.#state.offsets.get(stream) ?? 0;
  }

  streams(): Promise<readonly HeardStream[]> {
    return this.#aside((connection) => heardStreams(connection));
  }

  forgetStreams(streams: readonly string[], before: number): Promise<void> {
    return this.#change(0, () => forgetStreams(this.#state, streams, before));
  }

  commit(commit: Commit): Promise<void> {
    return this.#change(neededBytes(commit), () => writeCommit(this.#state, commit));
  }

  relabel(changes: readonly Relabel[]): Promise<void> {
    return this.#change(0, () => relabel(this.#state, changes));
  }

  recordReleases(releases: readonly ReleaseRow[]): Promise<void> {
    const write = async (): Promise<void> => {
      for (const { number, commit, kind, outcome, startedAt, finishedAt } of releases) {
        await this.#state.writer.sql.run(
          `INSERT OR REPLACE INTO released
           VALUES ($1, $2, $3, $4, make_timestamp_ms($5::BIGINT), make_timestamp_ms($6::BIGINT))`,
          [
            number,
            commit,
            kind,
            outcome,
            BigInt(startedAt),
            finishedAt === undefined ? null : BigInt(finishedAt),
          ],
        );
      }
    };
    return this.#change(0, () => inTransaction(this.#state, write));
  }

  /** Many lines that are there already, faster than by commits; one backfill waits for the other. */
  async backfill(): Promise<Backfill> {
    const opened = Promise.withResolvers<Backfill>();
    const ended = Promise.withResolvers<void>();
    const run = async (): Promise<void> => {
      const backfill = await openBackfill(this.#state, (bytes, work) => this.#change(bytes, work));
      opened.resolve({ ...backfill, end: () => backfill.end().finally(ended.resolve) });
      await ended.promise;
    };
    this.#backfilling.take(run).catch(opened.reject);
    return opened.promise;
  }

  query(sql: string, parameters: QueryParameters = {}, limits: QueryLimits = {}): Promise<QueryAnswer> {
    return this.#options.queries.run(sql, parameters, limits);
  }

  figures(): WarehouseFigures {
    return { ...this.#state.counts, bytes: this.#bytes(), problem: this.#problem };
  }

  onCommit(listener: (committed: number) => void): void {
    this.#listeners.push(listener);
  }

  tidy(now: number): Promise<void> {
    return this.#tidying.take(async () => {
      await this.#turn.take(() => compactRollup(this.#state));
      if (this.#state.sealed.folder === undefined) return;
      await this.#seal(now);
      await this.#drop(now);
    });
  }

  async close(): Promise<void> {
    await this.#tidying.idle();
    await this.#turn.idle();
    await this.#options.queries.close();
    if (!this.#isLost) this.#closeInstance();
    await this.#options.unlock();
  }

  /** One change, with the instance opened anew, or queries stopped, where that is what it takes. */
  #change(bytes: number, work: () => Promise<void>): Promise<void> {
    return this.#turn.take(async () => {
      this.#requireRoom(bytes);
      try {
        await this.#withInstance(work);
      } catch (error) {
        throw this.#told(error);
      }
      this.#problem = undefined;
      // What was asked for is stored; without memory for this, it is tried again after the next change.
      if (this.#state.rollupRows >= MANY_ROLLUP_ROWS) await compactRollup(this.#state).catch(() => undefined);
      for (const listener of this.#listeners) listener(this.#state.counts.committed);
    });
  }

  async #withInstance(work: () => Promise<void>): Promise<void> {
    if (this.#isLost) await this.#exchange();
    try {
      await work();
    } catch (error) {
      // The instance is a new one by now, see `inTransaction`.
      const isWorthAnother = isOutOfMemory(error) || isInvalidated(error);
      if (!isWorthAnother || isFullError(error)) throw error;
      // What comes in goes before what people ask: they lose their query, not a line.
      await this.#options.queries.without(work);
    }
  }

  async #exchange(): Promise<void> {
    const { queries, reopen } = this.#options;
    await queries.without(async () => {
      if (!this.#isLost) this.#closeInstance();
      this.#isLost = true;
      await reopen();
      this.#isLost = false;
    });
  }

  #closeInstance(): void {
    this.#state.writer.sql.disconnectSync();
    closeDatabase(this.#state.database);
  }

  #requireRoom(bytes: number): void {
    const { folder, reserveBytes } = this.#options;
    if (folder === undefined || freeBytes(folder) >= reserveBytes + bytes) return;
    throw this.#told(fullError(folder));
  }

  #told(error: unknown): unknown {
    const { folder } = this.#options;
    const told = folder !== undefined && isFullError(error) ? fullError(folder, error) : error;
    this.#problem = told instanceof Error ? told.message : String(told);
    return told;
  }

  async #seal(now: number): Promise<void> {
    const { sealed } = this.#state;
    for (const { kind, day, from, to } of sealsDue(
      await this.#hotDays(),
      sealed.files,
      this.#options.keep,
      now,
    )) {
      const where = `ts < make_timestamp_ms(${to})${from === undefined ? "" : ` AND ts >= make_timestamp_ms(${from})`}`;
      // Beside the commits: a day takes seconds.
      await this.#aside((connection) => sealed.seal(connection, kind, day, where, now));
      if (kind === "access") await this.#turn.take(() => mergeRollup(this.#state, from ?? to - DAY_MS, to));
    }
  }

  async #hotDays(): Promise<HotDay[]> {
    return this.#aside(async (connection) => {
      const found = await rowsOf(
        connection,
        SEALED_KINDS.map(
          (kind) =>
            `SELECT '${kind}' AS kind, date_trunc('day', ts)::TIMESTAMP AS "from", count(*) AS rows FROM hot_${kind} GROUP BY ALL`,
        ).join(" UNION ALL "),
      );
      return found as unknown as HotDay[];
    });
  }

  async #drop(now: number): Promise<void> {
    const { sealed } = this.#state;
    const sealedBytes = sealed.files.reduce((sum, { bytes }) => sum + bytes, 0);
    const dropped = filesToDrop(sealed.files, this.#bytes() - sealedBytes, this.#options.keep, now);
    if (dropped.length === 0) return;
    await this.#aside((connection) => sealed.drop(connection, dropped));
    await this.#turn.take(async () => {
      const { counts, writer } = this.#state;
      Object.assign(counts, await loadCounts(writer));
      if (counts.oldestMs === undefined) return;
      const minute = `make_timestamp_ms(${Math.floor(counts.oldestMs / 60_000) * 60_000})`;
      await writer.sql.run(`DELETE FROM rollup_minutes WHERE minute < ${minute}`);
      await writer.sql.run(`DELETE FROM hot_gaps WHERE ts < ${minute}`);
    });
  }

  async #aside<T>(work: (connection: Awaited<ReturnType<typeof connect>>) => Promise<T>): Promise<T> {
    const connection = await connect(this.#state.database);
    try {
      return await work(connection);
    } finally {
      connection.sql.disconnectSync();
    }
  }

  #bytes(): number {
    const { folder } = this.#options;
    if (folder === undefined) return 0;
    const file = join(folder, "warehouse.duckdb");
    const sizes = [file, `${file}.wal`].map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0);
    return [...sizes, ...this.#state.sealed.files.map(({ bytes }) => bytes)].reduce(
      (sum, size) => sum + size,
      0,
    );
  }
}
