/**
 * The node agent: process 1 of a cluster's own pid, mount, network and (for an ordinary user) user namespace, where
 * all pods of the cluster live. It does what the world asks over IPC and has no will of its own. When the world is
 * gone, the channel closes and the agent exits; with process 1 the kernel ends every pod, mount and namespace.
 */
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { NameServer } from "../../network/dns.ts";
import { ServiceProxy } from "../../network/service-proxy.ts";
import { ContainerStartError, type ContainerUse } from "../runtime.ts";
import { send, wireError } from "./channel.ts";
import { Containers } from "./containers.ts";
import type { ExecHandle } from "./exec.ts";
import { dial, openDatagrams } from "./given-sockets.ts";
import { rewriteFiles } from "./mounts.ts";
import type { Container, Pod } from "./pod.ts";
import { DNS_IP, PROJECT_DNS_IP, writePodFiles } from "./pod-files.ts";
import { type PodNetwork, PodNetworks, shellEnvironment } from "./pod-networks.ts";
import { useOf } from "./process-use.ts";
import type { AgentConfig, FromAgent, Request, ToAgent } from "./protocol.ts";
import { unpackCommand } from "./unpack-command.ts";
import { prepareWorkspace, workspaceOf } from "./workspace.ts";

const SERVICE_CIDR = "10.96.0.0/16";
const LEAKS_EVERY_MS = 2000;
const run = promisify(execFile);

function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Input, or the order to stop, may arrive while the command is still being started. */
class RunningExec {
  #handle: ExecHandle | undefined;
  #waiting: ((handle: ExecHandle) => void)[] = [];

