/**
 * A container of a pod behind the port of the engines, so that what is checked on containers together is checked in a
 * cluster too. Only what the API server offers takes part: status, logs, exec and forwarded ports. Where that cannot show
 * what another engine shows, it says so.
 */
import { type Clock, SlipwayError } from "@slipway/base";
import { type KubeClient, type Pod, StatusError } from "@slipway/kube";
import type {
  Container,
  ContainerLogs,
  ContainerState,
  ExecOptions,
  ExecResult,
  InsideRequest,
  InsideResponse,
  PublishedPort,
  ServiceSpec,
  Unseen,
} from "../engines/engine.ts";
import { forwardedRequest } from "./forwarded-request.ts";

const LOG_LIMIT_BYTES = 1024 * 1024;
const EXEC_TIMEOUT_MS = 30_000;
const NOT_FOUND_EXIT = 127;
const KILLED_EXIT = 137;
/** getent(1): one or more supplied keys could not be found. */
const NO_SUCH_KEY = 2;

export interface PodContainerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly service: ServiceSpec;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** How it is looked into where more than the API server can be asked: a sandbox of this process. */
  readonly looks?:
    | Pick<Container, "files" | "processes" | "sockets" | "http" | "reach" | "resolve">
    | undefined;
}

const NO_LOOK: Unseen = {
  unseen: "an API server shows no processes, sockets and files",
  remedy: "Check the image itself, or run the containers with --engine sandbox.",
};

export class PodContainer implements Container {
  readonly service: ServiceSpec;
  execs = 0;
  readonly #options: PodContainerOptions;

  constructor(options: PodContainerOptions) {
    this.service = options.service;
    this.#options = options;
  }

  get #ref(): { readonly namespace: string; readonly name: string } {
    return { namespace: this.#options.namespace, name: this.#options.pod };
  }

  #pod(): Promise<Pod> {
    return this.#options.client.get<Pod>({ apiVersion: "v1", kind: "Pod", ...this.#ref });
  }

  /** The cluster has started it. */
  start(): Promise<void> {
    return Promise.resolve();
  }

  async state(): Promise<ContainerState> {
    return podState(await this.#pod(), this.#options.container);
  }

  async exited(signal: AbortSignal): Promise<ContainerState> {
    for (;;) {
      const state = await this.state();
      if (state.status === "exited") return state;
      await this.#options.clock.sleep(250, signal);
    }
  }

  stop(): Promise<never> {
    return Promise.reject(
      this.#cannot(
        "how a container stops cannot be tried in a cluster: its controller makes another",
        "Check it on the image or in Compose.",
      ),
    );
  }

  async logs(): Promise<ContainerLogs> {
    const chunks: Uint8Array[] = [];
    const { client, container } = this.#options;
    for await (const chunk of client.logs(this.#ref, { container, limitBytes: LOG_LIMIT_BYTES }))
      chunks.push(chunk);
    return { stdout: Buffer.concat(chunks).toString("utf8"), stderr: "", isMerged: true };
  }

  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    if (options.user !== undefined) {
      throw this.#cannot("a cluster runs commands as the container's own user only", "Leave the user out.");
    }
    this.execs += 1;
    const { client, clock, container } = this.#options;
    const startedAt = clock.monotonic();
    const tookMs = (): number => clock.monotonic() - startedAt;
    const done = new AbortController();
    const tooLate = new AbortController();
    clock.sleep(options.timeoutMs ?? EXEC_TIMEOUT_MS, done.signal).then(
      () => tooLate.abort(),
      () => {},
    );
    try {
      const outcome = await client.exec(this.#ref, {
        container,
        ...wrapped(argv, options),
        signal: tooLate.signal,
      });
      return { ...outcome, tookMs: tookMs(), hasTimedOut: false };
    } catch (error) {
      if (tooLate.signal.aborted) {
        return { exitCode: KILLED_EXIT, stdout: "", stderr: "", tookMs: tookMs(), hasTimedOut: true };
      }
      // The runtime's refusal to start a program comes as an error of the server, without an exit code.
      const isRefused = error instanceof StatusError && error.status.reason === "InternalError";
      if (!isRefused || (await this.state()).status !== "running") throw error;
      const stderr = `${error.message}\n`;
      return { exitCode: NOT_FOUND_EXIT, stdout: "", stderr, tookMs: tookMs(), hasTimedOut: false };
    } finally {
      done.abort();
    }
  }

  files(): ReturnType<Container["files"]> {
    return this.#options.looks?.files() ?? Promise.resolve(NO_LOOK);
  }
  processes(): ReturnType<Container["processes"]> {
    return this.#options.looks?.processes() ?? Promise.resolve(NO_LOOK);
  }
  sockets(): ReturnType<Container["sockets"]> {
    return this.#options.looks?.sockets() ?? Promise.resolve(NO_LOOK);
  }

  /** Through a forwarded port, which leads to the loopback of the pod's network: requests to others cannot go that way. */
  async http(request: InsideRequest): Promise<InsideResponse | Unseen> {
    const { looks, client, clock } = this.#options;
    if (looks !== undefined) return looks.http(request);
    const host = new URL(request.url).hostname.replace(/^\[(.*)\]$/, "$1");
    const podIP = (await this.#pod()).status?.podIP;
    if (!["127.0.0.1", "localhost", "::1", podIP].includes(host)) {
      return {
        unseen: `a request from ${this.#options.pod} to ${host} cannot be made from outside`,
        remedy: `Use t.in(…).command(["curl", …]) if the image has curl, or ask ${host} for itself.`,
      };
    }
    return forwardedRequest(request, clock, (port, signal) =>
      client.portForward(this.#ref, port, { signal }),
    );
  }

  async reach(host: string, port: number, timeoutMs: number): ReturnType<Container["reach"]> {
    const { looks } = this.#options;
    if (looks !== undefined) return looks.reach(host, port, timeoutMs);
    return {
      unseen: "a connection from inside a pod cannot be tried through the API server",
      remedy: "Use http(), or a command of the image.",
    };
  }

  async resolve(name: string, timeoutMs: number): Promise<readonly string[] | Unseen> {
    const { looks } = this.#options;
    if (looks !== undefined) return looks.resolve(name, timeoutMs);
    const { exitCode, stdout } = await this.exec(["getent", "ahosts", name], { timeoutMs });
    if (exitCode === 0) return [...new Set(stdout.split("\n").flatMap((line) => line.match(/^\S+/) ?? []))];
    if (exitCode === NO_SUCH_KEY) return [];
    return {
      unseen: `the image has no getent that could resolve ${name}`,
      remedy: "Check names in Compose.",
    };
  }

  published(): Promise<readonly PublishedPort[]> {
    return Promise.resolve([]);
  }

  #cannot(message: string, hint: string): SlipwayError {
    return new SlipwayError({ code: "ENGINE_CANNOT", where: this.service.name, message, hint, exitCode: 4 });
  }
}

