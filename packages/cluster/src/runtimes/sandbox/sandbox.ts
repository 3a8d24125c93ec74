/**
 * The `sandbox` runtime: pods as processes in Linux namespaces, without any engine. The world keeps images and
 * decides; the node agent (`agent.ts`), in namespaces of its own, runs the pods.
 *
 * It is a test harness, not a security boundary: it keeps pods from getting in each other's way, not from meaning
 * harm. CPU and memory limits are not enforced.
 *
 *   DIRECTORY/agent.json   which process the agent is, for whoever cleans up after a crash
 *   DIRECTORY/logs/        container logs, on disk
 *   DIRECTORY/run/         where the agent mounts its workspace (seen only inside its namespace)
 */
import { randomBytes } from "node:crypto";
import type { Socket as DatagramSocket } from "node:dgram";
import { mkdirSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { Clock } from "@slipway/base";
import {
  type ContainerExit,
  type ContainerMount,
  type ContainerSpec,
  ContainerStartError,
  type ContainerUse,
  type ImageSource,
  type PodRuntime,
  type ResolvedImage,
  type StartedContainer,
} from "../runtime.ts";
import { AgentProcess } from "./agent-process.ts";
import { readBinfmtMisc } from "./binfmt-misc.ts";
import { logPath, readLog } from "./container-log.ts";
import { programOf, type StopSignal, stopSignalOf } from "./image-config.ts";
import { LayerStore } from "./layers.ts";
import { rememberAgent, removeSandboxLeftovers, removeUnfinishedLayers } from "./leftovers.ts";
import { probeSandbox } from "./probe.ts";
import type { ExecAs, IdMode } from "./protocol.ts";
import { descendantWith, findIds, findTools } from "./system.ts";

export interface SandboxOptions {
  readonly name: string;
  readonly directory: string;
  /** Unpacked layers; may be shared by several runtimes of one user. */
  readonly layersDirectory: string;
  readonly images: ImageSource;
  /** A /16; default 10.244.0.0/16. */
  readonly podCIDR?: string;
  readonly clock: Clock;
  /** Connects to something outside the cluster; the socket must not have been read from. Default: plain TCP. */
  readonly egressDial?: (host: string, port: number) => Promise<Socket>;
}

export type SandboxRuntime = Omit<PodRuntime, "exec" | "signal"> & {
  /** The node agent's process id. */
  readonly agentPid: number;
  /** Whose ids containers have: see `Ids`. With `one-uid`, owners of files are not what the image says. */
  readonly idMode: IdMode;
  /** The id of a running container's first process in the caller's pid namespace; undefined when it does not run. */
  pidOf(podUid: string, containerName: string): number | undefined;
  /** Makes these addresses unreachable from the pod, as if it were on another network. */
  partPod(podUid: string, from: readonly string[]): Promise<void>;
  signal(podUid: string, containerName: string, signal: NodeJS.Signals): Promise<void>;
  /** A UDP socket in the pods' network, from which pods are reached by their addresses; whoever asks closes it. */
  datagrams(): Promise<DatagramSocket>;
  exec(
    podUid: string,
    containerName: string,
    command: readonly string[],
    options: Parameters<PodRuntime["exec"]>[3] & ExecAs,
  ): Promise<{ readonly exitCode: number }>;
};

const DIAL_TIMEOUT_MS = 10_000;

export async function createSandboxRuntime(options: SandboxOptions): Promise<SandboxRuntime> {
  const tools = findTools();
  const ids = findIds();
  mkdirSync(join(options.directory, "logs"), { recursive: true });
  mkdirSync(options.layersDirectory, { recursive: true });
  await removeSandboxLeftovers(options.directory, options.clock);
  await removeUnfinishedLayers(options.layersDirectory, options.clock);
  const runtime = new Runtime(options, ids.mode);
  try {
    const { agent } = await AgentProcess.start(
      {
        name: options.name,
        directory: options.directory,
        layersDirectory: options.layersDirectory,
        podCIDR: options.podCIDR ?? "10.244.0.0/16",
        idMode: ids.mode,
        tools,
        kernel: { architecture: process.arch, misc: await readBinfmtMisc() },
      },
      ids,
      runtime.listeners,
    );
    runtime.attach(agent);
    await rememberAgent(options.directory, agent.pid);
    return runtime;
  } catch (error) {
    // The agent's failure is a symptom; asking step by step finds what the system refuses.
    const probe = await probeSandbox();
    throw probe.ok ? error : probe.error;
  }
}

interface Attempt {
  readonly id: string;
  readonly attempt: number;
  readonly stopSignal: StopSignal;
  running: boolean;
  /** In the agent's pid namespace. */
  pid: number | undefined;
  /** Whether whoever started it knows its id by now. */
  announced: boolean;
  /** The end of a container that was quicker than the news of its start. */
  early: ContainerExit | undefined;
}

interface ExecOutput {
  readonly stdout: ((chunk: Uint8Array) => void) | undefined;
  readonly stderr: ((chunk: Uint8Array) => void) | undefined;
}

class Runtime implements SandboxRuntime {
  readonly name = "sandbox";
  readonly idMode: IdMode;
  readonly #options: SandboxOptions;
  readonly #layers: LayerStore;
  readonly #present = new Map<string, ResolvedImage>();
  readonly #attempts = new Map<string, Attempt>();
  readonly #execs = new Map<number, ExecOutput>();
  readonly #exitListeners: ((exit: ContainerExit) => void)[] = [];
  readonly #lostListeners: ((reason: string) => void)[] = [];
  readonly #eventListeners: Parameters<PodRuntime["onEvent"]>[0][] = [];
  #agent: AgentProcess | undefined;
  #closing = false;
  #execsMade = 0;

  constructor(options: SandboxOptions, idMode: IdMode) {
    this.idMode = idMode;
    this.#options = options;
    this.#layers = new LayerStore(options.layersDirectory, options.images, (job) => this.#running.ask(job));
  }

  readonly listeners = {
    exit: (exit: ContainerExit) => {
      const attempt = this.#attempts.get(containerKey(exit.podUid, exit.name));
      if (attempt !== undefined && exit.id === `sandbox://${attempt.id}`) {
        attempt.running = false;
        if (!attempt.announced) {
          attempt.early = exit;
          return;
        }
      }
      this.#reportExit(exit);
    },
    event: (event: Parameters<Parameters<PodRuntime["onEvent"]>[0]>[0]) => {
      for (const listener of this.#eventListeners) listener(event);
    },
    output: (exec: number, stream: "stdout" | "stderr", data: Uint8Array) =>
      this.#execs.get(exec)?.[stream]?.(data),
    egress: (host: string, port: number) => (this.#options.egressDial ?? dialOutside)(host, port),
    lost: (reason: string) => {
      for (const attempt of this.#attempts.values()) attempt.running = false;
      if (this.#closing || this.#agent === undefined) return;
      for (const listener of this.#lostListeners) listener(reason);
    },
  };

  #reportExit(exit: ContainerExit): void {
    for (const listener of this.#exitListeners) listener(exit);
  }

  attach(agent: AgentProcess): void {
    this.#agent = agent;
  }

  get #running(): AgentProcess {
    if (this.#agent === undefined) throw new Error("the sandbox runtime is not started");
    return this.#agent;
  }

  get agentPid(): number {
    return this.#running.pid;
  }

  pidOf(podUid: string, containerName: string): number | undefined {
    const attempt = this.#attempts.get(containerKey(podUid, containerName));
    if (attempt?.running !== true || attempt.pid === undefined) return undefined;
    return descendantWith(this.agentPid, attempt.pid);
  }

  onExit(listener: (exit: ContainerExit) => void): void {
    this.#exitListeners.push(listener);
  }

  onLost(listener: (reason: string) => void): void {
    this.#lostListeners.push(listener);
  }

  onEvent(listener: Parameters<PodRuntime["onEvent"]>[0]): void {
    this.#eventListeners.push(listener);
  }

  async startPod(spec: Parameters<PodRuntime["startPod"]>[0]): Promise<{ readonly podIP: string }> {
    const { uid, namespace, name, hostname, hostAliases, names = "cluster" } = spec;
    return await this.#running.ask({ do: "start-pod", uid, namespace, name, hostname, hostAliases, names });
  }

  async stopPod(podUid: string): Promise<void> {
    if (!this.#running.isGone) await this.#running.ask({ do: "stop-pod", uid: podUid });
  }

  async partPod(podUid: string, from: readonly string[]): Promise<void> {
    await this.#running.ask({ do: "part-pod", uid: podUid, from });
  }

  async forgetPod(podUid: string): Promise<void> {
    for (const key of this.#attempts.keys()) if (key.startsWith(`${podUid}/`)) this.#attempts.delete(key);
    await rm(join(this.#logs, podUid), { recursive: true, force: true });
  }

  async startContainer(spec: ContainerSpec): Promise<StartedContainer> {
    const image = await this.#pull(spec);
    const layers = await this.#unpacked(image);
    const { config } = image;
    const key = containerKey(spec.podUid, spec.name);
    const previous = this.#attempts.get(key);
    const kept = spec.keepsFiles === true && previous?.running === false ? previous.id : undefined;
    const id = kept ?? randomBytes(32).toString("hex");
    const attempt: Attempt = {
      id,
      attempt: spec.attempt,
      stopSignal: stopSignalOf(config.StopSignal),
      running: true,
      pid: undefined,
      announced: false,
      early: undefined,
    };
    this.#attempts.set(key, attempt);
    try {
      const { startedAtMs, pid } = await this.#running.ask({
        do: "start-container",
        container: {
          id,
          podUid: spec.podUid,
          name: spec.name,
          attempt: spec.attempt,
          layers,
          ...programOf(config, spec),
          user: spec.user,
          group: spec.group,
          runAsNonRoot: spec.runAsNonRoot,
          readOnlyRootFilesystem: spec.readOnlyRootFilesystem,
          mounts: spec.mounts,
          terminationMessagePath: spec.terminationMessagePath || "/dev/termination-log",
          keepsFiles: spec.keepsFiles === true,
        },
      });
      attempt.pid = pid;
      attempt.announced = true;
      // In a later turn, when the caller has had its answer: who hears of an end must know what has ended.
      const { early } = attempt;
      if (early !== undefined) setImmediate(() => this.#reportExit(early));
      return { id: `sandbox://${id}`, startedAtMs, imageId: image.id };
    } catch (error) {
      attempt.running = false;
      if (previous !== undefined && this.#attempts.get(key) === attempt) this.#attempts.set(key, previous);
      throw error instanceof ContainerStartError
        ? error
        : new ContainerStartError("CreateContainerError", messageOf(error));
    }
  }

  /** What runs is decided by the pull policy as in kubelet; "present" is what this runtime has resolved before. */
  async #pull(spec: ContainerSpec): Promise<ResolvedImage> {
    const present = this.#present.get(spec.image);
    if (present !== undefined && spec.imagePullPolicy !== "Always" && this.#layers.has(present))
      return present;
    if (spec.imagePullPolicy === "Never") {
      throw new ContainerStartError(
        "ErrImageNeverPull",
        `Container image "${spec.image}" is not present with pull policy of Never`,
      );
    }
    const image = await this.#options.images.resolve(spec.image).catch((error: unknown) => {
      if (error instanceof ContainerStartError) throw error;
      throw new ContainerStartError(
        "ErrImagePull",
        `failed to pull and unpack image "${spec.image}": ${messageOf(error)}`,
      );
    });
    this.#present.set(spec.image, image);
    return image;
  }

  async #unpacked(image: ResolvedImage): Promise<readonly string[]> {
    try {
      return await this.#layers.ensure(image);
    } catch (error) {
      if (error instanceof ContainerStartError) throw error;
      throw new ContainerStartError(
        "ErrImagePull",
        `failed to pull and unpack image "${image.reference}": ${messageOf(error)}`,
      );
    }
  }

  async writeFiles(podUid: string, mounts: readonly ContainerMount[]): Promise<void> {
    await this.#running.ask({ do: "write-files", podUid, mounts });
  }

  async signal(podUid: string, containerName: string, signal: NodeJS.Signals): Promise<void> {
    await this.#running.ask({ do: "signal", podUid, name: containerName, signal });
  }

  stopSignal(podUid: string, containerName: string): StopSignal {
    return this.#attempts.get(containerKey(podUid, containerName))?.stopSignal ?? "SIGTERM";
  }

  async exec(
    podUid: string,
    containerName: string,
    command: readonly string[],
    options: Parameters<SandboxRuntime["exec"]>[3],
  ): Promise<{ readonly exitCode: number }> {
    const agent = this.#running;
    this.#execsMade += 1;
    const exec = this.#execsMade;
    this.#execs.set(exec, { stdout: options.stdout, stderr: options.stderr });
    const done = new AbortController();
    const kill = (): void => void agent.ask({ do: "exec-kill", exec }).catch(() => {});
    options.signal?.addEventListener("abort", kill, { once: true, signal: done.signal });
    const ended = agent.ask({
      do: "exec",
      exec,
      podUid,
      name: containerName,
      command,
      stdin: options.stdin !== undefined,
      as: {
        ...(options.user === undefined ? {} : { user: options.user }),
        ...(options.workingDir === undefined ? {} : { workingDir: options.workingDir }),
        ...(options.env === undefined ? {} : { env: options.env }),
      },
    });
    if (options.stdin !== undefined) void this.#feed(agent, exec, options.stdin, done.signal);
    try {
      const late =
        options.timeoutMs === undefined
          ? []
          : [this.#lateness(options.timeoutMs, done.signal, command).finally(kill)];
      const result = await Promise.race([ended, ...late]);
      options.signal?.throwIfAborted();
      return result;
    } finally {
      done.abort();
      ended.catch(() => {}); // after a timeout nobody waits for it any more
      void ended.finally(() => this.#execs.delete(exec)).catch(() => {});
    }
  }

  async #lateness(timeoutMs: number, done: AbortSignal, command: readonly string[]): Promise<never> {
    await this.#options.clock.sleep(timeoutMs, done).catch(() => new Promise<never>(() => {}));
    throw Object.assign(
      new Error(`command ${JSON.stringify(command.join(" "))} timed out after ${timeoutMs} ms`),
      { code: "ETIMEDOUT" },
    );
  }

  async #feed(
    agent: AgentProcess,
    exec: number,
    stdin: AsyncIterable<unknown>,
    done: AbortSignal,
  ): Promise<void> {
    try {
      for await (const chunk of stdin) {
        if (done.aborted) return;
        const data = typeof chunk === "string" ? Buffer.from(chunk) : (chunk as Uint8Array);
        await agent.ask({ do: "exec-stdin", exec, data });
      }
      await agent.ask({ do: "exec-stdin", exec, data: undefined });
    } catch {
      // the command's end, or the agent's, is reported by the exec itself
    }
  }

  async dial(podIP: string, port: number, options: { readonly timeoutMs?: number } = {}): Promise<Socket> {
    return await this.#running.dial(podIP, port, options.timeoutMs ?? DIAL_TIMEOUT_MS);
  }

  async datagrams(): Promise<DatagramSocket> {
    return await this.#running.datagrams();
  }

  async *logs(
    podUid: string,
    containerName: string,
    attempt: number | undefined,
    options: Parameters<PodRuntime["logs"]>[3],
  ): AsyncGenerator<Uint8Array> {
    const attempts = await this.#loggedAttempts(podUid, containerName);
    const wanted = attempt ?? attempts.at(-1);
    if (wanted === undefined || !attempts.includes(wanted)) {
      const which = attempt === undefined ? "" : ` (attempt ${attempt})`;
      throw new Error(`container "${containerName}"${which} of pod ${podUid} has no log`);
    }
    yield* readLog(
      {
        path: logPath(this.#logs, podUid, containerName, wanted),
        clock: this.#options.clock,
        isRunning: () => {
          const current = this.#attempts.get(containerKey(podUid, containerName));
          return current?.attempt === wanted && current.running;
        },
      },
      options,
    );
  }

  async #loggedAttempts(podUid: string, containerName: string): Promise<readonly number[]> {
    const names = await readdir(join(this.#logs, podUid, containerName)).catch(() => []);
    return names
      .filter((name) => /^\d+\.log$/.test(name))
      .map((name) => Number.parseInt(name, 10))
      .sort((a, b) => a - b);
  }

  get #logs(): string {
    return join(this.#options.directory, "logs");
  }

  async usage(): Promise<readonly ContainerUse[]> {
    return this.#running.isGone ? [] : await this.#running.ask({ do: "usage" });
  }

  async setServices(services: Parameters<PodRuntime["setServices"]>[0]): Promise<void> {
    await this.#running.ask({ do: "services", services });
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#agent?.kill();
    await removeSandboxLeftovers(this.#options.directory, this.#options.clock);
  }
}

function containerKey(podUid: string, name: string): string {
  return `${podUid}/${name}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function dialOutside(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.pause(); // the agent reads it, from the first byte
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      socket.on("error", () => {});
      resolve(socket);
    });
  });
}
