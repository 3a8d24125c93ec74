/**
 * Opens the warehouse of a folder:
 *
 *   warehouse.duckdb       tables, with its write-ahead log beside it
 *   days/                  sealed days as Parquet
 *   spill/                 what a large query puts aside; empty otherwise
 *   warehouse.lock         who has it open
 *
 * One instance for each process, on its main thread (lock.ts).
 */
import { join, resolve } from "node:path";
import { type Clock, systemClock } from "@slipway/base";
import type { Warehouse } from "../warehouse.ts";
import { closeDatabase } from "./connection.ts";
import { DuckWarehouse } from "./duckdb.ts";
import { type InstanceOptions, openInstance } from "./instance.ts";
import { loadState } from "./load.ts";
import { lockWarehouse, type Unlock } from "./lock.ts";
import { createQueryRunner } from "./query.ts";
import { SealedDays } from "./sealed.ts";
import { RESERVE_BYTES } from "./space.ts";
import { removeUnusedSources } from "./unused-sources.ts";

export interface WarehouseOptions {
  /** Undefined: in memory only, for tests; nothing is sealed then. */
  readonly folder: string | undefined;
  readonly clock?: Clock;
  /** Whose lines the view `requests` counts. Default: auto. */
  readonly accessLog?: "auto" | "edge" | "pods";
  /** Default: 30 days. */
  readonly keepForMs?: number;
  /** Default: 20 GB. */
  readonly maxBytes?: number;
  /** A day is sealed so long after its end. Default: an hour. */
  readonly graceMs?: number;
  /** For all of DuckDB. Default: 400 MB. */
  readonly memoryBytes?: number;
  /** Default: 2. */
  readonly threads?: number;
  /** Nothing is written when less than this is free on the disk. Default: 64 MB. */
  readonly reserveBytes?: number;
  /**
   * A query heeds no interrupt and takes the machine's memory or goes on for ever. What is stored does not suffer when the
   * process ends at once. Default: nothing.
   */
  readonly onRunaway?: (why: string) => void;
}

/** Rejects with WAREHOUSE_HELD, WAREHOUSE_NEWER or WAREHOUSE_OPEN. */
export async function openWarehouse(options: WarehouseOptions): Promise<Warehouse> {
  return openDuckWarehouse(options);
}

export async function openDuckWarehouse(options: WarehouseOptions): Promise<DuckWarehouse> {
  const folder = options.folder === undefined ? undefined : resolve(options.folder);
  const unlock = folder === undefined ? async () => undefined : await lockWarehouse(folder);
  try {
    return await open({ ...options, folder }, unlock);
  } catch (error) {
    await unlock();
    throw error;
  }
}

async function open(options: WarehouseOptions, unlock: Unlock): Promise<DuckWarehouse> {
  const { folder, clock = systemClock } = options;
  const instanceOptions: InstanceOptions = {
    folder,
    memoryBytes: options.memoryBytes ?? 400_000_000,
    threads: options.threads ?? 2,
  };
  const sealed = new SealedDays(
    folder === undefined ? undefined : join(folder, "days"),
    options.accessLog ?? "auto",
  );
  const instance = await openInstance(instanceOptions, sealed);
  try {
    await sealed.removeStrays();
    await removeUnusedSources(instance.writer);
    const state = await loadState(instance, sealed, clock);
    return new DuckWarehouse(state, {
      folder,
      unlock,
      queries: createQueryRunner({
        database: () => state.database,
        clock,
        atOnce: queriesAtOnce(),
        onRunaway: options.onRunaway ?? (() => undefined),
      }),
      reserveBytes: options.reserveBytes ?? RESERVE_BYTES,
      keep: {
        keepForMs: options.keepForMs ?? 30 * 86_400_000,
        maxBytes: options.maxBytes ?? 20_000_000_000,
        graceMs: options.graceMs ?? 3_600_000,
      },
      reopen: async () => {
        const { database, writer, appender } = await openInstance(instanceOptions, sealed);
        Object.assign(state, { database, writer, appender });
      },
    });
  } catch (error) {
    closeDatabase(instance.database);
    throw error;
  }
}

/** A statement occupies a thread of Node's pool until it is done, and commits need one as well. */
function queriesAtOnce(): number {
  const pool = Number(process.env["UV_THREADPOOL_SIZE"] ?? 4);
  return Math.max(2, Math.floor(pool / 2));
}
