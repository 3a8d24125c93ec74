/**
 * The world's end of the node agent: starts it in its own namespaces, sends requests, passes sockets both ways.
 *
 * Who dies with whom: the agent is process 1 of a pid namespace, so all pods die with it; `unshare --kill-child`
 * takes it along when unshare dies; `setpriv --pdeathsig` takes unshare along when the world dies; and a closed IPC
 * channel ends the agent in any case. Nothing of this needs anybody to run code at the right moment.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { Socket as DatagramSocket } from "node:dgram";
import { readlinkSync } from "node:fs";
import { getCompileCacheDir } from "node:module";
import { Socket } from "node:net";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { SlipwayError, systemCode } from "@slipway/base";
import { type ContainerExit, ContainerStartError } from "../runtime.ts";
import type { AgentConfig, Answers, FromAgent, Request, ToAgent, WireError } from "./protocol.ts";
import { childOf, findTool, type Ids } from "./system.ts";

const run = promisify(execFile);

export interface AgentListeners {
  exit(exit: ContainerExit): void;
  event(event: {
    readonly podUid: string;
    readonly type: "Normal" | "Warning";
    readonly reason: string;
    readonly message: string;
  }): void;
  output(exec: number, stream: "stdout" | "stderr", data: Uint8Array): void;
  egress(host: string, port: number): Promise<Socket>;
  lost(reason: string): void;
}

interface Answered {
  readonly value: unknown;
  readonly socket: Socket | DatagramSocket | undefined;
}

interface Waiting {
  resolve(value: Answered): void;
  reject(error: Error): void;
}

export class AgentProcess {
  readonly #child: ChildProcess;
  readonly #listeners: AgentListeners;
  readonly #waiting = new Map<number, Waiting>();
  readonly #gone: Promise<void>;
  #asked = 0;
  #fatal: string | undefined;
  #said = "";
  #isGone = false;
  #pid: number | undefined;

  private constructor(child: ChildProcess, listeners: AgentListeners) {
    this.#child = child;
    this.#listeners = listeners;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#said = (this.#said + text).slice(-2000);
    });
    child.on("message", (message: FromAgent, handle: unknown) => this.#receive(message, handle));
    this.#gone = new Promise((resolve) => {
      const end = (reason: string): void => {
        if (this.#isGone) return;
        this.#isGone = true;
        const why = this.#fatal ?? reason;
        for (const { reject } of this.#waiting.values()) reject(agentGone(why, this.#said));
        this.#waiting.clear();
        listeners.lost(why);
        resolve();
      };
      child.once("error", (error) => end(error.message));
      child.once("exit", (code, signal) =>
        end(signal === null ? `exit code ${code}` : `killed by ${signal}`),
      );
    });
  }

  static async start(
    config: AgentConfig,
    ids: Ids,
    listeners: AgentListeners,
  ): Promise<{ agent: AgentProcess; rootfs: "overlay" | "copy" }> {
    const { tools } = config;
    const program = fileURLToPath(new URL(import.meta.url.replace(/agent-process(\.\w+)$/, "agent$1")));
    const inside = [
      ...[tools.setpriv, "--pdeathsig", "KILL", "--"],
      ...[
        tools.unshare,
        "--mount",
        "--net",
        "--pid",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
        "--mount-proc",
      ],
      ...["--", process.execPath, program],
    ];
    const command =
      ids.mode === "root"
        ? inside
        : ids.mode === "one-uid"
          ? [tools.unshare, "--user", "--map-root-user", "--", ...inside]
          : // The gate: maps can only be written from outside, once the namespace exists.
            [tools.unshare, "--user", "--", tools.sh, "-c", 'read -r go && exec "$@"', "-", ...inside];
    const child = spawn(command[0] as string, command.slice(1), {
      cwd: "/",
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...compileCache() },
      detached: true, // Ctrl-C is for the world, which then closes the agent in order
      serialization: "advanced",
      stdio: [ids.mode === "subordinate" ? "pipe" : "ignore", "ignore", "pipe", "ipc"],
    });
    const agent = new AgentProcess(child, listeners);
    try {
      if (ids.mode === "subordinate") await openGate(child, ids);
      const { rootfs } = await agent.ask({ do: "init", config });
      agent.#pid = childOf(child.pid as number) ?? child.pid;
      return { agent, rootfs };
    } catch (error) {
      await agent.kill();
      throw error;
    }
  }

  /** The agent's own process, as the world sees it. */
  get pid(): number {
    return this.#pid ?? (this.#child.pid as number);
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  async ask<R extends Request>(request: R): Promise<Answers[R["do"]]> {
    return (await this.#request(request)).value as Answers[R["do"]];
  }

  async dial(ip: string, port: number, timeoutMs: number): Promise<Socket> {
    const { socket } = await this.#request({ do: "dial", ip, port, timeoutMs });
    if (socket instanceof Socket) return socket;
    throw Object.assign(new Error(`connect ECONNRESET ${ip}:${port}`), { code: "ECONNRESET" });
  }

  /** A UDP socket in the pods' network; whoever gets it closes it. */
  async datagrams(): Promise<DatagramSocket> {
    const { socket } = await this.#request({ do: "datagrams" });
    if (socket instanceof DatagramSocket) return socket;
    throw new Error("the node agent gave no socket");
  }

  /** Ends the agent and with it everything inside; resolves when the kernel is done with that. */
  async kill(): Promise<void> {
    // The agent first: unshare then fetches its exit status and ends too, instead of leaving that to init.
    if (!this.#isGone) {
      if (this.#pid === undefined) this.#child.kill("SIGKILL");
      else killIfThere(this.#pid);
    }
    await this.#gone;
  }

  #request(request: Request): Promise<Answered> {
    if (this.#isGone) return Promise.reject(agentGone(this.#fatal ?? "it has ended", this.#said));
    this.#asked += 1;
    const id = this.#asked;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send({ id, request });
    });
  }

  #send(message: ToAgent, socket?: Socket): void {
    if (!this.#child.connected) return void socket?.destroy();
    this.#child.send(message, socket, { keepOpen: false }, () => {}); // a lost channel shows as `exit`
  }

  #receive(message: FromAgent, handle: unknown): void {
    const socket = handle instanceof Socket || handle instanceof DatagramSocket ? handle : undefined;
    if ("re" in message) {
      const waiting = this.#waiting.get(message.re);
      this.#waiting.delete(message.re);
      if (waiting === undefined) endOf(socket);
      else if (message.error !== undefined) waiting.reject(errorOf(message.error));
      else waiting.resolve({ value: message.value, socket });
      return;
    }
    switch (message.note) {
      case "exit":
        return this.#listeners.exit(message.exit);
      case "event": {
        const { podUid, type, reason, message: text } = message;
        return this.#listeners.event({ podUid, type, reason, message: text });
      }
      case "exec-output":
        return this.#listeners.output(message.exec, message.stream, message.data);
      case "egress":
        return void this.#egress(message.ask, message.host, message.port);
      case "fatal":
        this.#fatal = message.message;
    }
  }

  async #egress(ask: number, host: string, port: number): Promise<void> {
    try {
      this.#send({ egress: ask }, await this.#listeners.egress(host, port));
    } catch (error) {
      this.#send({ egress: ask, error: error instanceof Error ? error.message : String(error) });
    }
  }
}

