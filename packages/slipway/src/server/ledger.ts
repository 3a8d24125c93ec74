/**
 * Which presses have been taken, on disk: `.slipway/presses/KEY.json`. A press is entered, durably, before Slack gets
 * its answer, and a second delivery of it finds it there: also after a restart, also in another process of the project.
 * What was entered and never finished was cut off: it is reported, never done again by itself.
 */
import { link, mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { readTextIfExists, systemCode, writeAtomic } from "@slipway/base";
import type { Press } from "./press.ts";

/** Slack's signature is good for five minutes, Socket Mode delivers again within minutes. */
const KEEP_MS = 7 * 24 * 60 * 60_000;

export interface Ledger {
  /** False when this press was taken before. */
  take(press: Press): Promise<boolean>;
  finish(press: Press): Promise<void>;
  /** Taken, and cut off before it was finished. Forgets what is old. */
  cutOff(now: number): Promise<readonly Press[]>;
}

export function openLedger(folder: string): Ledger {
  const file = (key: string): string => join(folder, `${key}.json`);
  let deliveries = 0;
  return {
    async take(press) {
      await mkdir(folder, { recursive: true });
      // A file of each delivery's own: another one, in this process too, takes its own away when it is done.
      deliveries += 1;
      const whole = join(folder, `.${press.key}.${process.pid}-${deliveries}.tmp`);
      await writeAtomic(whole, JSON.stringify({ press, isDone: false }), 0o600);
      try {
        // Of two deliveries at once exactly one can make the name.
        await link(whole, file(press.key));
        return true;
      } catch (error) {
        if (systemCode(error) === "EEXIST") return false;
        throw error;
      } finally {
        await rm(whole, { force: true });
      }
    },
    finish: (press) => writeAtomic(file(press.key), JSON.stringify({ press, isDone: true }), 0o600),
    async cutOff(now) {
      const names = await readdir(folder).catch((error: unknown) => {
        if (systemCode(error) === "ENOENT") return [];
        throw error;
      });
      const found: Press[] = [];
      for (const name of names.filter((one) => /^[0-9a-f]{64}\.json$/.test(one))) {
        const path = join(folder, name);
        const entry = parse(await readTextIfExists(path));
        if (entry?.isDone === false) found.push(entry.press);
        const age = now - (await stat(path)).mtimeMs;
        if (entry?.isDone !== false && age > KEEP_MS) await rm(path, { force: true });
      }
      return found;
    },
  };
}

function parse(text: string | undefined): { readonly press: Press; readonly isDone: boolean } | undefined {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as { press: Press; isDone: boolean });
  } catch {
    return undefined;
  }
}
