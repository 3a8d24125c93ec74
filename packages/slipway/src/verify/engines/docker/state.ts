/** What an engine's inspection says, as the port says it. Pure. */
import type { ContainerInspectInfo } from "dockerode";
import type { ContainerState } from "../engine.ts";

/** Exit codes above this name the signal that ended the process, as shells have it. */
const SIGNAL_BASE = 128;
const LAST_SIGNAL = 64;

export function stateOf(info: Pick<ContainerInspectInfo, "State" | "RestartCount">): ContainerState {
  const { State } = info;
  const hasEnded = !State.Running && timeOf(State.FinishedAt) !== undefined;
  const status = State.Running ? "running" : hasEnded ? "exited" : "created";
  const exitCode = status === "exited" ? State.ExitCode : undefined;
  const signal = exitCode === undefined ? undefined : exitCode - SIGNAL_BASE;
  return {
    status,
    exitCode,
    signal: signal !== undefined && signal > 0 && signal <= LAST_SIGNAL ? signal : undefined,
    isOomKilled: State.OOMKilled,
    restarts: info.RestartCount ?? 0,
    startedAtMs: timeOf(State.StartedAt),
    finishedAtMs: status === "exited" ? timeOf(State.FinishedAt) : undefined,
    health: healthOf(State.Health?.Status),
    healthOutput: State.Health?.Log?.at(-1)?.Output,
  };
}

/** Podman says "" where there is no healthcheck, Docker leaves it out or says "none". */
function healthOf(status: string | undefined): ContainerState["health"] {
  return status === "starting" || status === "healthy" || status === "unhealthy" ? status : undefined;
}

/** Go's zero time stands for never. */
function timeOf(text: string | undefined): number | undefined {
  if (text === undefined || text.startsWith("0001-")) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) || ms <= 0 ? undefined : ms;
}
