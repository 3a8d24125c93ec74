/** One transaction: rows, what their ids mean, what they add to the rollup, and how far their streams are stored. */
import { listValue } from "@duckdb/node-api";
import type { AccessBatch } from "../../access/batch.ts";
import { isProbe } from "../../access/probe.ts";
import type { Commit, StreamOffset } from "../warehouse.ts";
import type { Rows } from "./columns.ts";
import { rowsOf } from "./connection.ts";
import { Rollup } from "./rollup.ts";
import type { Series, Source } from "./sources.ts";
import { isInvalidated } from "./space.ts";
import { type Counts, DICTIONARIES, type State } from "./state.ts";
import { accessRows, gapRows, logRows, quarantineRows } from "./tables.ts";

const MINUTE_MS = 60_000;

/** Rejects when nothing of it is stored. */
export async function writeCommit(state: State, commit: Commit): Promise<void> {
  const { access, logs, quarantine } = commit.lines;
  const gaps = commit.gaps ?? [];
  const rollup = new Rollup({
    seriesOf: (source) => state.sources.seriesOf(source),
    isProbe: state.probes.has,
  });
  let rollupRows = 0;
  await inTransaction(state, async (saved) => {
    saveNames(state, saved);
    state.probes.learn(state.dictionaries.userAgent);
    rollup.add(access);
    const added = rollup.take();
    rollupRows = added.length;
    for (const rows of [
      accessRows(access),
      logRows(logs),
      quarantineRows(quarantine),
      gapRows(gaps),
      added,
    ]) {
      state.appender.append(state.writer, rows);
    }
    await saveOffsets(state, commit.offsets);
    await saveEdgeSince(state, edgeSinceOf(state, access));
  });
  for (const { stream, position } of commit.offsets) state.offsets.set(stream, position);
  state.rollupRows += rollupRows;
  count(state, commit);
}

/** What was taken to be saved, and is given back when the transaction fails. */
export interface Saved {
  readonly undo: (() => void)[];
}

/** Counts as a commit of its own. */
export async function inTransaction(state: State, work: (saved: Saved) => Promise<void>): Promise<void> {
  const { sql } = state.writer;
  const saved: Saved = { undo: [] };
  const committed = state.counts.committed + 1;
  await sql.run("BEGIN");
  try {
    await work(saved);
    await sql.run(`UPDATE meta SET value = ${committed} WHERE key = 'committed'`);
    await sql.run("COMMIT");
  } catch (error) {
    await state.writer.sql.run("ROLLBACK").catch(() => undefined);
    if (isInvalidated(error)) await state.exchange();
    const stored = await isStored(state, committed)
      .catch(async () => {
        await state.exchange();
        return isStored(state, committed);
      })
      .catch(() => false);
    if (!stored) {
      for (const undo of saved.undo.reverse()) undo();
      throw error;
    }
  }
  state.counts.committed = committed;
}

/**
 * Whether a transaction whose COMMIT failed is there all the same: DuckDB may have written it and then failed at the
 * checkpoint that follows. Taken for a failure, it would be tried again, and its lines stored twice.
 */
async function isStored(state: State, committed: number): Promise<boolean> {
  const [row] = await rowsOf(state.writer, "SELECT value FROM meta WHERE key = 'committed'");
  return row?.["value"] === committed;
}

/** Sources, series and values of dictionaries that are new. */
export function saveNames(state: State, saved: Saved): void {
  const names = state.sources.takeUnsaved();
  saved.undo.push(() => state.sources.putBack(names));
  state.appender.append(state.writer, seriesRows(names.series));
  state.appender.append(state.writer, sourceRows(names.sources));
  for (const [name, kind] of DICTIONARIES) {
    const values = state.dictionaries[name].takeUnsaved();
    saved.undo.push(() => state.dictionaries[name].putBack(values));
    state.appender.append(state.writer, {
      table: "dict",
      length: values.length,
      columns: [
        { kind: "text", values: values.map(() => kind) },
        { kind: "u32", values: Uint32Array.from(values, ({ id }) => id) },
        { kind: "text", values: values.map(({ value }) => value) },
        {
          kind: "boolean",
          values: Uint8Array.from(values, ({ value }) => (kind === "ua" && isProbe(value) ? 1 : 0)),
        },
      ],
    });
  }
}

