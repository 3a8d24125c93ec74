/**
 * Many lines that are there already: requests go into a table in memory, and while the next half a million is parsed
 * and laid out on this thread, DuckDB compresses and writes the last on its own. Two tables in turn. Rows and position
 * of a part are one transaction, so a process that is killed goes on after the last part.
 */
import type { AccessBatch, LogLine, QuarantinedLine } from "../../access/batch.ts";
import type { StreamOffset } from "../warehouse.ts";
import type { OpenAppend } from "./append.ts";
import {
  countRequests,
  inTransaction,
  type RequestCounts,
  saveNames,
  saveOffsets,
  seeTime,
} from "./commit.ts";
import { connect } from "./connection.ts";
import { STAGE } from "./instance.ts";
import { Rollup } from "./rollup.ts";
import type { State } from "./state.ts";
import { accessRows, logRows, quarantineRows } from "./tables.ts";

/** More than four row groups of DuckDB: parts just above one (122,880) are stored at twice the size. */
export const PART_ROWS = 500_000;
/** On disk, with what a checkpoint needs besides. */
const ROW_BYTES = 100;

export interface BackfillPart {
  readonly logs: readonly LogLine[];
  readonly quarantine: readonly QuarantinedLine[];
  readonly offsets: readonly StreamOffset[];
}

export interface Backfill {
  /** Rows since the last part. */
  rows(): number;
  /** Takes the rows of the batch, which may be used again. */
  add(batch: AccessBatch): void;
  /** Begins to store what was added; resolves when the part before is stored. Rejects when that failed. */
  store(part: BackfillPart): Promise<void>;
  /** Resolves when all parts are stored; rejects when one could not be. */
  settle(): Promise<void>;
  end(): Promise<void>;
}

export async function openBackfill(
  state: State,
  change: (bytes: number, work: () => Promise<void>) => Promise<void>,
): Promise<Backfill> {
  const stager = await connect(state.database);
  const newTable = (name: string): Promise<unknown> =>
    stager.sql.run(`CREATE OR REPLACE TABLE ${STAGE}.${name} AS FROM hot_access LIMIT 0`);
  /** A transaction for each part: of one for each batch DuckDB would copy the rows once more when it commits. */
  const begin = async (name: string): Promise<OpenAppend> => {
    await newTable(name);
    await stager.sql.run("BEGIN");
    return state.appender.open(stager, { catalog: STAGE, table: name });
  };
  let table = "a";
  let stage: OpenAppend | undefined = await begin(table);
  let rows = 0;
  let storing: Promise<void> = Promise.resolve();
  let counts: RequestCounts = { access: 0, oldestMs: undefined, newestMs: undefined };
  const rollup = new Rollup({
    seriesOf: (source) => state.sources.seriesOf(source),
    isProbe: state.probes.has,
  });

  const write = async (
    from: string,
    part: BackfillPart,
    added: ReturnType<Rollup["take"]>,
  ): Promise<void> => {
    await inTransaction(state, async (saved) => {
      saveNames(state, saved);
      for (const one of [logRows(part.logs), quarantineRows(part.quarantine), added]) {
        state.appender.append(state.writer, one);
      }
      await saveOffsets(state, part.offsets);
      await state.writer.sql.run(`INSERT INTO hot_access FROM ${STAGE}.${from}`);
    });
    for (const { stream, position } of part.offsets) state.offsets.set(stream, position);
    state.rollupRows += added.length;
  };

  return {
    rows: () => rows,
    add(batch) {
      state.probes.learn(state.dictionaries.userAgent);
      if (stage === undefined) throw new Error("rows for a backfill that has failed");
      stage.add(accessRows(batch));
      rollup.add(batch);
      countRequests(counts, batch);
      rows += batch.length;
    },
    async store(part) {
      const kept = { ...part, logs: [...part.logs], quarantine: [...part.quarantine] };
      await storing;
      const [from, added, counted, count] = [table, rollup.take(), counts, rows];
      stage?.close();
      stage = undefined;
      await stager.sql.run("COMMIT");
      table = table === "a" ? "b" : "a";
      stage = await begin(table);
      rows = 0;
      counts = { access: 0, oldestMs: undefined, newestMs: undefined };
      storing = change(count * ROW_BYTES, () => write(from, kept, added)).then(() => {
        const { counts: all } = state;
        all.access += counted.access;
        all.logs += kept.logs.length;
        all.quarantine += kept.quarantine.length;
        for (const ts of [counted.oldestMs, counted.newestMs]) if (ts !== undefined) seeTime(all, ts);
        for (const { ts } of [...kept.logs, ...kept.quarantine]) seeTime(all, ts);
      });
      // Its failure is told by the next call; until then it must not end the process.
      storing.catch(() => undefined);
    },
    settle: () => storing,
    async end() {
      try {
        await storing;
      } finally {
        stage?.abandon();
        await stager.sql.run("ROLLBACK").catch(() => undefined);
        await stager.sql.run(`DROP TABLE IF EXISTS ${STAGE}.a`).catch(() => undefined);
        await stager.sql.run(`DROP TABLE IF EXISTS ${STAGE}.b`).catch(() => undefined);
        stager.sql.disconnectSync();
      }
    },
  };
}
