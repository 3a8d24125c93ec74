/** Logs, exec and connections of pods, from the API's names down to the runtime's: what `kubectl logs` reaches. */
import { type Duplex, Readable } from "node:stream";
import type { Clock } from "@slipway/base";
import {
  badRequest,
  type ExecOutcome,
  type LogOptions,
  type Pod,
  type Store,
  statusError,
} from "@slipway/kube";
import type { PodRuntime } from "./runtimes/runtime.ts";

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

export interface PodAccessOptions {
  readonly store: Store;
  readonly runtime: PodRuntime;
  readonly clock: Clock;
}

export interface ExecStreams {
  readonly container?: string;
  readonly command: readonly string[];
  readonly stdin?: Readable;
  readonly stdout?: (chunk: Uint8Array) => void;
  readonly stderr?: (chunk: Uint8Array) => void;
  readonly signal?: AbortSignal;
}

export class RuntimePodAccess {
  readonly #store: Store;
  readonly #runtime: PodRuntime;
  readonly #clock: Clock;

  constructor({ store, runtime, clock }: PodAccessOptions) {
    this.#store = store;
    this.#runtime = runtime;
    this.#clock = clock;
  }

  async *logs(name: PodName, options: LogOptions): AsyncGenerator<Uint8Array> {
    const pod = this.#pod(name);
    const container = containerOf(pod, options.container);
    const status = [
      ...(pod.status?.containerStatuses ?? []),
      ...(pod.status?.initContainerStatuses ?? []),
    ].find((candidate) => candidate.name === container);
    const hasRun = status?.containerID !== undefined || status?.lastState?.terminated !== undefined;
    if (!hasRun) {
      const reason = status?.state?.waiting?.reason ?? "ContainerCreating";
      throw statusError(
        400,
        "BadRequest",
        `container "${container}" in pod "${name.name}" is waiting to start: ${reason}`,
      );
    }
    const restarts = status?.restartCount ?? 0;
    if (options.previous === true && restarts === 0) {
      throw statusError(
        400,
        "BadRequest",
        `previous terminated container "${container}" in pod "${name.name}" not found`,
      );
    }
    yield* this.#runtime.logs(
      pod.metadata.uid ?? "",
      container,
      options.previous ? restarts - 1 : undefined,
      {
        follow: options.follow === true,
        tailLines: options.tailLines,
        sinceMs: this.#sinceMs(options),
        timestamps: options.timestamps === true,
        limitBytes: options.limitBytes,
        signal: options.signal ?? new AbortController().signal,
      },
    );
  }

  /** Wall time in milliseconds from which lines are wanted. */
  #sinceMs({ sinceTime, sinceSeconds }: LogOptions): number | undefined {
    if (sinceTime !== undefined) return Date.parse(sinceTime);
    return sinceSeconds === undefined ? undefined : this.#clock.now() - sinceSeconds * 1000;
  }

  /** With streams, as the API server wants it. */
  exec(name: PodName, options: ExecStreams): Promise<{ readonly exitCode: number }> {
    const pod = this.#pod(name);
    const container = containerOf(pod, options.container);
    const status = pod.status?.containerStatuses?.find((candidate) => candidate.name === container);
    if (status !== undefined && status.state?.running === undefined) {
      throw statusError(400, "BadRequest", `container not found ("${container}")`);
    }
    const { stdin, stdout, stderr, signal } = options;
    return this.#runtime.exec(pod.metadata.uid ?? "", container, options.command, {
      ...(stdin === undefined ? {} : { stdin }),
      ...(stdout === undefined ? {} : { stdout }),
      ...(stderr === undefined ? {} : { stderr }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** With collected output, as the memory client wants it. */
  async run(
    name: PodName,
    { stdin, ...options }: Omit<ExecStreams, "stdin"> & { readonly stdin?: string },
  ): Promise<ExecOutcome> {
    const output: Uint8Array[] = [];
    const errors: Uint8Array[] = [];
    const { exitCode } = await this.exec(name, {
      ...options,
      ...(stdin === undefined ? {} : { stdin: Readable.from([Buffer.from(stdin)]) }),
      stdout: (chunk) => output.push(chunk),
      stderr: (chunk) => errors.push(chunk),
    });
    return {
      exitCode,
      stdout: Buffer.concat(output).toString("utf8"),
      stderr: Buffer.concat(errors).toString("utf8"),
    };
  }

  dial(podIP: string, port: number, options?: { readonly timeoutMs?: number }): Promise<Duplex> {
    return this.#runtime.dial(podIP, port, options);
  }

  async portForward(name: PodName, port: number): Promise<Duplex> {
    const podIP = this.#pod(name).status?.podIP;
    if (podIP === undefined) throw badRequest(`pod ${name.name} has no address yet`);
    return this.dial(podIP, port);
  }

  #pod({ namespace, name }: PodName): Pod {
    const pod = this.#store.get("Pod", namespace, name);
    if (pod === undefined) {
      throw statusError(404, "NotFound", `pods "${name}" not found`, { name, kind: "pods" });
    }
    return pod;
  }
}

/** The named container, or the one that kubectl would choose. */
function containerOf(pod: Pod, name: string | undefined): string {
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const wanted = name ?? pod.metadata.annotations?.["kubectl.kubernetes.io/default-container"];
  if (wanted === undefined) return pod.spec.containers[0]?.name ?? "";
  if (all.some((container) => container.name === wanted)) return wanted;
  throw statusError(400, "BadRequest", `container ${wanted} is not valid for pod ${pod.metadata.name}`);
}