function seriesRows(series: readonly Series[]): Rows {
  return {
    table: "series",
    length: series.length,
    columns: [
      { kind: "u32", values: Uint32Array.from(series, ({ id }) => id) },
      { kind: "text", values: series.map(({ origin }) => origin) },
      { kind: "text", values: series.map(({ cluster }) => cluster) },
      { kind: "text", values: series.map(({ service }) => service) },
      { kind: "u32", values: Uint32Array.from(series, ({ release }) => release) },
      { kind: "text", values: series.map(({ commit }) => commit) },
    ],
  };
}

function sourceRows(sources: readonly Source[]): Rows {
  const text = (
    name: "origin" | "cluster" | "namespace" | "node" | "pod" | "container" | "service" | "commit",
  ) => ({ kind: "text", values: sources.map(({ labels }) => labels[name]) }) as const;
  return {
    table: "sources",
    length: sources.length,
    columns: [
      { kind: "u32", values: Uint32Array.from(sources, ({ id }) => id) },
      { kind: "u32", values: Uint32Array.from(sources, ({ series }) => series) },
      text("origin"),
      text("cluster"),
      text("namespace"),
      text("node"),
      text("pod"),
      text("container"),
      text("service"),
      { kind: "u32", values: Uint32Array.from(sources, ({ labels }) => labels.release) },
      text("commit"),
    ],
  };
}

export async function saveOffsets(state: State, offsets: readonly StreamOffset[]): Promise<void> {
  if (offsets.length === 0) return;
  // The last position of a stream counts; DuckDB refuses a key twice in one statement.
  const last = new Map(offsets.map(({ stream, position }) => [stream, position]));
  await state.writer.sql.run(
    `INSERT INTO off SELECT unnest($1::VARCHAR[]), unnest($2::UBIGINT[]), make_timestamp_ms($3::BIGINT)
     ON CONFLICT (stream) DO UPDATE SET position = excluded.position, heard = excluded.heard`,
    [
      listValue([...last.keys()]),
      listValue([...last.values()].map(BigInt)),
      BigInt(Math.floor(state.clock.now())),
    ],
  );
}

/** Services whose first line of the edge is in this batch, or is earlier than all before. */
function edgeSinceOf(state: State, batch: AccessBatch): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  const { ts, source, length } = batch;
  let last = -1;
  let service: string | undefined;
  for (let row = 0; row < length; row += 1) {
    const id = source[row] as number;
    if (id !== last) {
      const labels = state.sources.get(id)?.labels;
      service = labels?.origin === "edge" ? labels.service : undefined;
      last = id;
    }
    if (service === undefined) continue;
    const minute = Math.floor((ts[row] as number) / MINUTE_MS) * MINUTE_MS;
    const known = found.get(service) ?? state.edgeSince.get(service);
    if (known === undefined || minute < known) found.set(service, minute);
  }
  return found;
}

async function saveEdgeSince(state: State, found: ReadonlyMap<string, number>): Promise<void> {
  for (const [service, minute] of found) {
    await state.writer.sql.run(
      `INSERT INTO edge_since VALUES ($1, make_timestamp_ms($2::BIGINT))
       ON CONFLICT (service) DO UPDATE SET ts = excluded.ts`,
      [service, BigInt(minute)],
    );
    state.edgeSince.set(service, minute);
  }
}

/** Adds to what `figures` tells. */
export function count(state: State, { lines, gaps = [] }: Commit): void {
  const { counts } = state;
  counts.logs += lines.logs.length;
  counts.quarantine += lines.quarantine.length;
  counts.gaps += gaps.length;
  for (const { ts } of lines.logs) seeTime(counts, ts);
  for (const { ts } of lines.quarantine) seeTime(counts, ts);
  countRequests(counts, lines.access);
}

export type RequestCounts = Pick<Counts, "access" | "oldestMs" | "newestMs">;

export function countRequests(counts: RequestCounts, { ts, length }: AccessBatch): void {
  counts.access += length;
  for (let row = 0; row < length; row += 1) seeTime(counts, ts[row] as number);
}

export function seeTime(counts: RequestCounts, ts: number): void {
  if (counts.oldestMs === undefined || ts < counts.oldestMs) counts.oldestMs = ts;
  if (counts.newestMs === undefined || ts > counts.newestMs) counts.newestMs = ts;
}
