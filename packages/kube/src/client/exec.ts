/**
 * `exec` over WebSocket: the first byte of every message is its channel. v5 (Kubernetes 1.29) added a way to say
 * that stdin has ended; before it, a program that reads to the end of its input would wait for ever.
 */
import { SlipwayError } from "@slipway/base";
import type { Status } from "../resources/meta.ts";
import type { ExecOutcome, KubeClient } from "./client.ts";
import { StatusError } from "./status-error.ts";
import type { Transport } from "./transport.ts";
import { readMessages, sendClose, sendMessage, upgradeHeaders } from "./websocket.ts";

const V5 = "v5.channel.k8s.io";
const V4 = "v4.channel.k8s.io";
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const OUTCOME = 3;
/** In v5: the byte after it names a channel that ends. */
const END_OF_CHANNEL = 255;

export async function execInPod(
  transport: Transport,
  pod: Parameters<KubeClient["exec"]>[0],
  options: Parameters<KubeClient["exec"]>[1],
  where: string,
): Promise<ExecOutcome> {
  const query = new URLSearchParams([
    ...options.command.map((word): [string, string] => ["command", word]),
    ...(options.container === undefined ? [] : ([["container", options.container]] as [string, string][])),
    ...(options.stdin === undefined ? [] : ([["stdin", "true"]] as [string, string][])),
    ["stdout", "true"],
    ["stderr", "true"],
  ]);
  const path = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}/exec`;
  const { headers, accept } = upgradeHeaders([V5, V4]);
  // A command runs again each time it is asked for.
  const request = { method: "GET", path, query, signal: options.signal, repeatable: "once" } as const;
  const { socket, head, response } = await transport.upgrade(request, headers);
  const onAbort = (): void => {
    socket.destroy();
  };
  options.signal?.addEventListener("abort", onAbort, { once: true });
  socket.on("error", () => {}); // reading it reports the error; this one would be unhandled after the end
  try {
    if (response.headers["sec-websocket-accept"] !== accept) {
      throw execError(where, "the server did not accept the websocket as RFC 6455 says");
    }
    if (options.stdin !== undefined) {
      if (response.headers["sec-websocket-protocol"] !== V5) {
        throw execError(where, "this server cannot be told that stdin has ended (it is older than 1.29)");
      }
      sendMessage(socket, Buffer.concat([Buffer.of(STDIN), Buffer.from(options.stdin)]));
      sendMessage(socket, Buffer.of(END_OF_CHANNEL, STDIN));
    }
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    for await (const message of readMessages(socket, head)) {
      const payload = message.subarray(1);
      if (message[0] === STDOUT) stdout.push(payload);
      if (message[0] === STDERR) stderr.push(payload);
      if (message[0] !== OUTCOME) continue;
      const exitCode = exitCodeOf(JSON.parse(payload.toString("utf8")) as Status, where);
      sendClose(socket);
      const text = (parts: readonly Buffer[]): string => Buffer.concat(parts).toString("utf8");
      return { exitCode, stdout: text(stdout), stderr: text(stderr) };
    }
    throw execError(where, "the connection ended before the command's outcome came");
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason;
    throw error instanceof SlipwayError ? error : execError(where, (error as Error).message, error);
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    socket.destroy();
  }
}

/** Success is 0; a command's own failure carries its code as a cause; anything else did not run at all. */
function exitCodeOf(status: Status, where: string): number {
  if (status.status === "Success") return 0;
  const cause = status.details?.causes?.find(({ reason }) => reason === "ExitCode");
  if (cause?.message !== undefined) return Number(cause.message);
  throw new StatusError(status, where);
}

function execError(where: string, message: string, cause?: unknown): SlipwayError {
  return new SlipwayError({ code: "CLUSTER_EXEC_FAILED", where, message, cause, exitCode: 3 });
}
