/**
 * `…/pods/x/portforward`: connections to ports of a pod, in three ways:
 *
 * - SPDY streams over an upgraded connection, or (kubectl from 1.31 on) inside WebSocket messages. For every connection
 *   the client opens two streams with the same request id: `error`, on which one message tells what went wrong, and `data`.
 * - WebSocket messages by channel (client libraries): the ports are in the query, and each has a channel for data and the
 *   next one for errors. The first message of each channel repeats the port.
 */
import { type Duplex, PassThrough } from "node:stream";
import { badRequest, type Pod } from "@slipway/kube";
import { createWebSocketStream, type RawData, type WebSocket } from "ws";
import { acceptSpdy, acceptWebSocket, type ExecContext, isWebSocket, type Upgrade } from "./exec.ts";
import type { ResourcePath } from "./request.ts";
import { type SpdyStream, serveSpdy } from "./spdy.ts";

const PROTOCOL = "portforward.k8s.io";
const TUNNELED = `SPDY/3.1+${PROTOCOL}`;
const CHANNELS = "v4.channel.k8s.io";

/** Throws a StatusError before the upgrade. */
export function servePortForward(
  context: ExecContext,
  upgrade: Upgrade,
  path: ResourcePath,
  query: URLSearchParams,
): void {
  const { namespace = "", name = "" } = path;
  const pod = context.api.get({ ...path.ref, namespace, name }) as Pod;
  const podIP = pod.status?.podIP;
  if (pod.status?.phase !== "Running" || podIP === undefined) {
    throw badRequest(
      `unable to forward port because pod is not running. Current status=${pod.status?.phase ?? ""}`,
    );
  }
  const serve = (connection: Duplex): void => void forward(context, connection, podIP);
  if (isWebSocket(upgrade.request)) {
    const ports = query.getAll("ports").flatMap((text) => text.split(",").map(portOf));
    acceptWebSocket(upgrade, [TUNNELED, CHANNELS], (webSocket) => {
      if (webSocket.protocol === TUNNELED) return serve(createWebSocketStream(webSocket));
      forwardChannels(context, webSocket, podIP, ports);
    });
  } else {
    serve(acceptSpdy(upgrade, [PROTOCOL]));
  }
}

function portOf(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw badRequest(`ports: "${text}" is not a port`);
}

function forwardChannels(
  context: ExecContext,
  webSocket: WebSocket,
  podIP: string,
  ports: readonly number[],
): void {
  const data = ports.map((port, index) => {
    const send = (channel: number, payload: Uint8Array): void => {
      if (webSocket.readyState !== webSocket.OPEN) return;
      webSocket.send(Buffer.concat([Buffer.of(channel), payload]));
    };
    const named = Buffer.alloc(2);
    named.writeUInt16LE(port);
    const [dataChannel, errorChannel] = [2 * index, 2 * index + 1];
    send(dataChannel, named);
    send(errorChannel, named);
    const toPod = new PassThrough();
    context.pods.dial(podIP, port).then(
      (socket) => {
        toPod.pipe(socket);
        socket.on("data", (chunk: Buffer) => send(dataChannel, chunk));
        // There is no message for the end of one direction: with the last connection the whole ends.
        socket.once("error", () => webSocket.close(1000));
        socket.once("close", () => webSocket.close(1000));
        webSocket.once("close", () => socket.destroy());
      },
      (error: unknown) => {
        send(errorChannel, Buffer.from(forwardFailure(port, error)));
        webSocket.close(1000);
      },
    );
    return toPod;
  });
  webSocket.on("error", () => {}); // the client went away
  webSocket.on("message", (message: RawData) => {
    const bytes = Buffer.from(message as Buffer);
    const channel = bytes[0] as number;
    if (channel % 2 === 0) data[channel / 2]?.write(bytes.subarray(1));
  });
}

const forwardFailure = (port: number, error: unknown): string =>
  `error forwarding port ${port} to pod: ${error instanceof Error ? error.message : String(error)}`;

async function forward(context: ExecContext, connection: Duplex, podIP: string): Promise<void> {
  connection.on("error", () => {}); // the client went away
  /** The error streams whose data stream has not come yet, by request id. */
  const waiting = new Map<string, SpdyStream>();
  await serveSpdy(connection, (stream) => {
    const request = stream.headers.get("requestid") ?? "";
    const port = Number(stream.headers.get("port"));
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw badRequest("a stream must name its port");
    if (stream.headers.get("streamtype") === "error") {
      stream.resume();
      waiting.set(request, stream);
      return;
    }
    const errors = waiting.get(request);
    if (errors === undefined) throw badRequest(`request ${request} has no error stream`);
    waiting.delete(request);
    void connect(context, stream, errors, podIP, port);
  });
}

async function connect(
  context: ExecContext,
  data: SpdyStream,
  errors: SpdyStream,
  podIP: string,
  port: number,
): Promise<void> {
  let socket: Duplex;
  try {
    socket = await context.pods.dial(podIP, port);
  } catch (error) {
    errors.end(forwardFailure(port, error));
    data.end();
    return;
  }
  errors.end();
  // Each direction ends by itself; when one side breaks, the other is broken too.
  socket.once("error", () => data.destroy());
  socket.once("close", () => data.end());
  data.once("close", () => socket.destroy());
  data.pipe(socket);
  socket.pipe(data);
}
