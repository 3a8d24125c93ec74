/**
 * Shuts a node:http server down without losing a request: for services that a rolling update replaces. It imports
 * nothing but Node, so that an image needs no more than this file.
 *
 * Kubernetes takes the pod out of its Services and, after the preStop wait, sends SIGTERM. From then on: no new
 * connections, `Connection: close` on every answer still to come (keep-alive clients then go elsewhere instead of
 * racing the close), exit when nothing is in flight, and a hard exit before the kubelet would kill. Readiness stays
 * as it is: the removal of the endpoint does that work.
 *
 * @example
 * const server = createServer(handle);
 * drainOnSignal(server, { atMostMs: 25_000 });
 * server.listen(8080);
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";

export interface DrainOptions {
  /**
   * How long requests in flight may take after the signal. Choose terminationGracePeriodSeconds minus the preStop
   * wait minus 2 s. Default: 25 s, which fits Kubernetes' 30 s without a preStop wait.
   */
  readonly atMostMs?: number;
  /** Called when the last request is answered, before the exit: close the database here. */
  readonly onDrained?: () => void | Promise<void>;
  /** Default: this process. */
  readonly process?: SignalledProcess;
}

/** What is used of `process`. */
export interface SignalledProcess {
  on(signal: "SIGTERM" | "SIGINT", listener: () => void): unknown;
  exit(code: number): unknown;
}

/** Longer than the 600 s for which Google's load balancers keep idle connections, so that they close first. */
const KEEP_ALIVE_MS = 620_000;

/** Exit codes: 0 drained · 1 the time was over or `onDrained` threw · 130 a second signal came. */
export function drainOnSignal(server: Server, options: DrainOptions = {}): void {
  const target = options.process ?? process;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.headersTimeout = KEEP_ALIVE_MS + 5_000;
  const open = new Set<ServerResponse>();
  let isDraining = false;
  server.prependListener("request", (_request: IncomingMessage, response: ServerResponse) => {
    open.add(response);
    if (isDraining) response.setHeader("connection", "close");
    response.on("close", () => {
      open.delete(response);
      // An answer whose head had left before the signal could not say that the connection ends with it.
      if (isDraining) server.closeIdleConnections();
    });
  });
  const drain = (): void => {
    if (isDraining) {
      target.exit(130);
      return;
    }
    isDraining = true;
    const timer = setTimeout(() => {
      server.closeAllConnections();
      target.exit(1);
    }, options.atMostMs ?? 25_000);
    for (const response of open) if (!response.headersSent) response.setHeader("connection", "close");
    server.close(() => {
      Promise.resolve()
        .then(options.onDrained)
        .then(
          () => 0,
          (error: unknown) => {
            process.stderr.write(`onDrained failed: ${error instanceof Error ? error.stack : error}\n`);
            return 1;
          },
        )
        .then((code) => {
          clearTimeout(timer);
          target.exit(code);
        });
    });
    server.closeIdleConnections();
  };
  target.on("SIGTERM", drain);
  target.on("SIGINT", drain);
}
