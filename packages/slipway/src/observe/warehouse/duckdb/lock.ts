/**
 * One process opens a warehouse, once. DuckDB's own lock belongs to the process: a second instance of one file inside
 * the same process opens without complaint, and what one of the two writes is lost. So whoever opens it leaves a file
 * beside it that says who it is; the file of a process that is gone is taken over.
 *
 * Two processes that take over at the same moment may both believe they have it; one of them is then stopped by
 * DuckDB's lock, which the kernel keeps between processes.
 */
import { link, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  isProcessAlive,
  type Processes,
  type ProcessIdentity,
  readTextIfExists,
  SlipwayError,
  systemCode,
  systemProcesses,
} from "@slipway/base";

/** Held until this is called. */
export type Unlock = () => Promise<void>;

/** Rejects with WAREHOUSE_HELD, which names the holder. */
export async function lockWarehouse(
  folder: string,
  processes: Processes = systemProcesses(),
): Promise<Unlock> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, "warehouse.lock");
  const { self } = processes;
  const own = `${path}.${self.pid}`;
  await writeFile(own, `${JSON.stringify(self)}\n`, { mode: 0o600 });
  try {
    for (;;) {
      try {
        // A link of a finished file: nobody ever reads a lock that is half written.
        await link(own, path);
        return () => rm(path, { force: true });
      } catch (error) {
        if (systemCode(error) !== "EEXIST") throw error;
      }
      await removeStale(path, processes);
    }
  } finally {
    await rm(own, { force: true });
  }
}

/** Returns when the lock is gone; throws while its holder is there or cannot be judged. */
async function removeStale(path: string, processes: Processes): Promise<void> {
  const text = await readTextIfExists(path);
  if (text === undefined) return;
  const holder = JSON.parse(text) as ProcessIdentity;
  const isAlive = isProcessAlive(holder, processes);
  if (isAlive !== false) throw heldBy(holder, path, processes.self, isAlive);
  const aside = `${path}.stale-${processes.self.pid}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
  await rm(aside, { force: true });
}

function heldBy(
  holder: ProcessIdentity,
  path: string,
  self: ProcessIdentity,
  isAlive: true | undefined,
): SlipwayError {
  const isSelf = isAlive === true && holder.pid === self.pid && holder.host === self.host;
  const who = `process ${holder.pid} on ${holder.host}`;
  return new SlipwayError({
    code: "WAREHOUSE_HELD",
    where: path,
    message: isSelf
      ? "this process has the warehouse open already; a second instance would lose what is written"
      : isAlive === true
        ? `${who} has the warehouse open`
        : `${who} had the warehouse open, and whether it still runs cannot be seen from here`,
    hint: isSelf
      ? "Pass on the warehouse that was opened first."
      : isAlive === true
        ? "Stop it first (`slipway local down`), or ask it over HTTP."
        : "When you are sure that it is gone, remove the file.",
  });
}
