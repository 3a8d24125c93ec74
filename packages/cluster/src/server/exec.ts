/**
 * `…/pods/x/exec` over WebSocket, protocols v5 and v4.channel.k8s.io: binary messages whose first byte is the
 * channel (0 standard input, 1 output, 2 errors, 3 the final Status, 4 terminal size); in v5, byte 255 and a channel
 * closes that channel, which is the only way to say that standard input has ended.
 *
 * The older way, SPDY, is refused: kubectl from 1.31 on and every WebSocket client do without it.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { PassThrough } from "node:stream";
import { type Api, badRequest, type Pod } from "@slipway/kube";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { statusOf } from "./answer.ts";
import { chooseContainer, requireRunning } from "./containers.ts";
import type { PodStreams } from "./pods.ts";
import { boolean, type ResourcePath } from "./request.ts";

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
const CLOSE = 255;

/** Best first. */
const PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

export interface ExecContext {
  readonly api: Api;
  readonly pods: PodStreams;
  readonly closing: AbortSignal;
}

export type Upgrade = {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
};

/** Throws a StatusError before the upgrade; afterwards errors travel on the status channel. */
export function serveExec(
  context: ExecContext,
  { request, socket, head }: Upgrade,
  path: ResourcePath,
  query: URLSearchParams,
): void {
  const { namespace = "", name = "" } = path;
  const pod = context.api.get({ ...path.ref, namespace, name }) as Pod;
  const container = chooseContainer(pod, query.get("container"));
  const command = query.getAll("command");
  if (command.length === 0) throw badRequest("you must specify at least 1 command for the container");
  requireRunning(pod, container);
  const offered = String(request.headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .map((each) => each.trim());
  const protocol = PROTOCOLS.find((each) => offered.includes(each));
  if (protocol === undefined) {
    throw badRequest(
      `unable to upgrade: the server speaks ${PROTOCOLS.join(", ")}, offered: ${offered.join(", ")}`,
    );
  }
  const server = new WebSocketServer({
    noServer: true,
    handleProtocols: () => protocol,
    perMessageDeflate: false,
  });
  server.handleUpgrade(request, socket, head, (webSocket) => {
    void run(context, webSocket, { namespace, name }, container, command, query);
  });
}

async function run(
  context: ExecContext,
  webSocket: WebSocket,
  pod: { readonly namespace: string; readonly name: string },
  container: string,
  command: readonly string[],
  query: URLSearchParams,
): Promise<void> {
  const gone = new AbortController();
  const signal = AbortSignal.any([gone.signal, context.closing]);
  webSocket.once("close", () => gone.abort());
  webSocket.once("error", () => gone.abort());
  const send = (channel: number, data: Uint8Array): void => {
    if (webSocket.readyState === webSocket.OPEN)
      webSocket.send(Buffer.concat([Buffer.from([channel]), data]));
  };
  const stdin = boolean(query, "stdin") ? new PassThrough() : undefined;
  webSocket.on("message", (data: RawData) => receive(Buffer.from(data as Buffer), stdin));
  webSocket.once("close", () => stdin?.end());

  // Inside an async function, so that a refusal before the start is an outcome too.
  const start = async () =>
    context.pods.exec(pod, {
      container,
      command,
      tty: boolean(query, "tty"),
      signal,
      ...(stdin === undefined ? {} : { stdin }),
      ...(boolean(query, "stdout") ? { stdout: (chunk: Uint8Array) => send(STDOUT, chunk) } : {}),
      ...(boolean(query, "stderr") ? { stderr: (chunk: Uint8Array) => send(STDERR, chunk) } : {}),
    });
  const outcome = await start().then(exitStatus, statusOf);
  send(STATUS, Buffer.from(JSON.stringify(outcome)));
  webSocket.close(1000);
}

/** Terminal sizes (channel 4) are dropped: no runtime gives a terminal. */
function receive(message: Buffer, stdin: PassThrough | undefined): void {
  if (stdin === undefined || stdin.writableEnded) return;
  if (message[0] === STDIN) stdin.write(message.subarray(1));
  if (message[0] === CLOSE && message[1] === STDIN) stdin.end();
}

/** How kubectl learns the exit code of the command. */
function exitStatus({ exitCode }: { readonly exitCode: number }): unknown {
  if (exitCode === 0) return { metadata: {}, status: "Success" };
  return {
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
  };
}
