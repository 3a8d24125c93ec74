/**
 * Carries out probes and lifecycle hooks against a runtime: exec inside the container, HTTP and TCP through the
 * pod network. Failures are worded as the kubelet words them.
 */
import { request } from "node:http";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { type Clock, systemCode } from "@slipway/base";
import type { Container, Handler, HttpGetAction, IntOrString, LifecycleHandler, Probe } from "@slipway/kube";
import type { PodRuntime } from "../runtimes/runtime.ts";

export interface HandlerTarget {
  readonly runtime: PodRuntime;
  readonly podUid: string;
  readonly podIP: string;
  readonly container: Container;
}

export interface HandlerResult {
  readonly isOk: boolean;
  /** Why not; empty when it is. */
  readonly message: string;
}

const ok: HandlerResult = { isOk: true, message: "" };
const failed = (message: string): HandlerResult => ({ isOk: false, message });

/** Bytes of a command's output, or of an HTTP body, that are worth quoting. */
const MAX_OUTPUT = 1024;

export async function runProbe(target: HandlerTarget, probe: Probe, clock: Clock): Promise<HandlerResult> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  if (probe.grpc !== undefined) {
    return failed("local clusters do not support grpc probes: use an exec, httpGet or tcpSocket probe");
  }
  return runHandler(target, probe, timeoutMs, clock);
}

/** Hooks report what went wrong, or undefined. */
export async function runHook(
  target: HandlerTarget,
  hook: LifecycleHandler,
  timeoutMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (hook.sleep !== undefined) {
    await clock.sleep(Math.min(hook.sleep.seconds * 1000, timeoutMs), signal).catch(() => {});
    return undefined;
  }
  const { isOk, message } = await runHandler(target, hook, timeoutMs, clock);
  return isOk ? undefined : message;
}

async function runHandler(
  target: HandlerTarget,
  handler: Handler,
  timeoutMs: number,
  clock: Clock,
): Promise<HandlerResult> {
  if (handler.exec !== undefined) return runCommand(target, handler.exec.command ?? [], timeoutMs);
  if (handler.httpGet !== undefined) return runHttp(target, handler.httpGet, timeoutMs, clock);
  if (handler.tcpSocket !== undefined) return runTcp(target, handler.tcpSocket, timeoutMs);
  return failed("missing probe handler");
}

async function runCommand(
  { runtime, podUid, container }: HandlerTarget,
  command: readonly string[],
  timeoutMs: number,
): Promise<HandlerResult> {
  let output = "";
  const collect = (chunk: Uint8Array): void => {
    if (output.length < MAX_OUTPUT) output += Buffer.from(chunk).toString("utf8");
  };
  try {
    const { exitCode } = await runtime.exec(podUid, container.name, command, {
      stdout: collect,
      stderr: collect,
      timeoutMs,
    });
    if (exitCode === 0) return ok;
    return failed(
      output.trim() === "" ? `command exited with code ${exitCode}` : output.slice(0, MAX_OUTPUT),
    );
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error));
  }
}

async function runTcp(
  target: HandlerTarget,
  action: NonNullable<Handler["tcpSocket"]>,
  timeoutMs: number,
): Promise<HandlerResult> {
  const port = portNumber(target.container, action.port);
  if (port === undefined) return failed(`strconv.Atoi: parsing "${action.port}": invalid syntax`);
  const host = action.host || target.podIP;
  try {
    const socket = await target.runtime.dial(host, port, { timeoutMs });
    socket.on("error", () => {});
    socket.destroy();
    return ok;
  } catch (error) {
    return failed(dialError(host, port, error));
  }
}

async function runHttp(
  target: HandlerTarget,
  action: HttpGetAction,
  timeoutMs: number,
  clock: Clock,
): Promise<HandlerResult> {
  const port = portNumber(target.container, action.port);
  if (port === undefined) return failed(`couldn't find port: ${action.port}`);
  const host = action.host || target.podIP;
  const isTls = action.scheme === "HTTPS";
  const path = action.path === undefined || action.path === "" ? "/" : action.path;
  const url = `${isTls ? "https" : "http"}://${host}:${port}${path.startsWith("/") ? path : `/${path}`}`;
  const late = new AbortController();
  const done = new AbortController();
  clock.sleep(timeoutMs, done.signal).then(
    () => late.abort(),
    () => {}, // Answered in time.
  );
  try {
    const raw = await target.runtime.dial(host, port, { timeoutMs });
    raw.on("error", () => {}); // Reported through the request below.
    const socket = isTls ? connectTls({ socket: raw, rejectUnauthorized: false }) : raw;
    const statusCode = await get(url, action, socket, late.signal);
    // Redirects count as success; the kubelet would follow them on the same host only.
    if (statusCode >= 200 && statusCode < 400) return ok;
    return failed(`HTTP probe failed with statuscode: ${statusCode}`);
  } catch (error) {
    if (late.signal.aborted) {
      return failed(
        `Get "${url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
      );
    }
    const fact =
      systemCode(error) === "ECONNRESET" || (error as Error).message === "socket hang up"
        ? "EOF"
        : dialError(host, port, error);
    return failed(`Get "${url}": ${fact}`);
  } finally {
    done.abort();
  }
}

function get(url: string, action: HttpGetAction, socket: Duplex, signal: AbortSignal): Promise<number> {
  const headers: Record<string, string> = {
    "user-agent": "kube-probe/1.33",
    accept: "*/*",
    connection: "close",
  };
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  return new Promise((resolve, reject) => {
    const { pathname, search, host } = new URL(url);
    const sent = request(
      {
        path: `${pathname}${search}`,
        method: "GET",
        headers: { host, ...headers },
        createConnection: () => socket,
        signal,
      },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
        // The body is of no interest: a probe must not wait for a large one.
        response.on("error", () => {});
        sent.destroy();
        socket.destroy();
      },
    );
    sent.on("error", (error) => {
      socket.destroy();
      reject(error);
    });
    sent.end();
  });
}

function portNumber(container: Container, port: IntOrString): number | undefined {
  if (typeof port === "number") return port;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  return named ?? (/^\d+$/.test(port) ? Number(port) : undefined);
}

/** Go's wording of a refused or lost connection. */
function dialError(host: string, port: number, error: unknown): string {
  const code = systemCode(error);
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED: "connect: connection refused",
    EHOSTUNREACH: "connect: no route to host",
    ENETUNREACH: "connect: network is unreachable",
    ETIMEDOUT: "i/o timeout",
    ECONNRESET: "read: connection reset by peer",
  };
  const reason = code === undefined ? undefined : reasons[code];
  return `dial tcp ${host}:${port}: ${reason ?? (error instanceof Error ? error.message : String(error))}`;
}
