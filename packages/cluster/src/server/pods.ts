/**
 * What the API server needs from whatever runs the pods: their logs, a command inside a container, and a
 * connection to a port. The cluster provides it from its kubelets and runtime. The server itself has already
 * checked that the pod exists, that the container is one of its own, and which container was meant.
 */
import type { Duplex, Readable } from "node:stream";
import type { LogOptions } from "@slipway/kube";

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

export interface PodExecOptions {
  readonly container: string;
  readonly command: readonly string[];
  /** Ends when the client closes its side of standard input; absent when the client sends none. */
  readonly stdin?: Readable;
  readonly stdout?: (chunk: Uint8Array) => void;
  readonly stderr?: (chunk: Uint8Array) => void;
  readonly tty: boolean;
  /** Aborted when the client goes away: the command must be killed. */
  readonly signal: AbortSignal;
}

export interface PodStreams {
  /**
   * The raw log as bytes. `container` is always given. May throw a StatusError (for instance NotFound when the
   * previous attempt left no log) before the first chunk.
   */
  logs(pod: PodName, options: LogOptions & { readonly container: string }): AsyncIterable<Uint8Array>;
  /** Rejects with a StatusError or a plain Error when the command could not be started. */
  exec(pod: PodName, options: PodExecOptions): Promise<{ readonly exitCode: number }>;
  /** A connected TCP stream to a port of a pod. */
  dial(podIP: string, port: number, options?: { readonly timeoutMs?: number }): Promise<Duplex>;
}
