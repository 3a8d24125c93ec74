/**
 * Bringing a project up, as a decision: from what each service is doing now to what is started next, and whether all is
 * ready, or can never be. Nobody waits for a fixed time, and nothing is dialled.
 *
 * A service is ready when what its spec file says of it is so; without that, when its healthcheck says so; without one,
 * when every TCP port that it exposes is in LISTEN; without any, when it has run for a moment. One that others wait for to
 * complete is ready when it has ended with 0.
 */
import {
  type ContainerState,
  isUnseen,
  type ListeningSocket,
  type ServiceSpec,
  type Unseen,
} from "../engines/engine.ts";
import { isRestarted } from "../engines/sandbox/restarts.ts";
import type { ReadyWhen } from "../readiness/forms.ts";
import { judgeReadiness, type ReadinessSight, showListening } from "../readiness/judge.ts";
import { quote } from "../text.ts";

/** A program that cannot run ends sooner than this. */
export const ALIVE_MS = 300;

export interface ServiceView {
  /** Whether it was told to start. */
  readonly isAsked: boolean;
  /** Why it could not be started. */
  readonly startError: string | undefined;
  readonly state: ContainerState;
  /** Undefined: not looked at. */
  readonly sockets: readonly ListeningSocket[] | Unseen | undefined;
  /** Of a service whose readiness is said; undefined: nobody has looked yet. */
  readonly sight?: ReadinessSight | undefined;
}

export type FailureKind = "not-started" | "exited" | "unhealthy" | "no-healthcheck" | "unseen" | "late";

export interface UpFailure {
  readonly kind: FailureKind;
  readonly service: string;
  /** A fact, without the service's name. */
  readonly message: string;
}

export interface UpDecision {
  readonly start: readonly string[];
  readonly isReady: boolean;
  readonly failure: UpFailure | undefined;
  /** What is still waited for, for people. */
  readonly waiting: readonly { readonly service: string; readonly for: string }[];
}

type Readiness =
  | { readonly kind: "ready" }
  | { readonly kind: "waiting"; readonly for: string }
  | { readonly kind: "failed"; readonly failure: UpFailure };

const READY: Readiness = { kind: "ready" };

/** `nowMs` as in `ContainerState`. */
export function decide(
  services: readonly ServiceSpec[],
  views: ReadonlyMap<string, ServiceView>,
  nowMs: number,
  readyWhen: ReadyWhen = {},
): UpDecision {
  const start: string[] = [];
  const waiting: { service: string; for: string }[] = [];
  let failure: UpFailure | undefined;
  for (const service of services) {
    const view = views.get(service.name);
    if (view === undefined) continue;
    if (!view.isAsked) {
      const gate = gateOf(service, views);
      if (gate.kind === "ready") start.push(service.name);
      else if (gate.kind === "failed") failure ??= gate.failure;
      if (gate.kind !== "failed")
        waiting.push({ service: service.name, for: gate.kind === "ready" ? "its start" : gate.for });
      continue;
    }
    const isToEnd = isToComplete(service, services);
    const said = readyWhen[service.name];
    const readiness =
      said === undefined || view.startError !== undefined || view.state.status === "created"
        ? readinessOf(service, view, isToEnd, nowMs)
        : saidReadiness(said, service, view, isToEnd);
    if (readiness.kind === "waiting") waiting.push({ service: service.name, for: readiness.for });
    // The one that ended first is the cause, the others may be its victims.
    if (readiness.kind === "failed") failure = earlier(failure, readiness.failure, views);
  }
  return { start, waiting, failure, isReady: failure === undefined && start.length + waiting.length === 0 };
}

function saidReadiness(
  said: ReadyWhen[string],
  service: ServiceSpec,
  { sight = UNLOOKED, state }: ServiceView,
  isToEnd: boolean,
): Readiness {
  const judgement = judgeReadiness(said, sight, { state, restart: service.restart, isToEnd });
  if (judgement.kind !== "failed") return judgement;
  const { failure: kind, message } = judgement;
  return { kind: "failed", failure: { kind, service: service.name, message } };
}

const UNLOOKED: ReadinessSight = { leaves: new Map(), waitedMs: 0, isLast: false };