  command(what: (handle: ExecHandle) => void): void {
    if (this.#handle === undefined) this.#waiting.push(what);
    else what(this.#handle);
  }

  started(handle: ExecHandle): void {
    this.#handle = handle;
    for (const what of this.#waiting.splice(0)) what(handle);
  }
}

class Agent {
  readonly #config: AgentConfig;
  readonly #workspace: string;
  readonly #networks: PodNetworks;
  readonly #containers: Containers;
  readonly #names: NameServer;
  readonly #projectNames: NameServer;
  #projectNamesOpen: Promise<void> | undefined;
  readonly #proxy: ServiceProxy;
  readonly #pods = new Map<string, Pod>();
  readonly #startingPods = new Map<string, Promise<string>>();
  readonly #execs = new Map<number, RunningExec>();
  readonly #dials = new Map<number, { resolve(socket: Socket): void; reject(error: Error): void }>();
  readonly #told = new Set<string>();
  readonly #unreachable = new Map<string, number>();
  #asked = 0;
  #services: Promise<void> = Promise.resolve();

  constructor(config: AgentConfig, rootfs: "overlay" | "copy") {
    this.#config = config;
    this.#workspace = workspaceOf(config);
    const warn = (podUid: string, reason: string, message: string): void =>
      this.#tell(podUid, reason, message);
    this.#networks = new PodNetworks({
      workspace: this.#workspace,
      podCIDR: config.podCIDR,
      serviceCIDR: SERVICE_CIDR,
      tools: config.tools,
    });
    this.#containers = new Containers({
      config,
      workspace: this.#workspace,
      rootfs,
      ports: { now, warn, exited: (exit) => send({ note: "exit", exit }) },
    });
    this.#names = new NameServer((ip, name) => this.#outsideName(ip, name));
    this.#projectNames = new NameServer(
      () => {},
      (ip) => [...this.#pods.values()].find(({ network }) => network.ip === ip)?.namespace ?? "",
    );
    this.#proxy = new ServiceProxy({
      egress: (host, port) => this.#egress(host, port),
      warn: (ips, reason, message) => {
        for (const pod of this.#pods.values())
          if (ips.includes(pod.network.ip)) warn(pod.uid, reason, message);
      },
    });
  }

  async open(): Promise<void> {
    await this.#networks.open();
    await Promise.all([this.#names.listen(DNS_IP), this.#containers.prepare()]);
    void this.#networks.fill();
    setInterval(() => void this.#findLeaks(), LEAKS_EVERY_MS);
  }

  answerEgress(ask: number, socket: Socket | undefined, error: string | undefined): void {
    const waiting = this.#dials.get(ask);
    this.#dials.delete(ask);
    if (socket === undefined) waiting?.reject(new Error(error ?? "refused"));
    else if (waiting === undefined) socket.destroy();
    else waiting.resolve(socket);
  }

  async handle(request: Exclude<Request, { do: "init" | "dial" | "datagrams" }>): Promise<unknown> {
    switch (request.do) {
      case "start-pod":
        return { podIP: await this.#startPodOnce(request) };
      case "stop-pod":
        return await this.#stopPod(request.uid);
      case "part-pod":
        return await this.#networks.part(this.#pod(request.uid).network, request.from);
      case "start-container": {
        const pod = this.#pods.get(request.container.podUid);
        if (pod === undefined || pod.stopping)
          throw new ContainerStartError("CreateContainerError", "the pod is stopped");
        const starting = this.#containers.start(pod, request.container);
        pod.starting.add(starting);
        const { startedAtMs, pid } = await starting.finally(() => pod.starting.delete(starting));
        return { startedAtMs, pid };
      }
      case "write-files": {
        const pod = this.#pods.get(request.podUid);
        if (pod !== undefined && !pod.stopping) rewriteFiles(pod.directory, request.mounts);
        return;
      }
      case "signal":
        return this.#containers.signal(this.#container(request.podUid, request.name), request.signal);
      case "exec":
        return await this.#exec(request);
      case "exec-stdin":
        return this.#execs.get(request.exec)?.command((handle) => handle.write(request.data));
      case "exec-kill":
        return this.#execs.get(request.exec)?.command((handle) => handle.kill());
      case "usage":
        return this.#usage();
      case "services": {
        const services = request.services;
        this.#names.setServices(services);
        this.#projectNames.setServices(services);
        const forwarded = services.filter(({ clusterIP }) => clusterIP !== DNS_IP);
        // One change after the other, so that the last one is what remains.
        const change = this.#services.then(() => this.#proxy.setServices(forwarded));
        this.#services = change.catch(() => {});
        return await change;
      }
      case "unpack":
      case "flatten":
        return await this.#unpack(request);
    }
  }

  async #startPodOnce(request: Extract<Request, { do: "start-pod" }>): Promise<string> {
    let starting = this.#startingPods.get(request.uid);
    if (starting === undefined) {
      starting = this.#startPod(request).finally(() => this.#startingPods.delete(request.uid));
      this.#startingPods.set(request.uid, starting);
    }
    return await starting;
  }

  async #startPod(request: Extract<Request, { do: "start-pod" }>): Promise<string> {
    const existing = this.#pods.get(request.uid);
    if (existing !== undefined) return existing.network.ip;
    const network = await this.#networks.take();
    if (request.names === "project") await this.#lendProjectNames(network);
    const directory = join(this.#workspace, "pods", request.uid);
    writePodFiles(directory, request, network.ip);
    this.#pods.set(request.uid, {
      uid: request.uid,
      namespace: request.namespace,
      name: request.name,
      hostname: request.hostname,
      network,
      directory,
      containers: new Map(),
      starting: new Set(),
      stopping: false,
    });
    return network.ip;
  }

  async #lendProjectNames(network: PodNetwork): Promise<void> {
    this.#projectNamesOpen ??= this.#networks
      .openLoopback()
      .then(() => this.#projectNames.listen(PROJECT_DNS_IP));
    await this.#projectNamesOpen;
    await this.#networks.lendLoopback(network, PROJECT_DNS_IP);
  }

  async #stopPod(uid: string): Promise<void> {
    await this.#startingPods.get(uid)?.catch(() => {});
    const pod = this.#pods.get(uid);
    if (pod === undefined) return;
    pod.stopping = true;
    await Promise.allSettled(pod.starting); // a container on its way is killed as soon as it is there
    const containers = [...pod.containers.values()];
    for (const container of containers) this.#containers.signal(container, "SIGKILL");
    await Promise.all(containers.map((container) => container.exited));
    if (!this.#pods.delete(uid)) return;
    for (const container of containers) this.#containers.forget(container);
    this.#unreachable.delete(uid);
    for (const key of this.#told) if (key.startsWith(`${uid} `)) this.#told.delete(key);
    rmSync(pod.directory, { recursive: true, force: true });
    await this.#networks.release(pod.network);
  }

  #usage(): readonly ContainerUse[] {
    const running = [...this.#pods.values()].flatMap(({ containers }) =>
      [...containers.values()].filter((container) => container.running),
    );
    const used = useOf(running.map(({ pid }) => pid));
    return running.flatMap(({ pid, spec, startedAtMs }) => {
      const use = used.get(pid);
      if (use === undefined) return [];
      return [{ podUid: spec.podUid, name: spec.name, id: `sandbox://${spec.id}`, startedAtMs, ...use }];
    });
  }

  #pod(uid: string): Pod {
    const pod = this.#pods.get(uid);
    if (pod === undefined) throw new Error(`there is no pod ${uid}`);
    return pod;
  }

  #container(podUid: string, name: string): Container {
    const container = this.#pods.get(podUid)?.containers.get(name);
    if (container === undefined) throw new Error(`container ${name} not found in pod ${podUid}`);
    return container;
  }

  async #exec(request: Extract<Request, { do: "exec" }>): Promise<{ exitCode: number }> {
    const container = this.#container(request.podUid, request.name);
    if (!container.running) throw new Error(`container ${request.name} is not running`);
    const running = new RunningExec();
    this.#execs.set(request.exec, running);
    try {
      const handle = await this.#containers.exec(container, request, (stream, data) =>
        send({ note: "exec-output", exec: request.exec, stream, data }),
      );
      running.started(handle);
      return { exitCode: await handle.exitCode };
    } finally {
      this.#execs.delete(request.exec);
    }
  }

  async #unpack(request: Extract<Request, { do: "unpack" | "flatten" }>): Promise<void> {
    const job = {
      ...request,
      directory: this.#config.layersDirectory,
      owners: this.#config.idMode !== "one-uid",
    };
    const [program, ...args] = unpackCommand(job);
    try {
      await run(program as string, args, {
        env: shellEnvironment(this.#config.tools),
      });
    } catch (error) {
      const said = (error as { stderr?: string }).stderr?.trim();
      throw new Error(said === undefined || said === "" ? String(error) : said);
    }
  }

  #egress(host: string, port: number): Promise<Socket> {
    this.#asked += 1;
    const ask = this.#asked;
    return new Promise((resolve, reject) => {
      this.#dials.set(ask, { resolve, reject });
      send({ note: "egress", ask, host, port });
    });
  }

  #outsideName(clientIP: string, name: string): void {
    const pod = [...this.#pods.values()].find(({ network }) => network.ip === clientIP);
    if (pod === undefined) return;
    const what = name.includes(".")
      ? `"${name}" is outside the cluster, and pods have no way out.`
      : `"${name}" is no Service in namespace ${pod.namespace}.`;
    this.#tell(
      pod.uid,
      "NameNotFound",
      `${what} To reach something outside, name it under local.egress, for example { ${JSON.stringify(name.split(".")[0])}: ${JSON.stringify(`${name}:PORT`)} }.`,
    );
  }

  /** The kernel counts what it had no route for, in each network namespace; nobody else would ever know. */
  async #findLeaks(): Promise<void> {
    for (const pod of this.#pods.values()) {
      const running = [...pod.containers.values()].find((container) => container.running);
      if (running === undefined) continue;
      const text = await readFile(`/proc/${running.pid}/net/snmp`, "utf8").catch(() => "");
      const [names, values] = text
        .split("\n")
        .filter((line) => line.startsWith("Ip:"))
        .map((line) => line.split(" "));
      const count = Number(values?.[names?.indexOf("OutNoRoutes") ?? -1] ?? 0);
      if (count > (this.#unreachable.get(pod.uid) ?? 0)) {
        this.#tell(
          pod.uid,
          "NetworkUnreachable",
          "The pod tried to reach an address outside the cluster and was refused: pods have no way out. To reach something outside, name it under local.egress and use that name.",
        );
      }
      this.#unreachable.set(pod.uid, count);
    }
  }

  /** Each fact once per pod: programs retry, and events should not drown what else is told. */
  #tell(podUid: string, reason: string, message: string): void {
    const key = `${podUid} ${reason} ${message}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    send({ note: "event", podUid, type: "Warning", reason, message });
  }
}

process.umask(0o022); // as containers have it under any engine, not as whoever started the world
let agent: Agent | undefined;

async function answer(id: number, request: Request): Promise<void> {
  if (request.do === "dial") return dial(id, request);
  if (request.do === "datagrams") return openDatagrams(id);
  try {
    if (request.do === "init") {
      const rootfs = await prepareWorkspace(request.config);
      const opened = new Agent(request.config, rootfs);
      await opened.open();
      agent = opened;
      send({ re: id, value: { rootfs } });
      return;
    }
    if (agent === undefined) throw new Error("the agent is not ready");
    send({ re: id, value: await agent.handle(request) });
  } catch (error) {
    send({ re: id, error: wireError(error) });
  }
}

process.on("message", (message: ToAgent, handle: unknown) => {
  if ("request" in message) void answer(message.id, message.request);
  else agent?.answerEgress(message.egress, handle instanceof Socket ? handle : undefined, message.error);
});
process.on("disconnect", () => process.exit(0));
process.on("uncaughtException", (error) => {
  process.send?.(
    { note: "fatal", message: error.stack ?? error.message } satisfies FromAgent,
    undefined,
    {},
    () => process.exit(1),
  );
});
