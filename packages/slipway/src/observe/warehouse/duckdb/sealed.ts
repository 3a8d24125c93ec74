/**
 * Days that are over, as Parquet files: half of the size, and dropped by removing a file (DELETE never makes DuckDB's
 * own file smaller). The table `sealed` says which files belong to the warehouse; any other file in the folder was left
 * by a process that was killed between two steps, and is removed at the start.
 */
import { rmSync } from "node:fs";
import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Connection, rowsOf } from "./connection.ts";
import { SEALED_KINDS, type SealedFiles, type SealedKind, viewsOf } from "./schema.ts";

export interface SealedFile {
  readonly file: string;
  readonly kind: SealedKind;
  /** `2026-11-28`; of the newest row. */
  readonly day: string;
  readonly rows: number;
  readonly bytes: number;
  /** ms since the epoch. */
  readonly oldest: number;
  readonly newest: number;
  readonly sealedAt: number;
}

export class SealedDays {
  /** Undefined in memory: nothing is sealed. */
  readonly folder: string | undefined;
  readonly #prefer: "auto" | "edge" | "pods";
  files: readonly SealedFile[] = [];

  constructor(folder: string | undefined, prefer: "auto" | "edge" | "pods") {
    this.folder = folder;
    this.#prefer = prefer;
  }

  pathOf(file: string): string {
    return join(this.folder as string, file);
  }

  async load(connection: Connection): Promise<void> {
    await this.#readFiles(connection);
    await this.writeViews(connection, this.files);
  }

  async #readFiles(connection: Connection): Promise<void> {
    const rows = await rowsOf(
      connection,
      "SELECT file, kind, day::VARCHAR AS day, rows, bytes, oldest, newest, sealed_at FROM sealed ORDER BY file",
    );
    this.files = rows.map(({ sealed_at, ...row }) => ({ ...row, sealedAt: sealed_at }) as SealedFile);
  }

  async removeStrays(): Promise<void> {
    if (this.folder === undefined) return;
    const known = new Set(this.files.map(({ file }) => file));
    for (const name of await readdir(this.folder)) if (!known.has(name)) await rm(this.pathOf(name));
  }

  /** To be done in the transaction that changes the table. */
  async writeViews(connection: Connection, files: readonly SealedFile[]): Promise<void> {
    const paths = Object.fromEntries(
      SEALED_KINDS.map((kind) => [
        kind,
        files.filter((one) => one.kind === kind).map(({ file }) => this.pathOf(file)),
      ]),
    ) as unknown as SealedFiles;
    for (const view of viewsOf(paths, this.#prefer)) await connection.sql.run(view);
  }

  /** Adds a file with these rows and takes them out of the hot table. `where` is a condition on ts. */
  async seal(
    connection: Connection,
    kind: SealedKind,
    day: string,
    where: string,
    now: number,
  ): Promise<void> {
    const { sql } = connection;
    const file = nameAfter(this.files, kind, day);
    const path = this.pathOf(file);
    await sql.run("BEGIN");
    try {
      await sql.run(
        `COPY (SELECT * FROM hot_${kind} WHERE ${where}) TO '${path.replaceAll("'", "''")}'
         (FORMAT parquet, COMPRESSION zstd)`,
      );
      const bytes = await flush(path, this.folder as string);
      // The transaction sees one state of the table: what comes in meanwhile is neither in the file nor deleted.
      const [span] = await rowsOf(
        connection,
        `SELECT count(*) AS rows, min(ts) AS oldest, max(ts) AS newest FROM hot_${kind} WHERE ${where}`,
      );
      const made = { ...span, file, kind, day, bytes, sealedAt: now } as SealedFile;
      await sql.run(`DELETE FROM hot_${kind} WHERE ${where}`);
      await sql.run(
        `INSERT INTO sealed VALUES ($1, $2, $3::DATE, $4, $5, make_timestamp_ms($6::BIGINT),
         make_timestamp_ms($7::BIGINT), make_timestamp_ms($8::BIGINT))`,
        [
          file,
          kind,
          day,
          made.rows,
          bytes,
          ...[made.oldest, made.newest, now].map((ms) => BigInt(Math.floor(ms))),
        ],
      );
      await this.writeViews(connection, [...this.files, made]);
      await sql.run("COMMIT");
    } catch (error) {
      await sql.run("ROLLBACK").catch(() => undefined);
      // A COMMIT that fails may have been written. Where even this cannot be asked, the next start looks at the file.
      const [named] = await rowsOf(connection, `SELECT count(*) AS n FROM sealed WHERE file = '${file}'`);
      if (named?.["n"] === 0) rmSync(path, { force: true });
      throw error;
    } finally {
      await this.#readFiles(connection).catch(() => undefined);
    }
  }

  /** The files go after the transaction: until then, queries read them. */
  async drop(connection: Connection, dropped: readonly SealedFile[]): Promise<void> {
    const { sql } = connection;
    const rest = this.files.filter((one) => !dropped.includes(one));
    await sql.run("BEGIN");
    try {
      for (const { file } of dropped) await sql.run("DELETE FROM sealed WHERE file = $1", [file]);
      await this.writeViews(connection, rest);
      await sql.run("COMMIT");
    } catch (error) {
      await sql.run("ROLLBACK").catch(() => undefined);
      throw error;
    }
    this.files = rest;
    for (const { file } of dropped) await rm(this.pathOf(file), { force: true });
  }
}

/** Behind the highest number of that day: the first of its files may have been dropped, and the others stand. */
function nameAfter(files: readonly SealedFile[], kind: SealedKind, day: string): string {
  const numbers = files.flatMap((one) =>
    one.kind === kind && one.day === day ? [Number(one.file.split(".").at(-2))] : [],
  );
  return `${day}.${kind}.${Math.max(0, ...numbers) + 1}.parquet`;
}

/** Waits for the disk, and tells the size. */
async function flush(path: string, folder: string): Promise<number> {
  const file = await open(path, "r+");
  try {
    await file.sync();
    const { size } = await file.stat();
    const directory = await open(folder, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
    return size;
  } finally {
    await file.close();
  }
}
