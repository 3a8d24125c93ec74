/** One container of a Docker or Podman engine, behind the port. */
import { type Clock, SlipwayError } from "@slipway/base";
import type Docker from "dockerode";
import type {
  Container,
  ContainerFiles,
  ContainerLogs,
  ContainerProcess,
  ContainerState,
  ExecOptions,
  ExecResult,
  HealthcheckSpec,
  InsideRequest,
  InsideResponse,
  ListeningSocket,
  PublishedPort,
  ReachResult,
  ServiceSpec,
  Unseen,
} from "../engine.ts";
import { finishedLines } from "../finished-lines.ts";
import { HealthWatch } from "../health-watch.ts";
import { registeredName } from "./create-options.ts";
import { execIn } from "./exec.ts";
import { inspect } from "./inspect.ts";
import type { Look } from "./look.ts";
import { lateStop, logsSince, publishedOf, stateOf } from "./state.ts";
import { statusOf } from "./status.ts";
import { Demultiplexer } from "./streams.ts";

const LOG_LIMIT = 1024 * 1024;
const NOT_MODIFIED = 304;
const NOT_FOUND = 404;
const CONFLICT = 409;
const REMOVE_TRIES = 100;
const REMOVE_PAUSE_MS = 100;
const REGISTERED_WITHIN_MS = 15_000;
const REGISTERED_PAUSE_MS = 20;

export interface DockerContainerOptions {
  readonly docker: Docker;
  readonly id: string;
  readonly service: ServiceSpec;
  readonly clock: Clock;
  readonly stopSignal: string;
  readonly healthcheck: HealthcheckSpec | undefined;
  /** How to see what runs in it; made anew for each of its first processes. */
  readonly look: (pid: number) => Look;
  /** The engine's name server hears of it only after its start. */
  readonly registersLate: boolean;
}

export class DockerContainer implements Container {
  readonly service: ServiceSpec;
  readonly #options: DockerContainerOptions;
  readonly #container: Docker.Container;
  #look: { readonly pid: number; readonly look: Look } | undefined;
  #health: HealthWatch | undefined;
  /** Ends the healthchecks of the life that is watched. */
  #watched = new AbortController();
  #execs = 0;

  constructor(options: DockerContainerOptions) {
    this.#options = options;
    this.service = options.service;
    this.#container = options.docker.getContainer(options.id);
  }

  get id(): string {
    return this.#options.id;
  }

  get execs(): number {
    return this.#execs + (this.#look?.look.execs ?? 0);
  }

  async start(): Promise<void> {
    try {
      await this.#container.start();
      await this.state();
      if (this.#options.registersLate) await this.#registered();
    } catch (error) {
      if (statusOf(error) === NOT_MODIFIED) return;
      throw new SlipwayError({
        code: "CONTAINER_NOT_STARTED",
        where: this.service.name,
        message: error instanceof Error ? error.message : String(error),
        cause: error,
        exitCode: 1,
      });
    }
  }

  /** Else who starts next, and asks for it in its first moment, would not find it. Gives up after a while, or at its end. */
  async #registered(): Promise<void> {
    const { clock } = this.#options;
    const deadline = clock.monotonic() + REGISTERED_WITHIN_MS;
    while (clock.monotonic() < deadline) {
      const found = await this.resolve(registeredName(this.service.name), REGISTERED_WITHIN_MS);
      if ("unseen" in found || found.length > 0) return;
      await clock.sleep(REGISTERED_PAUSE_MS);
    }
  }

