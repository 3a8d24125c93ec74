/**
 * For tests of what observes: an engine whose containers are processes of this machine, with no wall around them. Its
 * ports, processes, logs and exit codes are real. Nothing but tests may use it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { lookup } from "node:dns/promises";
import { readdir, readFile, readlink } from "node:fs/promises";
import { connect } from "node:net";
import { type Clock, SlipwayError, until } from "@slipway/base";
import type {
  Container,
  ContainerProcess,
  ContainerState,
  Engine,
  ExecOptions,
  ExecResult,
  InsideRequest,
  InsideResponse,
  ListeningSocket,
  Project,
  ProjectSpec,
  ReachResult,
  ServiceSpec,
  Unseen,
} from "../engines/engine.ts";
import { programAt } from "../engines/inside/processes.ts";
import { parseSocket } from "../engines/inside/sockets.ts";
import { aState } from "../engines/testing.ts";

export interface TestingEngine extends Engine {
  /** Projects made and removed so far, and commands executed. */
  readonly made: number;
  readonly removed: number;
  readonly execs: number;
}

export interface TestingOptions {
  /** What the engine cannot show. */
  readonly blind?: readonly ("sockets" | "processes")[];
  /** What a container's log has when its start is over; undefined: it is over when the process is there. */
  readonly startedWhen?: string;
}

export function testingEngine(clock: Clock, options: TestingOptions = {}): TestingEngine {
  const counts = { made: 0, removed: 0 };
  const containers: MachineContainer[] = [];
  return {
    name: "sandbox",
    description: "processes of this machine",
    get made() {
      return counts.made;
    },
    get removed() {
      return counts.removed;
    },
    get execs() {
      return containers.reduce((sum, one) => sum + one.execs, 0);
    },
    createProject(spec) {
      counts.made += 1;
      const own = spec.services.map((service) => new MachineContainer(service, clock, options));
      containers.push(...own);
      return Promise.resolve(new MachineProject(spec, own, () => (counts.removed += 1)));
    },
    sweep: () => Promise.resolve({ containers: 0, networks: 0, folders: 0 }),
    close: () => Promise.resolve(),
  };
}

class MachineProject implements Project {
  readonly spec: ProjectSpec;
  readonly #containers: readonly MachineContainer[];
  readonly #onRemove: () => void;

  constructor(spec: ProjectSpec, containers: readonly MachineContainer[], onRemove: () => void) {
    this.spec = spec;
    this.#containers = containers;
    this.#onRemove = onRemove;
  }

  container(service: string): Container {
    const found = this.#containers.find((one) => one.service.name === service);
    if (found === undefined) throw new TypeError(`no service ${service}`);
    return found;
  }

  async remove(): Promise<void> {
    this.#onRemove();
    await Promise.all(this.#containers.map((one) => one.kill()));
  }
}

class MachineContainer implements Container {
  readonly service: ServiceSpec;
  readonly #clock: Clock;
  readonly #blind: readonly string[];
  readonly #startedWhen: string;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #stdout = "";
  #stderr = "";
  execs = 0;

  constructor(service: ServiceSpec, clock: Clock, { blind = [], startedWhen = "" }: TestingOptions) {
    this.service = service;
    this.#clock = clock;
    this.#blind = blind;
    this.#startedWhen = startedWhen;
  }

