/**
 * `…/pods/x/exec`, in the two ways that clients speak it.
 *
 * - WebSocket, v5 and v4.channel.k8s.io (kubectl from 1.31 on, client libraries): binary messages whose first byte is
 *   the channel (0 standard input, 1 output, 2 errors, 3 the final Status, 4 terminal size); in v5, byte 255 and a
 *   channel closes that channel, which is the only way to say that standard input has ended.
 * - SPDY/3.1, v4.channel.k8s.io (kubectl up to 1.30): one stream for each of them, named by the header `streamtype`.
 */
import type { IncomingMessage } from "node:http";
import { type Duplex, PassThrough, type Readable } from "node:stream";
import { type Api, badRequest, type Pod } from "@slipway/kube";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { statusOf } from "./answer.ts";
import { chooseContainer, requireRunning } from "./containers.ts";
import type { PodName, PodStreams } from "./pods.ts";
import { boolean, type ResourcePath } from "./request.ts";
import { type SpdyStream, serveSpdy } from "./spdy.ts";

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
const CLOSE = 255;

/** Best first. */
const WEBSOCKET_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
const SPDY_PROTOCOLS = ["v4.channel.k8s.io"];

export interface ExecContext {
  readonly api: Api;
  readonly pods: PodStreams;
  readonly closing: AbortSignal;
}

export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

interface Execution {
  readonly pod: PodName;
  readonly container: string;
  readonly command: readonly string[];
  readonly wants: {
    readonly stdin: boolean;
    readonly stdout: boolean;
    readonly stderr: boolean;
    readonly tty: boolean;
  };
}

interface Streams {
  readonly stdin: Readable | undefined;
  readonly stdout: (chunk: Uint8Array) => void;
  readonly stderr: (chunk: Uint8Array) => void;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
}

/** Throws a StatusError before the upgrade; afterwards errors travel as the final Status. */
export function serveExec(
  context: ExecContext,
  upgrade: Upgrade,
  path: ResourcePath,
  query: URLSearchParams,
): void {
  const { namespace = "", name = "" } = path;
  const pod = context.api.get({ ...path.ref, namespace, name }) as Pod;
  const container = chooseContainer(pod, query.get("container"));
  const command = query.getAll("command");
  if (command.length === 0) throw badRequest("you must specify at least 1 command for the container");
  requireRunning(pod, container);
  const wants = {
    stdin: boolean(query, "stdin"),
    stdout: boolean(query, "stdout"),
    stderr: boolean(query, "stderr"),
    tty: boolean(query, "tty"),
  };
  const execution = { pod: { namespace, name }, container, command, wants };
  if (isWebSocket(upgrade.request)) {
    acceptWebSocket(upgrade, WEBSOCKET_PROTOCOLS, (webSocket) => {
      void overWebSocket(context, webSocket, execution);
    });
  } else {
    const socket = acceptSpdy(upgrade, SPDY_PROTOCOLS);
    void overSpdy(context, socket, execution);
  }
}

export function isWebSocket(request: IncomingMessage): boolean {
  return String(request.headers.upgrade ?? "").toLowerCase() === "websocket";
}

export function acceptWebSocket(
  { request, socket, head }: Upgrade,
  protocols: readonly string[],
  accept: (webSocket: WebSocket) => void,
): void {
  const protocol = chooseProtocol(request.headers["sec-websocket-protocol"], protocols);
  const server = new WebSocketServer({
    noServer: true,
    handleProtocols: () => protocol,
    perMessageDeflate: false,
  });
  server.handleUpgrade(request, socket, head, accept);
}

/** Answers the upgrade to SPDY and gives the connection back, with what the client has sent already. */
export function acceptSpdy({ request, socket, head }: Upgrade, protocols: readonly string[]): Duplex {
  if (!/^spdy\/3\.1$/i.test(String(request.headers.upgrade ?? ""))) {
    throw badRequest(
      "unable to upgrade: missing upgrade headers in request: Upgrade should be SPDY/3.1 or websocket",
    );
  }
  const offered = request.headers["x-stream-protocol-version"];
  const protocol = chooseProtocol(Array.isArray(offered) ? offered.join(",") : offered, protocols);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  return socket;
}

