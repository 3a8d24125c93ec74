/**
 * What alerts remember over a restart, as one file: incidents, mutes, what others reported, and where each incident is
 * told. It is written before anything is told and replaced as a whole, so after `kill -9` an incident is either not
 * known at all, and opens again from the counts, or known with the message that it has.
 */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { readTextIfExists, writeAtomic } from "@slipway/base";
import type { Signal } from "./alert.ts";
import { type Memory, NOTHING_YET } from "./decide.ts";

export interface Mute {
  /** Of an incident, or the name of a rule. */
  readonly id: string;
  readonly until: number;
  readonly reason: string;
  readonly who: string;
}

export interface Kept {
  readonly memory: Memory;
  readonly mutes: readonly Mute[];
  /** By who reported them. */
  readonly reported: Readonly<
    Record<string, { readonly signals: readonly Signal[]; readonly expiresAt: number | undefined }>
  >;
  /** Incident → message that tells it: its own id, or that of a digest. */
  readonly places: Readonly<Record<string, string>>;
}

export interface AlertStore {
  read(): Promise<Kept>;
  write(kept: Kept): Promise<void>;
}

const NOTHING_KEPT: Kept = { memory: NOTHING_YET, mutes: [], reported: {}, places: {} };

/** Format of the file; another one is not read, and everything that is still wrong opens anew. */
const VERSION = 1;

/** Who deletes the folder deletes what is remembered: once read, the file is written where its folder is, and makes none. */
export function createAlertFile(path: string): AlertStore {
  return {
    async read() {
      await mkdir(dirname(path), { recursive: true });
      const text = await readTextIfExists(path);
      if (text === undefined) return NOTHING_KEPT;
      try {
        const { version, ...kept } = JSON.parse(text) as Kept & { readonly version: number };
        return version === VERSION && Array.isArray(kept.memory.alerts) ? kept : NOTHING_KEPT;
      } catch {
        return NOTHING_KEPT;
      }
    },
    async write(kept) {
      if (existsSync(dirname(path)))
        await writeAtomic(path, JSON.stringify({ version: VERSION, ...kept }), 0o600);
    },
  };
}
