/** What the figures were taken on, and how busy it was: a line of each result. */
import { cpus, loadavg } from "node:os";
import { join } from "node:path";

export function machineLine(): string {
  const [load = 0] = loadavg();
  return `Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model.trim() ?? "unknown"}), load ${load.toFixed(1)}`;
}

export function resultFile(name: string): string {
  return join(import.meta.dirname, "results", `${name}.md`);
}
