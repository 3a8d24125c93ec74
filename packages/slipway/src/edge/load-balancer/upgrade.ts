/** WebSockets and other upgrades: the request head is written to a pod as it came, then bytes flow both ways. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Backend, Balancer } from "./balancer.ts";
import type { ForwardedFor } from "./headers.ts";
import type { Dial, Upstreams } from "./upstreams.ts";

/** nginx's word for it; nobody's error. */
const CLIENT_LEFT = 499;

export interface UpgradeOptions {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly balancer: Balancer;
  readonly dial: Dial;
  readonly upstreams: Upstreams;
  readonly forwarded: ForwardedFor;
  readonly retries: number;
  /** `status`: what the pod answered to the upgrade, 503 when there was none to ask, 499 when the client left before. */
  readonly onDone: (backend: Backend | undefined, status: number) => void;
}

export async function forwardUpgrade(options: UpgradeOptions): Promise<void> {
  const { request, socket, balancer } = options;
  const tried = new Set<string>();
  socket.on("error", () => socket.destroy());
  for (;;) {
    const backend = tried.size <= options.retries ? balancer.pick(tried) : undefined;
    if (backend === undefined) {
      socket.end("HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
      return options.onDone(undefined, 503);
    }
    tried.add(backend.id);
    let upstream: Duplex;
    try {
      upstream = await options.dial(backend, 1000);
    } catch (error) {
      balancer.refused(backend.id, error instanceof Error ? error.message : String(error));
      continue;
    }
    // Gone while the endpoint was being reached: nothing would tell of it again.
    if (socket.destroyed) {
      upstream.destroy();
      return options.onDone(backend, CLIENT_LEFT);
    }
    join(options, backend, upstream);
    return;
  }

  function join({ head, forwarded, onDone }: UpgradeOptions, backend: Backend, upstream: Duplex): void {
    balancer.started(backend.id);
    let isOver = false;
    let status = 502;
    const close = (): void => {
      if (isOver) return;
      isOver = true;
      forget();
      balancer.finished(backend.id);
      upstream.destroy();
      socket.destroy();
      onDone(backend, status);
    };
    const forget = options.upstreams.upgraded(backend, close);
    upstream.once("data", (chunk: Buffer) => {
      status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(chunk.toString("latin1", 0, 16))?.[1] ?? 502);
    });
    for (const end of [upstream, socket]) end.on("error", close).on("close", close);
    upstream.write(requestHead(request, forwarded));
    if (head.length > 0) upstream.write(head);
    upstream.pipe(socket);
    socket.pipe(upstream);
  }
}

function requestHead(request: IncomingMessage, forwarded: ForwardedFor): string {
  let text = `${request.method} ${request.url} HTTP/1.1\r\n`;
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index] as string;
    if (!/^x-forwarded-(?:for|proto)$|^x-request-id$/i.test(name))
      text += `${name}: ${request.rawHeaders[index + 1]}\r\n`;
  }
  const before = request.headers["x-forwarded-for"];
  const chain = before === undefined ? forwarded.remoteIp : `${before}, ${forwarded.remoteIp}`;
  return `${text}x-forwarded-for: ${chain}\r\nx-forwarded-proto: ${forwarded.proto}\r\nx-request-id: ${forwarded.requestId}\r\nvia: 1.1 slipway\r\n\r\n`;
}
