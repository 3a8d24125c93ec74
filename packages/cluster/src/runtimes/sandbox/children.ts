/** Processes that the agent starts: their output to its end, and how they ended. */
import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import type { Readable } from "node:stream";

/** The last output comes with the last process; this only bounds the wait if a pipe was handed elsewhere. */
export const DRAIN_MS = 1000;
const PIECES = 20;

export function pump(reader: Readable, write: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve) => {
    reader.on("data", write);
    reader.on("error", () => resolve());
    reader.on("close", () => resolve());
  });
}

/**
 * Waits until `work` is done, at most `ms`. In pieces: between two of them this process reads what has come, so that one
 * that was kept from running for longer than `ms` does not take the output that waits for it as missing.
 */
export async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    const wait = (pieces: number): void => {
      if (pieces === 0) return resolve();
      timer = setTimeout(wait, ms / PIECES, pieces - 1);
    };
    wait(PIECES);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}

export function finished(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once("error", () => resolve(127));
    child.once("exit", (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
  });
}

export function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : constants.signals[signal];
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already, which is what every caller wants to hear nothing about
  }
}