  async start(): Promise<void> {
    await this.#spawn();
    await until(`it logs "${this.#startedWhen}"`, () => this.#stdout.includes(this.#startedWhen));
  }

  #spawn(): Promise<void> {
    const [program = "", ...args] = [...(this.service.entrypoint ?? []), ...(this.service.command ?? [])];
    const env = { ...process.env, ...this.service.environment };
    const child = spawn(program, args, { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    child.stdout.setEncoding("utf8").on("data", (text: string) => (this.#stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    this.#ended = new Promise((resolve) => child.on("close", () => resolve()));
    return new Promise((resolve, reject) => {
      // What ends at once has ended then: on a busy machine it may take longer than a server needs to be ready.
      child.on(program === "true" ? "close" : "spawn", () => resolve());
      child.on("error", (error) =>
        reject(new SlipwayError({ code: "CONTAINER_NOT_STARTED", message: error.message, cause: error })),
      );
    });
  }

  state(): Promise<ContainerState> {
    const child = this.#child;
    const isOver = child !== undefined && (child.exitCode !== null || child.signalCode !== null);
    const state = aState({
      status: child?.pid === undefined ? "created" : isOver ? "exited" : "running",
      exitCode: child?.exitCode ?? undefined,
      signal:
        child?.signalCode == null ? undefined : { SIGKILL: 9, SIGTERM: 15 }[child.signalCode as "SIGKILL"],
    });
    return Promise.resolve(state);
  }

  async exited(signal: AbortSignal): Promise<ContainerState> {
    const aborted = new Promise<never>((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason), { once: true }),
    );
    await Promise.race([this.#ended, aborted]);
    return this.state();
  }

  async stop(graceMs: number): Promise<{ readonly tookMs: number; readonly wasKilled: boolean }> {
    const startedAt = this.#clock.monotonic();
    this.#child?.kill((this.service.stopSignal ?? "SIGTERM") as NodeJS.Signals);
    const isOver = new AbortController();
    const late = this.#clock.sleep(graceMs, isOver.signal).then(
      () => true,
      () => false,
    );
    const wasKilled = await Promise.race([this.#ended.then(() => false), late]);
    isOver.abort();
    if (wasKilled) await this.kill();
    return { tookMs: this.#clock.monotonic() - startedAt, wasKilled };
  }

  async kill(): Promise<void> {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#ended;
  }

  published(): Promise<readonly []> {
    return Promise.resolve([]);
  }

  logs() {
    return Promise.resolve({ stdout: this.#stdout, stderr: this.#stderr });
  }

  exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    this.execs += 1;
    const startedAt = this.#clock.monotonic();
    const [program = "", ...args] = argv;
    if (options.user !== undefined) {
      return Promise.reject(
        new SlipwayError({
          code: "ENGINE_EXEC_FAILED",
          message: `${program}: unable to find user ${options.user}`,
          exitCode: 3,
        }),
      );
    }
    const child = spawn(program, args, {
      env: { ...process.env, ...options.environment },
      ...(options.workingDir === undefined ? {} : { cwd: options.workingDir }),
      timeout: options.timeoutMs ?? 30_000,
      killSignal: "SIGKILL",
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.stdin.on("error", () => {});
    child.stdin.end(options.stdin ?? "");
    const tookMs = (): number => this.#clock.monotonic() - startedAt;
    return new Promise((resolve) => {
      child.on("error", ({ message }) =>
        resolve({ exitCode: 127, stdout, stderr: message, tookMs: tookMs(), hasTimedOut: false }),
      );
      child.on("close", (code, signal) =>
        resolve({
          exitCode: code ?? 137,
          stdout,
          stderr,
          tookMs: tookMs(),
          hasTimedOut: signal === "SIGKILL",
        }),
      );
    });
  }

  files(): Promise<Unseen> {
    return Promise.resolve({ unseen: "the machine's own files are not a container's" });
  }

  async processes(): Promise<readonly ContainerProcess[] | Unseen> {
    if (this.#blind.includes("processes")) return { unseen: "not shown by this engine" };
    const first = this.#child?.pid;
    const all: ContainerProcess[] = [];
    for (const name of await readdir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const status = await readFile(`/proc/${name}/status`, "utf8").catch(() => undefined);
      const cmdline = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
      if (status === undefined || /^State:\s+Z/m.test(status)) continue;
      const link = await readlink(`/proc/${name}/exe`).catch(() => "");
      const field = (key: string): string => new RegExp(`^${key}:\\s+(\\S+)`, "m").exec(status)?.[1] ?? "";
      const argv = cmdline.split("\0").slice(0, -1);
      all.push({
        pid: Number(name),
        parent: Number(field("PPid")),
        uid: Number(field("Uid")),
        comm: field("Name"),
        argv,
        program: programAt(link),
      });
    }
    const own = new Set([first]);
    for (const one of all.sort((a, b) => a.pid - b.pid)) if (own.has(one.parent)) own.add(one.pid);
    const shown = (pid: number): number => (pid === first ? 1 : pid);
    return all
      .filter(({ pid }) => own.has(pid))
      .map((one) => ({ ...one, pid: shown(one.pid), parent: shown(one.parent) }));
  }

  async sockets(): Promise<readonly ListeningSocket[] | Unseen> {
    if (this.#blind.includes("sockets")) return { unseen: "not shown by this engine" };
    const pid = this.#child?.pid;
    const inodes = new Set<string>();
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const link = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "");
      const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
      if (inode !== undefined) inodes.add(inode);
    }
    const found: ListeningSocket[] = [];
    for (const table of ["tcp", "tcp6", "udp", "udp6"]) {
      const text = await readFile(`/proc/${pid}/net/${table}`, "utf8").catch(() => "");
      for (const line of text.split("\n")) {
        const socket = parseSocket(line, table.replace("6", "") as "tcp");
        if (socket !== undefined && inodes.has(line.trim().split(/\s+/)[9] ?? "")) found.push(socket);
      }
    }
    return found;
  }

  async http(request: InsideRequest): Promise<InsideResponse | Unseen> {
    const startedAt = this.#clock.monotonic();
    const tookMs = (): number => this.#clock.monotonic() - startedAt;
    try {
      const response = await fetch(request.url, {
        method: request.method,
        headers: request.headers,
        redirect: "manual",
        signal: AbortSignal.timeout(request.timeoutMs),
        ...(request.body === undefined ? {} : { body: request.body }),
      });
      const headers = Object.fromEntries(response.headers);
      return {
        status: response.status,
        headers,
        body: await response.text(),
        certificate: undefined,
        tookMs: tookMs(),
      };
    } catch (error) {
      const cause = (error as { cause?: { code?: string; message?: string } }).cause;
      return { error: cause?.code ?? "EFAILED", message: cause?.message ?? String(error), tookMs: tookMs() };
    }
  }

  reach(host: string, port: number): Promise<ReachResult> {
    return new Promise((resolve) => {
      const socket = connect(port, host);
      socket.on("connect", () => {
        socket.destroy();
        resolve({ isOpen: true, tookMs: 0 });
      });
      socket.on("error", (error) => resolve({ isOpen: false, error: error.message, tookMs: 0 }));
    });
  }

  async resolve(name: string): Promise<readonly string[]> {
    const found = await lookup(name, { all: true }).catch(() => []);
    return found.map(({ address }) => address);
  }
}
