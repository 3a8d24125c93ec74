/**
 * Threads on disk, one file each, and who is at them:
 *
 *   shop.production.7.json      the thread
 *   shop.production.7.claim-3   the third claim on it: which process sends it now, or that nobody does
 *
 * Several commands and `slipway serve` share the folder, and two of them must never send one thread at a time. A claim
 * is made by linking a finished file to the next number, which exactly one process can do; the highest number counts.
 * It is never removed while the thread is there, only marked as free. Lower ones are, so that a process that was slow can
 * link one again: it looks once more whether its own is the highest, and cannot take what another has taken since. A claim
 * of a process that is gone is as good as free.
 */
import { link, mkdir, open, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ProcessIdentity, readTextIfExists, systemCode, writeAtomic } from "@slipway/base";
import type { Thread } from "./thread.ts";
import { createThreadIndex, type ThreadIndex } from "./thread-index.ts";

export interface OutboxStore {
  /** Of all threads what `digest` makes of them; it is asked again of those that have changed. */
  index<Digest>(digest: (thread: Thread) => Digest): ThreadIndex<Digest>;
  read(id: string): Promise<Thread | undefined>;
  /** Durable when it resolves. */
  write(thread: Thread): Promise<void>;
  remove(id: string): Promise<void>;
  /** True when this process may send it from now on; false while another living one does. */
  claim(id: string): Promise<boolean>;
  release(id: string): Promise<void>;
}

/** Claims of this process. Each has a file of its own: that of another may be linked already, or be removed just now. */
let begun = 0;

export function createFileStore(options: {
  readonly folder: string;
  readonly self: ProcessIdentity;
  /** False when that process is known to be gone; undefined when it cannot be known (another host). */
  readonly isAlive: (sender: ProcessIdentity) => boolean | undefined;
  /** A claim that cannot be checked counts for this long after the thread was last written. */
  readonly trustMs?: number;
  readonly now: () => number;
}): OutboxStore {
  const { folder, self } = options;
  const trustMs = options.trustMs ?? 5 * 60_000;
  const file = (id: string): string => join(folder, `${id.replaceAll("/", ".")}.json`);
  const claimFile = (id: string, number: number): string =>
    join(folder, `${id.replaceAll("/", ".")}.claim-${number}`);
  const held = new Map<string, number>();

  const claims = async (id: string): Promise<number[]> => {
    const prefix = `${id.replaceAll("/", ".")}.claim-`;
    const names = await readdir(folder).catch(absent([]));
    return names
      .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
      .map((name) => Number(name.slice(prefix.length)))
      .sort((a, b) => b - a);
  };
  const isFree = async (id: string, number: number): Promise<boolean> => {
    const text = await readTextIfExists(claimFile(id, number));
    const sender = text === undefined || text === "" ? undefined : (JSON.parse(text) as ProcessIdentity);
    if (sender === undefined) return true;
    const alive = options.isAlive(sender);
    if (alive !== undefined) return !alive;
    const written = await stat(file(id)).catch(absent(undefined));
    return written === undefined || options.now() - written.mtimeMs > trustMs;
  };

  return {
    index: (digest) => createThreadIndex({ folder, read: readThread, digest, now: options.now }),
    read: (id) => readThread(file(id)),
    async write(thread) {
      const mine = held.get(thread.id);
      if (mine !== undefined && ((await claims(thread.id))[0] ?? mine) > mine) {
        held.delete(thread.id);
        throw new Error(`another process has taken over ${thread.id}`);
      }
      await writeAtomic(file(thread.id), JSON.stringify(thread), 0o600);
      await syncFolder(folder);
    },
    async remove(id) {
      await rm(file(id), { force: true });
      for (const number of await claims(id)) await rm(claimFile(id, number), { force: true });
      held.delete(id);
    },
    async claim(id) {
      if (held.has(id)) return true;
      await mkdir(folder, { recursive: true });
      const [highest = 0, ...older] = await claims(id);
      if (highest > 0 && !(await isFree(id, highest))) return false;
      begun += 1;
      const own = [self.host, self.bootId, self.pidNamespace, self.pid, self.startTicks, begun];
      const mine = join(folder, `.claim-${own.join("-").replaceAll(/[^\w.-]/g, "_")}.tmp`);
      await writeFile(mine, JSON.stringify(self), { mode: 0o600 });
      try {
        await link(mine, claimFile(id, highest + 1));
      } catch (error) {
        if (systemCode(error) === "EEXIST") return false; // another was first
        throw error;
      } finally {
        await rm(mine, { force: true });
      }
      // Others may have taken it and given it back since its claims were listed: this number was theirs, and is not the last.
      if ((await claims(id))[0] !== highest + 1) {
        await rm(claimFile(id, highest + 1), { force: true });
        return false;
      }
      held.set(id, highest + 1);
      for (const number of highest > 0 ? [highest, ...older] : older) {
        await rm(claimFile(id, number), { force: true });
      }
      return true;
    },
    async release(id) {
      const number = held.get(id);
      if (number === undefined) return;
      held.delete(id);
      // Only while it is still ours: whoever took it over has linked a higher number and removed this one.
      if ((await claims(id))[0] === number) await writeAtomic(claimFile(id, number), "", 0o600);
    },
  };
}

/** A file that is damaged is set aside, where it can be looked at, and does not stop the others. */
async function readThread(path: string): Promise<Thread | undefined> {
  const text = await readTextIfExists(path);
  if (text === undefined) return undefined;
  try {
    const thread = JSON.parse(text) as Thread;
    if (typeof thread.id === "string" && thread.message.key === "message" && Array.isArray(thread.details)) {
      return thread;
    }
  } catch {
    // Told from a whole one below.
  }
  await rename(path, `${path}.damaged`).catch(absent(undefined));
  return undefined;
}

/** A rename is only durable with the folder that holds the name. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function absent<T>(fallback: T): (error: unknown) => T {
  return (error) => {
    if (systemCode(error) === "ENOENT") return fallback;
    throw error;
  };
}
