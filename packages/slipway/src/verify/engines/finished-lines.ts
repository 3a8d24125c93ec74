/**
 * What of a log counts while its container runs. Docker and containerd keep a line back until it is finished, or longer than
 * 16 KiB; Podman shows what was written so far. Only finished lines are the same everywhere.
 */
export function finishedLines(log: string, isRunning: boolean): string {
  return isRunning ? log.slice(0, log.lastIndexOf("\n") + 1) : log;
}
