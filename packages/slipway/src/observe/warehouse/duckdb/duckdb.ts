/** The Warehouse port on DuckDB: what is asked of it, one change after the other. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Dictionaries } from "../../access/batch.ts";
import type { SourceLabels } from "../../access/source.ts";
import type {
  Commit,
  QueryAnswer,
  QueryLimits,
  QueryParameters,
  ReleaseRow,
  Warehouse,
  WarehouseFigures,
} from "../warehouse.ts";
import { inTransaction, writeCommit } from "./commit.ts";
import { closeDatabase } from "./connection.ts";
import type { Unlock } from "./lock.ts";
import type { QueryRunner } from "./query.ts";
import { type Relabel, relabel } from "./relabel.ts";
import { Slots } from "./slots.ts";
import type { State } from "./state.ts";

export class DuckWarehouse implements Warehouse {
  readonly dictionaries: Dictionaries;
  readonly #state: State;
  readonly #queries: QueryRunner;
  readonly #folder: string | undefined;
  readonly #unlock: Unlock;
  /** Changes run one after the other: there is one connection that writes. */
  readonly #turn = new Slots(1);
  readonly #listeners: ((committed: number) => void)[] = [];
  #problem: string | undefined;

  constructor(state: State, queries: QueryRunner, folder: string | undefined, unlock: Unlock) {
    this.dictionaries = state.dictionaries;
    this.#state = state;
    this.#queries = queries;
    this.#folder = folder;
    this.#unlock = unlock;
  }

  sourceOf(labels: SourceLabels): number {
    return this.#state.sources.idOf(labels);
  }

  offsetOf(stream: string): number {
    return this.#state.offsets.get(stream) ?? 0;
  }

  commit(commit: Commit): Promise<void> {
    return this.#change(() => writeCommit(this.#state, commit));
  }

  relabel(changes: readonly Relabel[]): Promise<void> {
    return this.#change(() => relabel(this.#state, changes));
  }

  recordReleases(releases: readonly ReleaseRow[]): Promise<void> {
    return this.#change(() =>
      inTransaction(this.#state, async () => {
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
      }),
    );
  }

  query(sql: string, parameters: QueryParameters = {}, limits: QueryLimits = {}): Promise<QueryAnswer> {
    return this.#queries.run(sql, parameters, limits);
  }

  figures(): WarehouseFigures {
    return { ...this.#state.counts, bytes: this.#bytes(), problem: this.#problem };
  }

  onCommit(listener: (committed: number) => void): void {
    this.#listeners.push(listener);
  }

  async tidy(_now: number): Promise<void> {}

  async close(): Promise<void> {
    await this.#turn.idle();
    await this.#queries.close();
    this.#state.writer.sql.disconnectSync();
    closeDatabase(this.#state.database);
    await this.#unlock();
  }

  #change(work: () => Promise<void>): Promise<void> {
    return this.#turn.take(async () => {
      await work();
      for (const listener of this.#listeners) listener(this.#state.counts.committed);
    });
  }

  #bytes(): number {
    if (this.#folder === undefined) return 0;
    const file = join(this.#folder, "warehouse.duckdb");
    return [file, `${file}.wal`].reduce(
      (sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
  }
}
