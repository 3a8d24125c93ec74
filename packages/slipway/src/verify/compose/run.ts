/** Carries `decide` out on an engine: starts what may start, looks, and ends at once when it can only fail. */
import { type Clock, formatDuration, SlipwayError } from "@slipway/base";
import type { Container, Project } from "../engines/engine.ts";
import type { ReadyWhen } from "../readiness/forms.ts";
import { ReadinessWatch } from "../readiness/watch.ts";
import { decide, needsSockets, type ServiceView, type UpFailure } from "./decide.ts";

const FIRST_LOOK_MS = 10;
const LAST_LOOK_MS = 100;
const LOG_LINES = 20;

export interface UpOptions {
  readonly clock: Clock;
  /** From the first start to the last that is ready. */
  readonly deadlineMs: number;
  /** With their ports (`completedFor`). */
  readonly readyWhen?: ReadyWhen;
  readonly signal?: AbortSignal;
  readonly onStarted?: (service: string) => void;
}

export type UpResult =
  | { readonly kind: "ready"; readonly tookMs: number }
  | {
      readonly kind: "failed";
      readonly failure: UpFailure;
      /** The last lines of the service that failed, in both streams. */
      readonly log: readonly string[];
      readonly notStarted: readonly string[];
      readonly tookMs: number;
    };

/** Rejects only when the engine fails, or with the signal's reason. What runs then keeps running. */
export async function bringUp(project: Project, options: UpOptions): Promise<UpResult> {
  const over = new AbortController();
  try {
    return await untilReady(project, options, over.signal);
  } finally {
    over.abort();
  }
}

async function untilReady(project: Project, options: UpOptions, over: AbortSignal): Promise<UpResult> {
  const { clock, deadlineMs, signal, readyWhen = {} } = options;
  const startedAt = clock.monotonic();
  const { services } = project.spec;
  const asked = new Set<string>();
  const errors = new Map<string, string>();
  const broken: unknown[] = [];
  // A start that takes long must not keep anybody from seeing that another service has ended.
  const start = async (name: string): Promise<void> => {
    asked.add(name);
    try {
      await project.container(name).start();
      options.onStarted?.(name);
    } catch (error) {
      if (!(error instanceof SlipwayError && error.code === "CONTAINER_NOT_STARTED")) broken.push(error);
      errors.set(name, error instanceof Error ? error.message : String(error));
    }
  };
  const watches = new Map<string, ReadinessWatch>();
  const watch = (service: string): ReadinessWatch | undefined => {
    const readiness = readyWhen[service];
    if (readiness === undefined) return undefined;
    const container = project.container(service);
    const known = watches.get(service) ?? new ReadinessWatch({ container, readiness, clock, over });
    watches.set(service, known);
    return known;
  };
  let pauseMs = FIRST_LOOK_MS;
  for (;;) {
    signal?.throwIfAborted();
    if (broken.length > 0) throw broken[0];
    const nowMs = clock.now();
    const views = await look(project, asked, errors, watch, nowMs);
    const decision = decide(services, views, nowMs, readyWhen);
    const tookMs = Math.round(clock.monotonic() - startedAt);
    if (decision.isReady) return { kind: "ready", tookMs };
    const failure =
      decision.failure ?? (tookMs < deadlineMs ? undefined : late(decision.waiting, deadlineMs));
    if (failure !== undefined) {
      const notStarted = services.map(({ name }) => name).filter((name) => !asked.has(name));
      const log = await lastLines(project.container(failure.service));
      return { kind: "failed", failure, log, notStarted, tookMs };
    }
    const starting = decision.start.map(start);
    if (starting.length > 0) {
      pauseMs = FIRST_LOOK_MS;
      await Promise.race([Promise.all(starting), clock.sleep(LAST_LOOK_MS, signal)]);
      continue;
    }
    await clock.sleep(Math.min(pauseMs, Math.max(1, deadlineMs - tookMs)), signal);
    pauseMs = Math.min(pauseMs * 1.5, LAST_LOOK_MS);
  }
}

async function look(
  project: Project,
  asked: ReadonlySet<string>,
  errors: ReadonlyMap<string, string>,
  watch: (service: string) => ReadinessWatch | undefined,
  nowMs: number,
): Promise<ReadonlyMap<string, ServiceView>> {
  const views = project.spec.services.map(async (service) => {
    const container = project.container(service.name);
    const view: ServiceView = {
      isAsked: asked.has(service.name),
      startError: errors.get(service.name),
      state: await container.state(),
      sockets: undefined,
    };
    const watched = view.isAsked && view.state.status !== "created" ? watch(service.name) : undefined;
    if (watched !== undefined) return [service.name, { ...view, sight: watched.sight }] as const;
    const isWanted = view.isAsked && needsSockets(service, view, nowMs);
    return [service.name, isWanted ? { ...view, sockets: await container.sockets() } : view] as const;
  });
  return new Map(await Promise.all(views));
}

function late(
  waiting: readonly { readonly service: string; readonly for: string }[],
  deadlineMs: number,
): UpFailure {
  // Who waits for another is not the cause; who was started and is not ready is.
  const [first, ...others] = waiting.toSorted(
    (a, b) => Number(isForAnother(a.for)) - Number(isForAnother(b.for)),
  );
  const more = others
    .filter((one) => !isForAnother(one.for))
    .map((one) => `\n  ${one.service} is waiting for ${one.for}`);
  return {
    kind: "late",
    service: first?.service ?? "",
    message: `is not ready after ${formatDuration(deadlineMs)}: waiting for ${first?.for ?? "nothing"}${more.join("")}`,
  };
}

const isForAnother = (text: string): boolean =>
  / to (?:start|complete|be healthy)$/.test(text) && !text.startsWith("it ");

async function lastLines(container: Container): Promise<readonly string[]> {
  const { stdout, stderr } = await container.logs();
  const lines = (text: string): string[] =>
    text
      .split("\n")
      .filter((line) => line !== "")
      .slice(-LOG_LINES);
  return [...lines(stdout), ...lines(stderr)].slice(-LOG_LINES);
}

/** The failure for people: what ended, its last words, and who never began because of it. */
export function upError(result: UpResult & { readonly kind: "failed" }): SlipwayError {
  const { failure, log, notStarted } = result;
  const lines = log.map((line) => `\n  ${failure.service} | ${line}`).join("");
  const others = notStarted.length === 0 ? "" : `\n  not started: ${notStarted.join(", ")}`;
  return new SlipwayError({
    code: `COMPOSE_SERVICE_${failure.kind.toUpperCase().replaceAll("-", "_")}`,
    where: `services/${failure.service}`,
    message: `${failure.message}${lines}${others}`,
    // What cannot be seen here is no fault of the service.
    exitCode: failure.kind === "unseen" ? 3 : 1,
  });
}
