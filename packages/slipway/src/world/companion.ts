/**
 * A program that runs beside the world and with it: the observer. The world starts it once it is up and waits for
 * nothing; a program that dies is started again, ever more patiently, and after too many deaths in a row not any more.
 *
 * Who dies with whom: the channel between the two closes with the world, however that dies, and ends the program, which
 * finishes what it is writing. `slipway local down` ends one that does not obey, by the pid in world.json.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { getCompileCacheDir } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Clock, startTicksOf } from "@slipway/base";

/** What the command line gives the world to start. */
export interface CompanionSpec {
  /** Absolute path of the program. */
  readonly entry: string;
  /** Handed to it as JSON on its standard input, together with the state of the world. */
  readonly input: unknown;
}

export interface CompanionState {
  readonly state: "starting" | "running" | "waiting" | "given-up";
  readonly pid: number | undefined;
  readonly startTicks: string | undefined;
  /** Where the command line asks it. */
  readonly control: { readonly url: string; readonly token: string } | undefined;
  /** Where Prometheus reads of it. */
  readonly metrics: string | undefined;
  /** Where its pages are, and what opens them. */
  readonly url: string | undefined;
  readonly token: string | undefined;
  /** How often it died. */
  readonly deaths: number;
  /** What it ended with the last time. */
  readonly problem: string | undefined;
}

/** What it says to the world. */
export type FromCompanion =
  | {
      readonly kind: "ready";
      readonly control: { readonly url: string; readonly token: string };
      readonly metrics?: string | undefined;
      readonly url?: string | undefined;
      readonly token?: string | undefined;
    }
  | { readonly kind: "figures"; readonly figures: unknown }
  | { readonly kind: "problem"; readonly text: string };

export interface CompanionOptions {
  readonly spec: CompanionSpec;
  readonly cwd: string;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  /** What else it gets as `world`, read at each start. */
  readonly world: () => unknown;
  readonly onChange: () => void;
}

export interface Companion {
  start(): void;
  state(): CompanionState;
  /** What it says of itself; undefined when it does not answer. */
  figures(): Promise<unknown>;
  /** Starts it anew when this is something else than what it was started with. */
  update(spec: CompanionSpec): Promise<void>;
  stop(): Promise<void>;
}

const WAITS_MS = [500, 1000, 2000, 5000, 10_000, 30_000] as const;
/** Whoever ran for so long starts with a clean slate. */
const WELL_AFTER_MS = 60_000;
const FIGURES_MS = 1000;
const STOP_MS = 5000;

export function createCompanion(options: CompanionOptions): Companion {
  const { clock, log, onChange } = options;
  let { spec } = options;
  let isAskedToEnd = false;
  const stopping = new AbortController();
  let child: ChildProcess | undefined;
  let gone: Promise<void> = Promise.resolve();
  let inARow = 0;
  let waitingForFigures: ((figures: unknown) => void)[] = [];
  let current: CompanionState = {
    state: "starting",
    pid: undefined,
    startTicks: undefined,
    control: undefined,
    metrics: undefined,
    url: undefined,
    token: undefined,
    deaths: 0,
    problem: undefined,
  };
  const change = (to: Partial<CompanionState>): void => {
    current = { ...current, ...to };
    if (!stopping.signal.aborted) onChange();
  };

  function launch(): void {
    const startedAt = clock.monotonic();
    const started = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", spec.entry],
      {
        cwd: options.cwd,
        env: { ...process.env, ...compileCache(), UV_THREADPOOL_SIZE: "16" },
        stdio: ["pipe", "inherit", "inherit", "ipc"],
      },
    );
    child = started;
    started.stdin?.on("error", () => {}); // it ended before it had read
    started.stdin?.end(JSON.stringify({ ...(spec.input as object), world: options.world() }));
    started.on("message", (message: FromCompanion) => hear(message));
    change({
      state: "starting",
      pid: started.pid,
      startTicks: started.pid === undefined ? undefined : startTicksOf(started.pid),
    });
    gone = new Promise((resolve) => {
      const end = (how: string): void => {
        if (child !== started) return;
        child = undefined;
        resolve();
        died(how, clock.monotonic() - startedAt);
      };
      started.once("error", (error) => end(error.message));
      started.once("exit", (code, signal) =>
        end(signal === null ? `ended with ${code}` : `killed by ${signal}`),
      );
    });
  }

  function hear(message: FromCompanion): void {
    if (message.kind === "ready") {
      const { control, metrics, url, token } = message;
      change({ state: "running", control, metrics, url, token, problem: undefined });
    } else if (message.kind === "problem") change({ problem: message.text });
    else {
      for (const answer of waitingForFigures) answer(message.figures);
      waitingForFigures = [];
    }
  }

  function died(how: string, ranMs: number): void {
    if (stopping.signal.aborted || isAskedToEnd) return;
    inARow = ranMs >= WELL_AFTER_MS ? 1 : inARow + 1;
    const wait = WAITS_MS[inARow - 1];
    const reset = {
      pid: undefined,
      startTicks: undefined,
      control: undefined,
      metrics: undefined,
      url: undefined,
      deaths: current.deaths + 1,
    };
    const problem = current.problem ?? how;
    log(`observer: ${how}${wait === undefined ? `, ${inARow} times in a row: not started again` : ""}`);
    change({ ...reset, problem, state: wait === undefined ? "given-up" : "waiting" });
    if (wait === undefined) return;
    void clock.sleep(wait, stopping.signal).then(launch, () => undefined);
  }

  async function end(): Promise<void> {
    if (child === undefined) return;
    const ending = child;
    if (ending.connected) ending.disconnect();
    const timer = new AbortController();
    void clock.sleep(STOP_MS, timer.signal).then(
      () => ending.kill("SIGKILL"),
      () => undefined,
    );
    await gone;
    timer.abort();
  }

  return {
    start: launch,
    state: () => current,
    figures() {
      if (child?.connected !== true || current.state !== "running") return Promise.resolve(undefined);
      child.send({ kind: "figures" });
      const answer = new Promise((resolve) => void waitingForFigures.push(resolve));
      const answered = new AbortController();
      const late = clock.sleep(FIGURES_MS, answered.signal).catch(() => undefined);
      return Promise.race([answer, late]).finally(() => answered.abort());
    },
    async update(next) {
      if (JSON.stringify(next) === JSON.stringify(spec)) return;
      spec = next;
      if (child === undefined || isAskedToEnd) return; // the next start has it
      log("observer: the configuration has changed, starting it anew");
      isAskedToEnd = true;
      await end();
      isAskedToEnd = false;
      if (!stopping.signal.aborted) launch();
    },
    async stop() {
      stopping.abort();
      await end();
    },
  };
}

/** Its programs are many: what was compiled once is not compiled again. */
function compileCache(): NodeJS.ProcessEnv {
  const directory = getCompileCacheDir();
  return {
    NODE_COMPILE_CACHE: directory === undefined ? join(tmpdir(), "node-compile-cache") : dirname(directory),
  };
}