function chooseProtocol(offered: string | undefined, known: readonly string[]): string {
  const offers = (offered ?? "").split(",").map((each) => each.trim());
  const chosen = known.find((each) => offers.includes(each));
  if (chosen !== undefined) return chosen;
  throw badRequest(`unable to upgrade: the server speaks ${known.join(", ")}, offered: ${offers.join(", ")}`);
}

async function overWebSocket(
  context: ExecContext,
  webSocket: WebSocket,
  execution: Execution,
): Promise<void> {
  const gone = new AbortController();
  webSocket.once("close", () => gone.abort());
  webSocket.once("error", () => gone.abort());
  const send = (channel: number, data: Uint8Array): void => {
    if (webSocket.readyState === webSocket.OPEN)
      webSocket.send(Buffer.concat([Buffer.from([channel]), data]));
  };
  const stdin = execution.wants.stdin ? new PassThrough() : undefined;
  webSocket.on("message", (data: RawData) => receive(Buffer.from(data as Buffer), stdin));
  webSocket.once("close", () => stdin?.end());
  const outcome = await run(context, execution, {
    stdin,
    stdout: (chunk) => send(STDOUT, chunk),
    stderr: (chunk) => send(STDERR, chunk),
    signal: gone.signal,
  });
  send(STATUS, Buffer.from(JSON.stringify(outcome)));
  webSocket.close(1000);
}

/** Terminal sizes (channel 4) are dropped: no runtime gives a terminal. */
function receive(message: Buffer, stdin: PassThrough | undefined): void {
  if (stdin === undefined || stdin.writableEnded) return;
  if (message[0] === STDIN) stdin.write(message.subarray(1));
  if (message[0] === CLOSE && message[1] === STDIN) stdin.end();
}

/** The command starts when the client has opened every stream that it asked for. */
async function overSpdy(context: ExecContext, socket: Duplex, execution: Execution): Promise<void> {
  const { wants } = execution;
  const expected = new Set([
    "error",
    ...(wants.stdin ? ["stdin"] : []),
    ...(wants.stdout ? ["stdout"] : []),
    ...(wants.stderr && !wants.tty ? ["stderr"] : []),
    ...(wants.tty ? ["resize"] : []),
  ]);
  const gone = new AbortController();
  const streams = new Map<string, SpdyStream>();
  const start = async (): Promise<void> => {
    const outcome = await run(context, execution, {
      stdin: streams.get("stdin"),
      stdout: (chunk) => streams.get("stdout")?.write(chunk),
      stderr: (chunk) => (streams.get("stderr") ?? streams.get("stdout"))?.write(chunk),
      signal: gone.signal,
    });
    const ended = [...streams]
      .filter(([type]) => type !== "stdin" && type !== "resize")
      .map(([type, stream]) => {
        return new Promise<void>((resolve) => {
          stream.once("close", resolve);
          stream.end(type === "error" ? JSON.stringify(outcome) : undefined, resolve);
        });
      });
    await Promise.all(ended);
    socket.end();
  };
  await serveSpdy(socket, (stream) => {
    const type = stream.headers.get("streamtype") ?? "";
    if (!expected.has(type) || streams.has(type))
      throw badRequest(`unexpected stream ${JSON.stringify(type)}`);
    streams.set(type, stream);
    if (type !== "stdin") stream.resume();
    if (streams.size === expected.size) void start();
  });
  gone.abort();
}

/** Runs the command to its end. What goes wrong is an outcome too, also before the start. */
async function run(context: ExecContext, execution: Execution, streams: Streams): Promise<unknown> {
  const { pod, container, command, wants } = execution;
  const { stdin, stdout, stderr } = streams;
  try {
    const { exitCode } = await context.pods.exec(pod, {
      container,
      command,
      tty: wants.tty,
      signal: AbortSignal.any([streams.signal, context.closing]),
      ...(stdin === undefined ? {} : { stdin }),
      ...(wants.stdout ? { stdout } : {}),
      ...(wants.stderr ? { stderr } : {}),
    });
    return exitStatus(exitCode);
  } catch (error) {
    return statusOf(error);
  }
}

/** How kubectl learns the exit code of the command. */
function exitStatus(exitCode: number): unknown {
  if (exitCode === 0) return { metadata: {}, status: "Success" };
  return {
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
  };
}
