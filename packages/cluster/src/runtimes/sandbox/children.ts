/** Processes that the agent starts: their output to its end, and how they ended. */
import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import type { Readable } from "node:stream";

/** The last output comes with the last process; this only bounds the wait if a pipe was handed elsewhere. */
export const DRAIN_MS = 1000;

export function pump(reader: Readable, write: (chunk: Buffer) => void): Promise<void> {
  return new Promise((resolve) => {
    reader.on("data", write);
    reader.on("error", () => resolve());
    reader.on("close", () => resolve());
  });
}

export async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
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
