/**
 * `…/pods/x/portforward`: connections to ports of a pod, as SPDY streams over an upgraded connection or (kubectl from
 * 1.31 on) inside WebSocket messages. For every connection the client opens two streams with the same request id:
 * `error`, on which one message tells what went wrong, and `data`.
 */
import type { Duplex } from "node:stream";
import { badRequest, type Pod } from "@slipway/kube";
import { createWebSocketStream } from "ws";
import { acceptSpdy, acceptWebSocket, type ExecContext, isWebSocket, type Upgrade } from "./exec.ts";
import type { ResourcePath } from "./request.ts";
import { type SpdyStream, serveSpdy } from "./spdy.ts";

const PROTOCOL = "portforward.k8s.io";
const TUNNELED = `SPDY/3.1+${PROTOCOL}`;

/** Throws a StatusError before the upgrade. */
export function servePortForward(context: ExecContext, upgrade: Upgrade, path: ResourcePath): void {
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
    acceptWebSocket(upgrade, [TUNNELED], (webSocket) => serve(createWebSocketStream(webSocket)));
  } else {
    serve(acceptSpdy(upgrade, [PROTOCOL]));
  }
}

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
    const why = error instanceof Error ? error.message : String(error);
    errors.end(`error forwarding port ${port} to pod: ${why}`);
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
