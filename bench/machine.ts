/** What the figures were taken on, and how busy it was: a line of each result; and how a benchmark ends. */
import { cpus, loadavg } from "node:os";
import { join } from "node:path";

/** A figure is not what it shall be, on this machine at this moment. A benchmark that breaks ends with 1, as Node has it. */
export const MISSED_GOAL = 4;

export function machineLine(): string {
  const [load = 0] = loadavg();
  return `Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model.trim() ?? "unknown"}), load ${load.toFixed(1)}`;
}

export function resultFile(name: string): string {
  return join(import.meta.dirname, "results", `${name}.md`);
}
