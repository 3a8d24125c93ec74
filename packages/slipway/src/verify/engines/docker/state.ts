/** What an engine's inspection says, as the port says it. Pure. */
import type { ContainerInspectInfo } from "dockerode";
import type { ContainerState, PublishedPort } from "../engine.ts";

/** Exit codes above this name the signal that ended the process, as shells have it. */
const SIGNAL_BASE = 128;
const LAST_SIGNAL = 64;

export function stateOf(info: Pick<ContainerInspectInfo, "State" | "RestartCount">): ContainerState {
  const { State } = info;
  // Between two lives Docker says both that it runs and that it restarts.
  const isRunning = State.Running && !State.Restarting;
  const hasEnded = !isRunning && timeOf(State.FinishedAt) !== undefined;
  const status = isRunning ? "running" : hasEnded ? "exited" : "created";
  // Podman takes the end from a file's time, which may be a moment before the start.
  const startedAtMs = timeOf(State.StartedAt);
  const exitCode = status === "exited" ? State.ExitCode : undefined;
  const signal = exitCode === undefined ? undefined : exitCode - SIGNAL_BASE;
  return {
    status,
    exitCode,
    signal: signal !== undefined && signal > 0 && signal <= LAST_SIGNAL ? signal : undefined,
    isOomKilled: State.OOMKilled,
    restarts: info.RestartCount ?? 0,
    startedAtMs,
    finishedAtMs: status === "exited" ? Math.max(timeOf(State.FinishedAt) ?? 0, startedAtMs ?? 0) : undefined,
    health: undefined,
    healthOutput: undefined,
  };
}

/**
 * How long an end took that came too late for whoever waited. What could not be killed any more had ended by itself, and
 * the engine knows when; a busy one says so seconds later. Milliseconds, and of the wall's clock `sentAtMs`.
 */
export function lateStop(end: {
  readonly couldKill: boolean;
  readonly waitedMs: number;
  readonly sentAtMs: number;
  readonly finishedAtMs: number | undefined;
}): { readonly tookMs: number; readonly wasKilled: boolean } {
  const { couldKill, waitedMs, sentAtMs, finishedAtMs } = end;
  if (couldKill || finishedAtMs === undefined) return { tookMs: waitedMs, wasKilled: couldKill };
  return { tookMs: Math.min(waitedMs, Math.max(0, finishedAtMs - sentAtMs)), wasKilled: false };
}

/**
 * From when on a log is that of this life, for `since`: seconds since the epoch, 0 for all of it. Not from its start: the
 * first process may write before the engine has noted that it runs, and Podman cuts `since` to whole seconds.
 */
export function logsSince(info: Pick<ContainerInspectInfo, "State" | "RestartCount">): number {
  if ((info.RestartCount ?? 0) === 0) return 0;
  const startedAt = timeOf(info.State.StartedAt) ?? 0;
  const endedAt = timeOf(info.State.FinishedAt) ?? startedAt;
  // Of one that has ended again, the end of the life before is not known any more.
  return Math.min(endedAt, startedAt) / 1000;
}

/** Go's zero time stands for never. */
function timeOf(text: string | undefined): number | undefined {
  if (text === undefined || text.startsWith("0001-")) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) || ms <= 0 ? undefined : ms;
}

/** Before the start there are no bindings; of IPv4 and IPv6 both, one line each. */
export function publishedOf(
  ports: Readonly<Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>>,
): readonly PublishedPort[] {
  return Object.entries(ports).flatMap(([key, bindings]) => {
    const [port = "", protocol] = key.split("/");
    return (bindings ?? []).map(({ HostIp, HostPort }) => ({
      port: Number(port),
      protocol: protocol === "udp" ? ("udp" as const) : ("tcp" as const),
      hostIp: HostIp === "" ? "0.0.0.0" : HostIp,
      hostPort: Number(HostPort),
    }));
  });
}
