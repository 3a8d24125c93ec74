/**
 * One instance of DuckDB with its schema, its limits and its connection for writing. Limits are DuckDB's, which knows
 * them only for the whole instance: so they are set once, and then locked, before any statement of somebody else runs.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import type { Appender } from "./append.ts";
import { type Connection, closeDatabase, connect, type Database, openDatabase } from "./connection.ts";
import type { SealedDays } from "./sealed.ts";
import { chooseAppender } from "./self-test.ts";
import { prepareSchema } from "./upgrade.ts";

/** A database in memory, for the rows of a backfill before they are written; attached now because later it is forbidden. */
export const STAGE = "stage";

export interface InstanceOptions {
  readonly folder: string | undefined;
  readonly memoryBytes: number;
  readonly threads: number;
}

export interface Instance {
  readonly database: Database;
  readonly writer: Connection;
  readonly appender: Appender;
}

export async function openInstance(options: InstanceOptions, sealed: SealedDays): Promise<Instance> {
  const database = await openFile(options);
  try {
    const writer = await connect(database);
    await prepareSchema(writer, options.folder ?? "memory");
    await writer.sql.run(`ATTACH ':memory:' AS ${STAGE}`);
    await limit(writer, sealed.folder);
    await sealed.load(writer);
    return { database, writer, appender: await chooseAppender(writer) };
  } catch (error) {
    closeDatabase(database);
    throw error;
  }
}

async function openFile({ folder, memoryBytes, threads }: InstanceOptions): Promise<Database> {
  const config = {
    memory_limit: `${memoryBytes}B`,
    threads: String(threads),
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
async function limit({ sql }: Connection, days: string | undefined): Promise<void> {
  await sql.run("SET TimeZone = 'UTC'");
  if (days !== undefined) {
    await sql.run(`SET allowed_directories = ['${days.replaceAll("'", "''")}']`);
    await sql.run("SET max_temp_directory_size = '4GB'");
  }
  await sql.run("SET enable_external_access = false");
  await sql.run("SET lock_configuration = true");
}