function endOf(socket: Socket | DatagramSocket | undefined): void {
  if (socket instanceof Socket) socket.destroy();
  else socket?.close();
}

/** Waits until the child is in its new user namespace, writes the maps, and lets it go on; `isLast`: it gets no more input. */
export async function openGate(
  child: ChildProcess,
  ids: Pick<Ids, "uidMap" | "gidMap">,
  isLast = true,
): Promise<void> {
  const pid = String(child.pid);
  // A busy machine may take its time to run it. One that has ended, or hides where it is, is told of by newuidmap.
  while (child.exitCode === null && child.signalCode === null && isInOurUsers(pid))
    await new Promise((resolve) => setTimeout(resolve, 1));
  await run(findTool("newuidmap") as string, [pid, ...ids.uidMap]);
  await run(findTool("newgidmap") as string, [pid, ...ids.gidMap]);
  child.stdin?.write("go\n");
  if (isLast) child.stdin?.end();
}

function isInOurUsers(pid: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`) === readlinkSync("/proc/self/ns/user");
  } catch {
    return false;
  }
}

/** What the world has compiled before, the agent need not compile again: half of its start. */
function compileCache(): NodeJS.ProcessEnv {
  const directory = getCompileCacheDir();
  return directory === undefined ? {} : { NODE_COMPILE_CACHE: dirname(directory) };
}

function errorOf(error: WireError): Error {
  if (error.reason !== undefined) return new ContainerStartError(error.reason, error.message);
  return Object.assign(new Error(error.message), error.code === undefined ? {} : { code: error.code });
}

function agentGone(reason: string, said: string): SlipwayError {
  const lastWords = said.trim();
  return new SlipwayError({
    code: "SANDBOX_AGENT_LOST",
    where: "runtime/sandbox",
    message: `the node agent is gone (${reason})${lastWords === "" ? "" : `: ${lastWords}`}`,
    exitCode: 3,
  });
}

/** It may have ended just now: its exit is told a moment later. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (systemCode(error) !== "ESRCH") throw error;
  }
}
