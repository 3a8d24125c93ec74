/**
 * What whoever goes through all threads wants to know of each, remembered in memory: a file is read again only when it is
 * another than at the last look. Nothing of it is on disk, so a crash can damage nothing: the next process reads all once.
 *
 * Other processes write to the folder, too. Files are only ever replaced as a whole, by a rename, which changes the
 * folder's time and the file's inode; so a look at a folder at rest is one `stat`. File systems stamp by the kernel's tick:
 * a time that is too young to differ from the next change's is not taken for proof.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { systemCode } from "@slipway/base";
import type { Thread } from "./thread.ts";

export interface ThreadIndex<Digest> {
  /** By the threads' ids, as the folder is now. */
  look(): Promise<ReadonlyMap<string, Digest>>;
}

interface Known<Digest> {
  readonly id: string;
  readonly digest: Digest;
  readonly stamp: string | undefined;
}

const TICK_MS = 50;

export function createThreadIndex<Digest>(options: {
  readonly folder: string;
  /** Undefined when it is gone or no thread. */
  readonly read: (path: string) => Promise<Thread | undefined>;
  readonly digest: (thread: Thread) => Digest;
  /** Wall time, as the file system's. */
  readonly now: () => number;
}): ThreadIndex<Digest> {
  const { folder, read, digest, now } = options;
  const files = new Map<string, Known<Digest>>();
  let seen: string | undefined;

  /** Undefined when there is nothing, or when the next change could have the same. */
  const stampOf = async (path: string): Promise<string | undefined> => {
    try {
      const { ino, mtimeNs, mtimeMs } = await stat(path, { bigint: true });
      return now() - Number(mtimeMs) > TICK_MS ? `${ino}/${mtimeNs}` : undefined;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
  };
  const refresh = async (): Promise<void> => {
    const names = await threadFiles(folder);
    const present = new Set(names);
    for (const name of files.keys()) if (!present.has(name)) files.delete(name);
    const stamps = await Promise.all(names.map((name) => stampOf(join(folder, name))));
    for (const [at, name] of names.entries()) {
      const stamp = stamps[at];
      if (stamp !== undefined && files.get(name)?.stamp === stamp) continue;
      const thread = await read(join(folder, name));
      if (thread === undefined) files.delete(name);
      else files.set(name, { id: thread.id, digest: digest(thread), stamp });
    }
  };

  const look = async (): Promise<ReadonlyMap<string, Digest>> => {
    const stamp = await stampOf(folder);
    if (stamp === undefined || stamp !== seen) await refresh();
    seen = stamp;
    return new Map([...files.values()].map(({ id, digest }) => [id, digest]));
  };

  // One after the other: of two at a time, the slower could leave what it read before a change.
  let last: Promise<unknown> = Promise.resolve();
  return {
    look() {
      const mine = last.then(look);
      last = mine.catch(() => undefined);
      return mine;
    },
  };
}

async function threadFiles(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(".json")).sort();
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}
