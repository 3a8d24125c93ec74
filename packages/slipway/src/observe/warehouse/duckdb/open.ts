/**
 * Opens the warehouse of a folder:
 *
 *   warehouse.duckdb       tables, with its write-ahead log beside it
 *   days/                  sealed days as Parquet
 *   spill/                 what a large query puts aside; empty otherwise
 *   warehouse.lock         who has it open
 *
 * One instance for each process, on its main thread (lock.ts). Its limits are DuckDB's, which knows them only for the
 * whole instance: so they are set once, and then locked, before any statement of somebody else runs.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, SlipwayError, systemClock } from "@slipway/base";
import type { Warehouse } from "../warehouse.ts";
import { type Connection, closeDatabase, connect, type Database, openDatabase } from "./connection.ts";
import { DuckWarehouse } from "./duckdb.ts";
import { loadCounts, loadDictionaries, loadEdgeSince, loadOffsets, loadProbes, loadSources } from "./load.ts";
import { lockWarehouse, type Unlock } from "./lock.ts";
import { createQueryRunner } from "./query.ts";
import { NOTHING_SEALED, viewsOf } from "./schema.ts";
import { chooseAppender } from "./self-test.ts";
import { prepareSchema } from "./upgrade.ts";

export interface WarehouseOptions {
  /** Undefined: in memory only, for tests; nothing is sealed then. */
  readonly folder: string | undefined;
  readonly clock?: Clock;
  /** Whose lines the view `requests` counts. Default: auto. */
  readonly accessLog?: "auto" | "edge" | "pods";
  /** For all of DuckDB, bytes. Default: 400 MB. */
  readonly memoryBytes?: number;
  /** Default: 2. */
  readonly threads?: number;
}

const MEMORY_BYTES = 400_000_000;

/** Rejects with WAREHOUSE_HELD, WAREHOUSE_NEWER or WAREHOUSE_OPEN. */
export async function openWarehouse(options: WarehouseOptions): Promise<Warehouse> {
  const { folder } = options;
  const unlock = folder === undefined ? async () => undefined : await lockWarehouse(folder);
  try {
    return await open(options, unlock);
  } catch (error) {
    await unlock();
    throw error;
  }
}

async function open(options: WarehouseOptions, unlock: Unlock): Promise<Warehouse> {
  const { folder, clock = systemClock } = options;
  const database = await openFile(options);
  try {
    const writer = await connect(database);
    await prepareSchema(writer, folder ?? "memory");
    await limit(writer, options);
    for (const view of viewsOf(NOTHING_SEALED, options.accessLog ?? "auto")) await writer.sql.run(view);
    const appender = await chooseAppender(writer);
    return new DuckWarehouse(
      {
        database,
        writer,
        appender,
        clock,
        dictionaries: await loadDictionaries(writer),
        sources: await loadSources(writer),
        probes: await loadProbes(writer),
        offsets: await loadOffsets(writer),
        edgeSince: await loadEdgeSince(writer),
        counts: await loadCounts(writer),
      },
      createQueryRunner({ database, clock, atOnce: 2 }),
      folder,
      unlock,
    );
  } catch (error) {
    closeDatabase(database);
    throw error;
  }
}

async function openFile({ folder, memoryBytes, threads }: WarehouseOptions): Promise<Database> {
  const config = {
    memory_limit: `${memoryBytes ?? MEMORY_BYTES}B`,
    threads: String(threads ?? 2),
    // Otherwise every 16 MB of write-ahead log stop a commit for half a second.
    wal_autocheckpoint: "256MB",
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  };
  if (folder === undefined) return openDatabase(":memory:", config);
  await mkdir(join(folder, "days"), { recursive: true, mode: 0o700 });
  const path = join(folder, "warehouse.duckdb");
  try {
    return await openDatabase(path, { ...config, temp_directory: join(folder, "spill") });
  } catch (error) {
    throw new SlipwayError({
      code: "WAREHOUSE_OPEN",
      where: path,
      message: `cannot be opened: ${error instanceof Error ? error.message : String(error)}`,
      hint: "If it is damaged, move the folder away to begin a new warehouse.",
      cause: error,
    });
  }
}

/** The order matters: the last one forbids all others. */
async function limit({ sql }: Connection, { folder }: WarehouseOptions): Promise<void> {
  if (folder !== undefined) {
    await sql.run(`SET allowed_directories = ['${join(folder, "days").replaceAll("'", "''")}']`);
    await sql.run("SET max_temp_directory_size = '4GB'");
  }
  await sql.run("SET TimeZone = 'UTC'").catch(() => undefined);
  await sql.run("SET enable_external_access = false");
  await sql.run("SET lock_configuration = true");
}