/** Whether its sockets are needed to say more: of one without ports, whether there is still somebody to have some. */
export function needsSockets(service: ServiceSpec, { state }: ServiceView, nowMs: number): boolean {
  if (state.status !== "running" || state.health !== undefined) return false;
  return tcpPorts(service).length > 0 || hasLived(state, nowMs);
}

export function isToComplete(service: ServiceSpec, services: readonly ServiceSpec[]): boolean {
  return services.some(({ dependsOn }) =>
    dependsOn.some((one) => one.service === service.name && one.condition === "completed"),
  );
}

/** Whether it may start. */
function gateOf(service: ServiceSpec, views: ReadonlyMap<string, ServiceView>): Readiness {
  for (const { service: name, condition } of service.dependsOn) {
    const view = views.get(name);
    if (view === undefined) continue; // left out: it was not required
    const { state } = view;
    if (condition === "started") {
      if (state.status === "created") return { kind: "waiting", for: `${name} to start` };
    } else if (condition === "completed") {
      if (state.status !== "exited" || state.exitCode !== 0)
        return { kind: "waiting", for: `${name} to complete` };
    } else if (state.status !== "created" && state.health === undefined) {
      const message = `waits for ${name} to be healthy, and ${name} has no healthcheck`;
      return { kind: "failed", failure: { kind: "no-healthcheck", service: service.name, message } };
    } else if (state.health !== "healthy") return { kind: "waiting", for: `${name} to be healthy` };
  }
  return READY;
}

function readinessOf(service: ServiceSpec, view: ServiceView, isToEnd: boolean, nowMs: number): Readiness {
  const { state, startError } = view;
  const failed = (kind: FailureKind, message: string): Readiness => ({
    kind: "failed",
    failure: { kind, service: service.name, message },
  });
  if (startError !== undefined) return failed("not-started", `could not be started: ${startError}`);
  if (state.status === "created") return { kind: "waiting", for: "its start" };
  if (state.status === "exited") {
    const code = state.exitCode ?? 0;
    if (isToEnd && code === 0) return READY;
    if (isRestarted(service.restart, code))
      return { kind: "waiting", for: `a restart after exit code ${code}` };
    return failed("exited", `exited with ${code}${state.isOomKilled ? ", killed for its memory" : ""}`);
  }
  if (isToEnd) return { kind: "waiting", for: "it to complete" };
  if (state.health === "healthy") return READY;
  if (state.health === "unhealthy")
    return failed("unhealthy", `is unhealthy: ${state.healthOutput?.trim() || "its healthcheck fails"}`);
  if (state.health === "starting") {
    const output = state.healthOutput?.trim();
    return { kind: "waiting", for: `its healthcheck${output ? ` (${quote(output)})` : ""}` };
  }
  // A state may be old news where the machine is busy.
  if (view.sockets !== undefined && isUnseen(view.sockets) && view.sockets.isOver === true)
    return { kind: "waiting", for: "how it ended" };
  const ports = tcpPorts(service);
  if (ports.length > 0 && (view.sockets === undefined || !isUnseen(view.sockets))) {
    const closed = ports.filter((port) => !isListening(view.sockets, port));
    if (closed.length === 0) return READY;
    const soFar = view.sockets === undefined ? "" : ` (${showListening(view.sockets)})`;
    return { kind: "waiting", for: `port ${closed.join(", ")} to listen${soFar}` };
  }
  return hasLived(state, nowMs) ? READY : { kind: "waiting", for: `it to run for ${ALIVE_MS} ms` };
}

const hasLived = ({ startedAtMs }: ContainerState, nowMs: number): boolean =>
  nowMs - (startedAtMs ?? nowMs) >= ALIVE_MS;

function tcpPorts(service: ServiceSpec): readonly number[] {
  return service.exposed.filter(({ protocol }) => protocol === "tcp").map(({ port }) => port);
}

function isListening(sockets: ServiceView["sockets"], port: number): boolean {
  return (
    Array.isArray(sockets) &&
    sockets.some((socket: ListeningSocket) => socket.protocol === "tcp" && socket.port === port)
  );
}

function earlier(
  one: UpFailure | undefined,
  other: UpFailure,
  views: ReadonlyMap<string, ServiceView>,
): UpFailure {
  if (one === undefined) return other;
  const endOf = ({ service }: UpFailure): number =>
    views.get(service)?.state.finishedAtMs ?? Number.POSITIVE_INFINITY;
  return endOf(other) < endOf(one) ? other : one;
}