/** Environment and folder through programs that nearly every image has; a script for a shell without an open stdin. */
function wrapped(
  argv: readonly string[],
  { environment = {}, workingDir, stdin }: ExecOptions,
): { readonly command: readonly string[]; readonly stdin?: string } {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const withEnv = variables.length === 0 ? argv : ["env", ...variables, ...argv];
  const command =
    workingDir === undefined ? withEnv : ["/bin/sh", "-c", 'cd "$0" && exec "$@"', workingDir, ...withEnv];
  if (stdin === undefined) return { command };
  // Before 1.29 a client cannot say that stdin has ended, and a shell would wait for more for ever.
  const isScript = argv.length === 1 && /^(?:.*\/)?sh$/.test(argv[0] as string) && command === argv;
  return isScript ? { command: [...argv, "-c", stdin] } : { command, stdin };
}

/** What a pod's status says of one of its containers. */
export function podState(pod: Pod, name: string): ContainerState {
  const status = pod.status?.containerStatuses?.find((one) => one.name === name);
  const spec = pod.spec.containers.find((one) => one.name === name);
  const { running, terminated } = status?.state ?? {};
  const last = terminated ?? status?.lastState?.terminated;
  const timeOf = (text: string | undefined | null): number | undefined =>
    text === undefined || text === null ? undefined : Date.parse(text);
  const isRunning = running !== undefined;
  // A container that waits to be started again has ended; one that never ran was only created.
  const hasEnded = !isRunning && last !== undefined;
  const hasProbe = spec?.readinessProbe !== undefined;
  return {
    status: isRunning ? "running" : hasEnded ? "exited" : "created",
    exitCode: hasEnded ? last.exitCode : undefined,
    signal: hasEnded && last.exitCode > 128 ? last.exitCode - 128 : undefined,
    isOomKilled: last?.reason === "OOMKilled",
    restarts: status?.restartCount ?? 0,
    startedAtMs: timeOf(running?.startedAt ?? last?.startedAt),
    finishedAtMs: hasEnded ? timeOf(last.finishedAt) : undefined,
    health: isRunning && hasProbe ? (status?.ready === true ? "healthy" : "starting") : undefined,
    healthOutput: undefined,
  };
}
