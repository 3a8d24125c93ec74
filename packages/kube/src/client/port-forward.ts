/**
 * A connection to a port of a pod over WebSocket: `v4.channel.k8s.io`, one port for each connection. The first byte of
 * every message is its channel: 0 the data, 1 what went wrong. The first message of each only repeats the port (16 bits,
 * little-endian). Every kubelet since 1.6 speaks it (pkg/kubelet/cri/streaming/portforward/websocket.go); the newer
 * tunnel of SPDY frames would be a second protocol for the same connection.
 */
import { Duplex } from "node:stream";
import { SlipwayError } from "@slipway/base";
import type { KubeClient } from "./client.ts";
import type { Transport } from "./transport.ts";
import { readMessages, sendClose, sendMessage, upgradeHeaders } from "./websocket.ts";

const PROTOCOL = "v4.channel.k8s.io";
const DATA = 0;
const ERROR = 1;

export async function portForward(
  transport: Transport,
  pod: Parameters<KubeClient["portForward"]>[0],
  port: number,
  options: { readonly signal?: AbortSignal | undefined },
  where: string,
): Promise<Duplex> {
  const path = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}/portforward`;
  const { headers, accept } = upgradeHeaders([PROTOCOL]);
  const query = new URLSearchParams([["ports", String(port)]]);
  const request = { method: "GET", path, query, signal: options.signal, repeatable: "once" } as const;
  const { socket, head, response } = await transport.upgrade(request, headers);
  if (response.headers["sec-websocket-accept"] !== accept) {
    socket.destroy();
    throw forwardError(where, "the server did not accept the websocket as RFC 6455 says");
  }
  return new ForwardedConnection(
    socket,
    readMessages(socket, head),
    `${where}, port ${port} of pod ${pod.name}`,
  );
}

/** There is no half-close in this protocol: ending the writing side leaves the connection open for the answer. */
class ForwardedConnection extends Duplex {
  readonly #socket: Duplex;
  readonly #messages: AsyncIterator<Buffer>;
  readonly #where: string;
  /** Channels whose first message, the port, has come. */
  readonly #begun = new Set<number>();
  #isReading = false;

  constructor(socket: Duplex, messages: AsyncIterable<Buffer>, where: string) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#messages = messages[Symbol.asyncIterator]();
    this.#where = where;
    socket.on("error", () => {}); // reading it reports the error; this one would be unhandled after the end
  }

  override _read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#readOne().then(
      (isWanted) => {
        this.#isReading = false;
        if (isWanted) this._read();
      },
      (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
    );
  }

  /** True when more can be pushed. */
  async #readOne(): Promise<boolean> {
    const { done, value } = await this.#messages.next();
    if (done === true) {
      this.push(null);
      return false;
    }
    const channel = value[0] as number;
    const isFirst = !this.#begun.has(channel);
    this.#begun.add(channel);
    const payload = value.subarray(isFirst ? 3 : 1);
    if (payload.length === 0) return true;
    if (channel === ERROR) throw forwardError(this.#where, payload.toString("utf8").trim());
    return channel === DATA ? this.push(payload) : true;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    sendMessage(this.#socket, Buffer.concat([Buffer.of(DATA), chunk]));
    if (this.#socket.writableNeedDrain) this.#socket.once("drain", () => done());
    else done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#socket.destroyed) {
      if (this.#socket.writable) sendClose(this.#socket);
      this.#socket.destroy();
    }
    done(error);
  }
}

function forwardError(where: string, message: string): SlipwayError {
  return new SlipwayError({ code: "CLUSTER_PORT_FORWARD_FAILED", where, message, exitCode: 3 });
}
