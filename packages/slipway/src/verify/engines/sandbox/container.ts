/**
 * One service in the sandbox: a pod with one container. Starting, stopping, restarts and healthchecks are here; looking
 * inside is in `looks.ts`.
 */
import { Readable } from "node:stream";
import type { Clock } from "@slipway/base";
import type { SandboxRuntime } from "@slipway/cluster/sandbox";
import type {
  Container,
  ContainerLogs,
  ContainerState,
  ExecOptions,
  ExecResult,
  HealthcheckSpec,
  InsideRequest,
  PublishedPort,
  ServiceMount,
  ServiceSpec,
} from "../engine.ts";
import { finishedLines } from "../finished-lines.ts";
import { HealthWatch } from "../health-watch.ts";
import { execFailed, notRunning, notStarted } from "./errors.ts";
import type { Looks } from "./looks.ts";
import { containerMounts } from "./mounts.ts";
import type { OpenPort } from "./published.ts";
import { isRestarted, restartDelay } from "./restarts.ts";

export const CONTAINER = "main";
const LOG_MAX = 1024 * 1024;
const EXEC_TIMEOUT_MS = 30_000;
const FOLLOW_EVERY_MS = 50;
const WHOLE_LOG = {
  tailLines: undefined,
  sinceMs: undefined,
  timestamps: false,
  limitBytes: undefined,
} as const;

export interface ContainerOptions {
  readonly service: ServiceSpec;
  readonly runtime: SandboxRuntime;
  readonly clock: Clock;
  readonly podUid: string;
  /** The process 1 in front of the image's program, where the service wants one. */
  readonly init: ServiceMount | undefined;
  readonly stopSignal: NodeJS.Signals;
  readonly healthcheck: HealthcheckSpec | undefined;
  readonly looks: Looks;
  /** Opens the ports that the service publishes; called when it first starts. */
  readonly publish: () => Promise<readonly OpenPort[]>;
  /** Whether it runs has changed. */
  readonly changed: () => Promise<void>;
}

type Facts = Omit<ContainerState, "health" | "healthOutput">;

