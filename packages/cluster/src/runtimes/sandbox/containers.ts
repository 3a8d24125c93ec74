/**
 * Starts and watches containers, inside the node agent. A container is one chain of small programs,
 * each replacing the one before, so that in the end the image's own process is process 1 of its namespaces:
 *
 *   nsenter (the pod's net, uts, ipc) → unshare (own mount and pid namespace) → sh: mounts, from one table
 *     → env (nothing inherited) → setpriv (Docker's capabilities, groups) → unshare (chroot, user) → the command
 *
 * Process 1 without a handler ignores SIGTERM, as in Kubernetes.
 */
import { spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { type ContainerExit, ContainerStartError } from "../runtime.ts";
import { becomeCommand } from "./become.ts";
import { DRAIN_MS, finished, kill, pump, signalNumber, within } from "./children.ts";
import { checkCommand, environmentOf } from "./command.ts";
import { LogWriter, logPath } from "./container-log.ts";
import { type ExecHandle, type ExecRequest, execIn } from "./exec.ts";
import { Fifos } from "./fifos.ts";
import { planMounts } from "./mounts.ts";
import type { Container, Pod } from "./pod.ts";
import { shellEnvironment } from "./pod-networks.ts";
import type { AgentConfig, StartContainer } from "./protocol.ts";
import { RootView } from "./root-view.ts";
import { type Identity, resolveIdentity } from "./users.ts";

const MESSAGE_MAX = 4096;
const ENTER_MS = 1000;

/**
 * $1 mount table, $2 root, $3 hostname, $4 how the root is entered; the rest is the command. Descriptor 2
 * tells the agent what went wrong, 3 how far it is, 4 becomes the container's stderr.
 */
const ENTER = `
read -r pid rest </proc/self/stat; echo "pid $pid" >&3
"$MOUNT" -a -T "$1" >&2 || exit 70
hostname "$3" 2>/dev/null || echo "$3" >/proc/sys/kernel/hostname
{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null
cd "$2" || exit 70
if [ "$4" = move ]; then "$MOUNT" --move "$2" / >&2 || exit 70; fi
shift 4
echo started >&3
exec 2>&4 3>&- 4>&-
exec "$@"
`;
/** Instead of a command that the kernel would not take: $1 is what is to be said of it. */
const REFUSED = 'echo "$1" >&2; exit 1';

export interface ContainerPorts {
  now(): number;
  exited(exit: ContainerExit): void;
  warn(podUid: string, reason: string, message: string): void;
}

export interface ContainersOptions {
  readonly config: AgentConfig;
  readonly workspace: string;
  readonly rootfs: "overlay" | "copy";
  readonly ports: ContainerPorts;
}

export class Containers {
  readonly #options: ContainersOptions;
  readonly #fifos: Fifos;
  readonly #environment: Record<string, string>;

  constructor(options: ContainersOptions) {
    this.#options = options;
    const pipes = join(options.workspace, "pipes");
    mkdirSync(pipes, { recursive: true });
    this.#fifos = new Fifos(pipes, options.config.tools.mkfifo);
    this.#environment = shellEnvironment(options.config.tools);
  }

  async prepare(): Promise<void> {
    await this.#fifos.fill();
  }

  async start(pod: Pod, spec: StartContainer): Promise<Container> {
    const directory = join(this.#options.workspace, "containers", spec.id);
    try {
      return await this.#start(pod, spec, directory);
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  async #start(pod: Pod, spec: StartContainer, directory: string): Promise<Container> {
    const { config, workspace, rootfs } = this.#options;
    const upper = join(directory, "upper");
    for (const name of ["upper", "work", "root"]) mkdirSync(join(directory, name), { recursive: true });
    const layers = spec.layers.map((name) => join(workspace, "layers", name));
    if (rootfs === "copy") await this.#copy(layers, upper);
    const view = new RootView(rootfs === "copy" ? [upper] : [upper, ...layers]);
    const top = layers.length === 0 ? undefined : new RootView(layers).find("/");
    if (top !== undefined && rootfs === "overlay") matchRoot(upper, top);
    const identity = resolveIdentity(view, spec);
    const workingDir = view.makeTarget(spec.workingDir, "directory");
    if (workingDir === undefined) {
      throw new ContainerStartError(
        "CreateContainerError",
        `working directory ${spec.workingDir} is not a directory in the image`,
      );
    }
    const environment = environmentOf(pod, spec, identity);
    const refusal = checkCommand(view, spec, environment, config.kernel);
    const message = join(directory, "termination-message");
    writeFileSync(message, "");
    if (this.#canChown) chownAll([message], identity);
    const table = join(directory, "fstab");
    writeFileSync(
      table,
      planMounts({
        root: join(directory, "root"),
        layers: spec.layers,
        upper: rootfs === "copy" ? upper : join("containers", spec.id, "upper"),
        work: join("containers", spec.id, "work"),
        rootfs,
        userxattr: config.idMode !== "root",
        readOnlyRoot: spec.readOnlyRootFilesystem,
        protectProc: config.idMode === "root",
        view,
        lowers: rootfs === "copy" ? [upper] : layers,
        workspace,
        podDirectory: pod.directory,
        volumes: spec.mounts,
        terminationMessage: { path: spec.terminationMessagePath, file: message },
        owner: identity,
      }),
    );
    const { tools } = config;
    const namespaces = ["net", "uts", "ipc"].map((kind) => `--${kind}=${join(pod.network.directory, kind)}`);
    const command = [
      ...[tools.nsenter, ...namespaces, "--"],
      ...[tools.unshare, "--mount", "--pid", "--fork", "--kill-child", "--", tools.sh, "-c", ENTER, "-"],
      ...[table, join(directory, "root"), pod.hostname, config.idMode === "root" ? "move" : "stay"],
      ...(refusal === undefined
        ? [
            ...becomeCommand({ tools, idMode: config.idMode, identity, workingDir, environment }),
            ...spec.argv,
          ]
        : [tools.sh, "-c", REFUSED, "-", refusal.message]),
    ];
    return await this.#launch(pod, spec, identity, environment, command, directory, message);
  }

  get #canChown(): boolean {
    return this.#options.config.idMode !== "one-uid";
  }

  async #copy(layers: readonly string[], to: string): Promise<void> {
    for (const layer of layers.toReversed()) {
      await finished(
        spawn("cp", ["-a", "--", `${layer}/.`, to], {
          stdio: ["ignore", "ignore", "ignore"],
          env: this.#environment,
        }),
      );
    }
  }

  async #launch(
    pod: Pod,
    spec: StartContainer,
    identity: Identity,
    environment: readonly string[],
    command: readonly string[],
    directory: string,
    message: string,
  ): Promise<Container> {
    const { config, workspace, ports } = this.#options;
    const owner = this.#canChown ? identity : undefined;
    const stdout = await this.#fifos.output(owner);
    const stderr = await this.#fifos.output(owner);
    const log = new LogWriter(
      logPath(join(config.directory, "logs"), spec.podUid, spec.name, spec.attempt),
      ports.now,
    );
    const child = spawn(command[0] as string, command.slice(1), {
      cwd: workspace,
      env: this.#environment,
      detached: true,
      stdio: ["ignore", stdout.writeEnd, "pipe", "pipe", stderr.writeEnd],
    });
    let complaint = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      complaint += text;
    });
    closeSync(stdout.writeEnd);
    closeSync(stderr.writeEnd);
    const drained = Promise.all([
      pump(stdout.reader, (chunk) => log.write("stdout", chunk)),
      pump(stderr.reader, (chunk) => {
        log.write("stderr", chunk);
        if (config.idMode === "one-uid") this.#explainIds(spec, chunk.toString("utf8"));
      }),
    ]);
    const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
      child.once("close", (code, signal) => {
        // unshare passes a signal on by sending it to itself, but fails to prepare that for SIGKILL, complains and
        // exits with 1. Nothing else makes it speak once the container runs.
        const killed = code === 1 && /^unshare: /m.test(complaint);
        resolve(killed ? { code: null, signal: "SIGKILL" } : { code, signal });
      });
      child.once("error", () => resolve({ code: 128, signal: null }));
    });
    let report: { pid: number };
    try {
      report = await startReport(child.stdio[3] as Readable);
    } catch (error) {
      await ended;
      await within(drained, DRAIN_MS);
      log.close();
      throw new ContainerStartError(
        "CreateContainerError",
        `${error instanceof Error ? error.message : String(error)}: ${complaint.trim()}${log.tail}`,
      );
    }
    const startedAtMs = Math.floor(ports.now());
    const container: Container = {
      spec,
      identity,
      environment,
      pid: report.pid,
      startedAtMs,
      running: true,
      exited: ended.then(async ({ code, signal }) => {
        container.running = false;
        await within(drained, DRAIN_MS);
        stdout.reader.destroy();
        stderr.reader.destroy();
        log.close();
        const exit = exitOf(spec, code, signal, startedAtMs, Math.floor(ports.now()), message);
        if (!spec.keepsFiles) rmSync(directory, { recursive: true, force: true });
        ports.exited(exit);
      }),
    };
    pod.containers.set(spec.name, container);
    await entered(container);
    if (pod.stopping) kill(container.pid, "SIGKILL");
    return container;
  }

  /**
   * With one uid, changing to another fails in the kernel with EINVAL or EPERM. Only the program sees that, and it may
   * go on without its workers (nginx does), so what it writes is searched for the system call that failed. This is
   * a hint for people and decides nothing.
   */
  #explainIds(spec: StartContainer, written: string): void {
    const call = /\b(set(?:res|re|e|fs)?[ug]id|setgroups|[fl]?chown(?:at)?)\b/i.exec(written)?.[1];
    const isRefused = /EINVAL|EPERM|\((?:22|1): |invalid argument|not permitted/i.test(written);
    if (call === undefined || !isRefused) return;
    this.#options.ports.warn(
      spec.podUid,
      "SecondUserNeeded",
      `Container ${spec.name} failed in ${call}: its image changes to a second user, and this account has only one uid for pods. Install the package uidmap and give the account a range in /etc/subuid and /etc/subgid, set runAsUser, or run as root.`,
    );
  }

  signal(container: Container, signal: NodeJS.Signals): void {
    if (container.running) kill(container.pid, signal);
  }

  /** Removes what was kept for a further attempt. */
  forget(container: Container): void {
    rmSync(join(this.#options.workspace, "containers", container.spec.id), { recursive: true, force: true });
  }

  exec(
    container: Container,
    request: ExecRequest,
    output: (stream: "stdout" | "stderr", data: Buffer) => void,
  ): Promise<ExecHandle> {
    const { config } = this.#options;
    return execIn(container, request, output, {
      config,
      fifos: this.#fifos,
      environment: this.#environment,
    });
  }
}

/** Overlay shows the upper folder's mode and owner at `/`; they must be the image's. */
function matchRoot(upper: string, top: { mode: number; uid: number; gid: number }): void {
  chmodSync(upper, top.mode & 0o7777);
  if (top.uid !== 0 || top.gid !== 0) chownSync(upper, top.uid, top.gid);
}

function chownAll(paths: readonly string[], owner: { uid: number; gid: number }): void {
  for (const path of paths) chownSync(path, owner.uid, owner.gid);
}

/** Resolves when the script says that the next program is the container's own; rejects with what it said instead. */
function startReport(control: Readable): Promise<{ pid: number }> {
  return new Promise((resolve, reject) => {
    let text = "";
    control.setEncoding("utf8");
    control.on("data", (piece: string) => {
      text += piece;
      if (!/^started$/m.test(text)) return;
      resolve({ pid: Number(/^pid (\d+)$/m.exec(text)?.[1]) });
    });
    control.on("error", reject);
    control.on("close", () => reject(new Error("cannot set up the container")));
  });
}

/**
 * Waits the millisecond until the last programs of the chain have changed the root, so that an exec that follows at
 * once (a probe, a test) meets the container's files and not the machine's.
 */
async function entered(container: Container): Promise<void> {
  const outside = statSync("/");
  for (let waitedMs = 0; container.running && waitedMs < ENTER_MS; waitedMs += 1) {
    const root = statSync(`/proc/${container.pid}/root`, { throwIfNoEntry: false });
    if (root === undefined || root.dev !== outside.dev || root.ino !== outside.ino) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function exitOf(
  spec: StartContainer,
  code: number | null,
  signal: NodeJS.Signals | null,
  startedAtMs: number,
  finishedAtMs: number,
  messageFile: string,
): ContainerExit {
  const exitCode = code ?? 128 + signalNumber(signal);
  const message = existsSync(messageFile)
    ? readFileSync(messageFile).subarray(0, MESSAGE_MAX)
    : Buffer.alloc(0);
  return {
    podUid: spec.podUid,
    name: spec.name,
    id: `sandbox://${spec.id}`,
    exitCode,
    signal: signal === null ? undefined : signalNumber(signal),
    reason: exitCode === 0 ? "Completed" : "Error",
    message: message.toString("utf8"),
    startedAtMs,
    finishedAtMs,
  };
}