  async state(): Promise<ContainerState> {
    const state = stateOf(await inspect(this.#container));
    const watch = this.#watchHealth(state);
    if (watch === undefined) return state;
    return { ...state, health: watch.health.status, healthOutput: watch.health.output };
  }

  /** One watch for each life; of one that has ended, what was seen last stays. */
  #watchHealth({ status, startedAtMs }: ContainerState): HealthWatch | undefined {
    const { healthcheck, clock } = this.#options;
    if (healthcheck === undefined || startedAtMs === undefined) return undefined;
    if (status !== "running") this.#watched.abort();
    else if (this.#health?.startedAtMs !== startedAtMs) {
      this.#watched.abort();
      this.#watched = new AbortController();
      this.#health = new HealthWatch({
        check: healthcheck,
        startedAtMs,
        clock,
        over: this.#watched.signal,
        exec: (argv, timeoutMs) => this.#execute(argv, { timeoutMs }),
      });
    }
    return this.#health;
  }

  async exited(signal: AbortSignal): Promise<ContainerState> {
    const now = await this.state();
    if (now.status === "exited") return now;
    await this.#container.wait({ abortSignal: signal });
    return this.state();
  }

  async stop(graceMs: number): Promise<{ readonly tookMs: number; readonly wasKilled: boolean }> {
    const { clock, stopSignal } = this.#options;
    const startedAt = clock.monotonic();
    const sentAtMs = clock.now();
    if (!(await this.#signal(stopSignal))) return { tookMs: 0, wasKilled: false };
    const tooLate = new AbortController();
    const ended = new AbortController();
    const grace = clock.sleep(graceMs, ended.signal).then(
      () => tooLate.abort(),
      () => {},
    );
    try {
      await this.exited(tooLate.signal);
      return { tookMs: clock.monotonic() - startedAt, wasKilled: false };
    } catch (error) {
      if (!tooLate.signal.aborted) throw error;
      const couldKill = await this.#signal("SIGKILL");
      const { finishedAtMs } = await this.exited(new AbortController().signal);
      return lateStop({ couldKill, waitedMs: clock.monotonic() - startedAt, sentAtMs, finishedAtMs });
    } finally {
      ended.abort();
      await grace;
    }
  }

  /** False when it does not run (any more). */
  async #signal(signal: string): Promise<boolean> {
    try {
      await this.#container.kill({ signal });
      return true;
    } catch (error) {
      const status = statusOf(error);
      if (status === CONFLICT || status === NOT_FOUND) return false;
      // Podman answers 500 for a container that has just ended.
      if (!(await inspect(this.#container)).State.Running) return false;
      throw error;
    }
  }

  async logs(): Promise<ContainerLogs> {
    const info = await inspect(this.#container);
    const frames = new Demultiplexer(LOG_LIMIT);
    const bytes = await this.#container.logs({
      stdout: true,
      stderr: true,
      follow: false,
      since: logsSince(info),
    });
    frames.push(bytes as unknown as Buffer);
    const isRunning = stateOf(info).status === "running";
    const { stdout, stderr } = frames.output();
    return { stdout: finishedLines(stdout, isRunning), stderr: finishedLines(stderr, isRunning) };
  }

  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    this.#execs += 1;
    return this.#execute(argv, options);
  }

  async #execute(argv: readonly string[], options: ExecOptions): Promise<ExecResult> {
    const look = await this.#looking();
    return execIn(this.#container, argv, options, {
      clock: this.#options.clock,
      docker: this.#options.docker,
      isProgramThere: async (program) => {
        const files = "unseen" in look ? look : await look.files();
        if ("unseen" in files) return undefined;
        return hasProgram(files, program, await this.#path());
      },
    });
  }

  async #path(): Promise<string> {
    const { Config } = await inspect(this.#container);
    const entry = Config.Env?.find((line) => line.startsWith("PATH="));
    return entry?.slice("PATH=".length) ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  }

  async #looking(): Promise<Look | Unseen> {
    const { State } = await inspect(this.#container);
    if (!State.Running) return { unseen: `${this.service.name} does not run` };
    if (this.#look?.pid !== State.Pid) {
      const execs = this.#look?.look.execs ?? 0;
      this.#look?.look.close();
      this.#execs += execs;
      this.#look = { pid: State.Pid, look: this.#options.look(State.Pid) };
    }
    return this.#look.look;
  }

  async #seen<T>(see: (look: Look) => Promise<T | Unseen>): Promise<T | Unseen> {
    const look = await this.#looking();
    return "unseen" in look ? look : see(look);
  }

  files(): Promise<ContainerFiles | Unseen> {
    return this.#seen((look) => look.files());
  }
  processes(): Promise<readonly ContainerProcess[] | Unseen> {
    return this.#seen((look) => look.processes());
  }
  sockets(): Promise<readonly ListeningSocket[] | Unseen> {
    return this.#seen((look) => look.sockets());
  }
  http(request: InsideRequest): Promise<InsideResponse | Unseen> {
    return this.#seen((look) => look.http(request));
  }
  reach(host: string, port: number, timeoutMs: number): Promise<ReachResult | Unseen> {
    return this.#seen((look) => look.reach(host, port, timeoutMs));
  }
  resolve(name: string, timeoutMs: number): Promise<readonly string[] | Unseen> {
    return this.#seen((look) => look.resolve(name, timeoutMs));
  }

  async published(): Promise<readonly PublishedPort[]> {
    const { NetworkSettings } = await inspect(this.#container);
    return publishedOf(NetworkSettings.Ports ?? {});
  }

  async remove(): Promise<void> {
    this.#watched.abort();
    this.#look?.look.close();
    await removeByForce(this.#container, this.#options.clock);
  }
}

/** Resolves when it is gone, also when somebody else removes it at the same time. */
export async function removeByForce(container: Docker.Container, clock: Clock): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await container.remove({ force: true, v: true });
      return;
    } catch (error) {
      const status = statusOf(error);
      if (status === NOT_FOUND) return;
      // 409: its removal, or a restart, is going on.
      if (status !== CONFLICT || tries >= REMOVE_TRIES) throw error;
      await clock.sleep(REMOVE_PAUSE_MS);
    }
  }
}

async function hasProgram(files: ContainerFiles, program: string, path: string): Promise<boolean> {
  const candidates = program.includes("/")
    ? [program]
    : path.split(":").map((folder) => `${folder || "."}/${program}`);
  for (const candidate of candidates) {
    if ((await files.lookup(candidate)).kind === "found") return true;
  }
  return false;
}