export class SandboxContainer implements Container {
  readonly service: ServiceSpec;
  execs = 0;
  readonly #options: ContainerOptions;
  #facts: Facts = {
    status: "created",
    exitCode: undefined,
    signal: undefined,
    isOomKilled: false,
    restarts: 0,
    startedAtMs: undefined,
    finishedAtMs: undefined,
  };
  #attempt = -1;
  /** The newest attempt that came so far that it has a log. */
  #logged = -1;
  #health: HealthWatch | undefined;
  /** Ends the healthchecks of the attempt that runs, or the wait for the next one. */
  #attempted = new AbortController();
  #isStopping = false;
  #delayMs: number | undefined;
  #ports: readonly OpenPort[] = [];
  readonly #waiting = new Set<(state: ContainerState) => void>();

  constructor(options: ContainerOptions) {
    this.#options = options;
    this.service = options.service;
  }

  get isRunning(): boolean {
    return this.#facts.status === "running";
  }

  /** Not yet started, or running: others can find it by name. */
  get isNamed(): boolean {
    return this.#facts.status !== "exited";
  }

  async start(): Promise<void> {
    if (this.isRunning) return;
    this.#isStopping = false;
    if (this.#ports.length === 0) this.#ports = await this.#options.publish();
    await this.#run();
  }

  async #run(): Promise<void> {
    const { runtime, podUid, service, healthcheck, init } = this.#options;
    this.#attempt += 1;
    this.#attempted = new AbortController();
    const wasExited = !this.isNamed;
    try {
      const { startedAtMs } = await runtime.startContainer({
        podUid,
        name: CONTAINER,
        attempt: this.#attempt,
        image: service.name,
        imagePullPolicy: "IfNotPresent",
        command: undefined,
        args: undefined,
        workingDir: undefined,
        env: Object.entries(service.environment).map(([name, value]) => ({ name, value })),
        user: undefined,
        group: undefined,
        runAsNonRoot: false,
        readOnlyRootFilesystem: service.isReadOnly,
        mounts: containerMounts(init === undefined ? service.mounts : [...service.mounts, init]),
        terminationMessagePath: "",
        keepsFiles: true,
      });
      this.#logged = this.#attempt;
      this.#facts = {
        ...this.#facts,
        status: "running",
        exitCode: undefined,
        signal: undefined,
        startedAtMs,
        finishedAtMs: undefined,
      };
      this.#health = healthcheck === undefined ? undefined : this.#watchHealth(healthcheck, startedAtMs);
    } catch (error) {
      throw notStarted(service, error);
    }
    if (wasExited) await this.#options.changed();
  }

  /** Told by the runtime. */
  async hasExited(exit: {
    readonly exitCode: number;
    readonly signal: number | undefined;
    readonly finishedAtMs: number;
  }): Promise<void> {
    const { exitCode, signal, finishedAtMs } = exit;
    const ranMs = finishedAtMs - (this.#facts.startedAtMs ?? finishedAtMs);
    this.#attempted.abort();
    this.#facts = { ...this.#facts, status: "exited", exitCode, signal, finishedAtMs };
    const state = this.#state();
    for (const tell of this.#waiting) tell(state);
    this.#waiting.clear();
    await this.#options.changed();
    if (!this.#isStopping && isRestarted(this.service.restart, exitCode)) await this.#again(ranMs);
  }

  async #again(ranMs: number): Promise<void> {
    this.#delayMs = restartDelay(this.#delayMs, ranMs);
    this.#attempted = new AbortController();
    try {
      await this.#options.clock.sleep(this.#delayMs, this.#attempted.signal);
    } catch {
      return; // stopped, or removed
    }
    if (this.#isStopping) return;
    this.#facts = { ...this.#facts, restarts: this.#facts.restarts + 1 };
    // One that cannot be started again stays exited, with the code it had.
    await this.#run().catch(() => {});
  }

  #watchHealth(check: HealthcheckSpec, startedAtMs: number): HealthWatch {
    return new HealthWatch({
      check,
      startedAtMs,
      clock: this.#options.clock,
      over: this.#attempted.signal,
      exec: (argv, timeoutMs, over) => this.#execute(argv, { timeoutMs }, over),
    });
  }

  #state(): ContainerState {
    const health = this.#health?.health;
    return { ...this.#facts, health: health?.status, healthOutput: health?.output };
  }

  async state(): Promise<ContainerState> {
    return this.#state();
  }

  exited(signal: AbortSignal): Promise<ContainerState> {
    if (this.#facts.status === "exited") return Promise.resolve(this.#state());
    return new Promise((resolve, reject) => {
      const done = (state: ContainerState): void => {
        signal.removeEventListener("abort", abort);
        resolve(state);
      };
      const abort = (): void => {
        this.#waiting.delete(done);
        reject(signal.reason);
      };
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort, { once: true });
      this.#waiting.add(done);
    });
  }

  /** The exit code with which it ended for good, restarts over; undefined when the signal came first. */
  async ended(signal: AbortSignal): Promise<number | undefined> {
    for (;;) {
      const state = await this.exited(signal).catch(() => undefined);
      if (state === undefined) return undefined;
      if (this.#isStopping || !isRestarted(this.service.restart, state.exitCode ?? 0)) return state.exitCode;
      await this.#options.clock.sleep(FOLLOW_EVERY_MS, signal).catch(() => {});
    }
  }

  async stop(graceMs: number): Promise<{ readonly tookMs: number; readonly wasKilled: boolean }> {
    const { runtime, clock, podUid, stopSignal } = this.#options;
    this.#isStopping = true;
    if (!this.isRunning) {
      this.#attempted.abort();
      return { tookMs: 0, wasKilled: false };
    }
    const startedAt = clock.monotonic();
    const over = new AbortController();
    const ended = this.exited(over.signal).then(() => true);
    await runtime.signal(podUid, CONTAINER, stopSignal);
    const late = clock.sleep(graceMs, over.signal).then(
      () => false,
      () => true,
    );
    const hasEnded = await Promise.race([ended, late]);
    if (!hasEnded) await runtime.signal(podUid, CONTAINER, "SIGKILL");
    await ended;
    over.abort();
    await late;
    return { tookMs: Math.round(clock.monotonic() - startedAt), wasKilled: !hasEnded };
  }

  async logs(): Promise<ContainerLogs> {
    const isRunning = this.#facts.status === "running";
    const [stdout, stderr] = await Promise.all([this.#log("stdout"), this.#log("stderr")]);
    return { stdout: finishedLines(stdout, isRunning), stderr: finishedLines(stderr, isRunning) };
  }

  async #log(stream: "stdout" | "stderr"): Promise<string> {
    if (this.#logged < 0) return "";
    const { runtime, podUid } = this.#options;
    const { signal } = new AbortController();
    const pieces = runtime.logs(podUid, CONTAINER, this.#logged, {
      ...WHOLE_LOG,
      follow: false,
      stream,
      signal,
    });
    const kept: Uint8Array[] = [];
    for await (const piece of pieces) kept.push(piece);
    const text = Buffer.concat(kept);
    return text.subarray(Math.max(0, text.length - LOG_MAX)).toString("utf8");
  }

  /** Each line of a stream as it is written, in this attempt and in all later ones, until the signal. */
  async *follow(stream: "stdout" | "stderr", signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { runtime, clock, podUid } = this.#options;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      while (attempt > this.#logged && !signal.aborted)
        await clock.sleep(FOLLOW_EVERY_MS, signal).catch(() => {});
      if (signal.aborted) return;
      yield* runtime.logs(podUid, CONTAINER, attempt, { ...WHOLE_LOG, follow: true, stream, signal });
    }
  }

  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    this.execs += 1;
    return await this.#execute(argv, options);
  }

  async #execute(argv: readonly string[], options: ExecOptions, signal?: AbortSignal): Promise<ExecResult> {
    const { runtime, clock, podUid, service } = this.#options;
    if (!this.isRunning) throw notRunning(service);
    const output: Record<"stdout" | "stderr", Uint8Array[]> = { stdout: [], stderr: [] };
    const startedAt = clock.monotonic();
    const { environment, user, workingDir, stdin } = options;
    let exitCode = -1;
    let hasTimedOut = false;
    try {
      ({ exitCode } = await runtime.exec(podUid, CONTAINER, argv, {
        timeoutMs: options.timeoutMs ?? EXEC_TIMEOUT_MS,
        stdout: (chunk) => void output.stdout.push(chunk),
        stderr: (chunk) => void output.stderr.push(chunk),
        ...(stdin === undefined ? {} : { stdin: Readable.from([Buffer.from(stdin)]) }),
        ...(environment === undefined ? {} : { env: environment }),
        ...(user === undefined ? {} : { user }),
        ...(workingDir === undefined ? {} : { workingDir }),
        ...(signal === undefined ? {} : { signal }),
      }));
    } catch (error) {
      if ((error as { code?: unknown }).code !== "ETIMEDOUT") throw execFailed(service, argv, error);
      hasTimedOut = true;
      exitCode = 137;
    }
    const text = (stream: "stdout" | "stderr"): string => Buffer.concat(output[stream]).toString("utf8");
    return {
      exitCode,
      stdout: text("stdout"),
      stderr: text("stderr"),
      tookMs: Math.round(clock.monotonic() - startedAt),
      hasTimedOut,
    };
  }

  files() {
    return this.#options.looks.files();
  }

  processes() {
    return this.#options.looks.processes();
  }

  sockets() {
    return this.#options.looks.sockets();
  }

  http(request: InsideRequest) {
    return this.#options.looks.http(request);
  }

  reach(host: string, port: number, timeoutMs: number) {
    return this.#options.looks.reach(host, port, timeoutMs);
  }

  resolve(name: string, timeoutMs: number) {
    return this.#options.looks.resolve(name, timeoutMs);
  }

  async published(): Promise<readonly PublishedPort[]> {
    return this.#ports.map(({ port }) => port);
  }

  async remove(): Promise<void> {
    this.#isStopping = true;
    this.#attempted.abort();
    this.#options.looks.close();
    await Promise.all(this.#ports.map((port) => port.close()));
  }
}
