/** One HTTP request through a forwarded port of a pod. */
import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type TLSSocket, connect as tlsConnect } from "node:tls";
import { type Clock, systemCode } from "@slipway/base";
import type { InsideRequest, InsideResponse } from "../engines/engine.ts";

const BODY_LIMIT = 4 * 1024 * 1024;

export async function forwardedRequest(
  wanted: InsideRequest,
  clock: Clock,
  open: (port: number, signal: AbortSignal) => Promise<Duplex>,
): Promise<InsideResponse> {
  const startedAt = clock.monotonic();
  const tookMs = (): number => clock.monotonic() - startedAt;
  const tooLate = new AbortController();
  const done = new AbortController();
  clock.sleep(wanted.timeoutMs, done.signal).then(
    () => tooLate.abort(),
    () => {},
  );
  let connection: Duplex | undefined;
  try {
    const url = new URL(wanted.url);
    const isTls = url.protocol === "https:";
    connection = await open(Number(url.port || (isTls ? 443 : 80)), tooLate.signal);
    const secured = isTls ? await secure(connection, url.hostname, wanted.isInsecure) : connection;
    const response = await send(url, wanted, secured, tooLate.signal);
    return {
      status: response.statusCode ?? 0,
      headers: Object.fromEntries(
        Object.entries(response.headersDistinct).map(([name, values]) => [name, (values ?? []).join(", ")]),
      ),
      body: await bodyOf(response),
      certificate: isTls ? pemOf(secured as TLSSocket) : undefined,
      tookMs: tookMs(),
    };
  } catch (error) {
    if (tooLate.signal.aborted) {
      return { error: "ETIMEDOUT", message: `no answer within ${wanted.timeoutMs} ms`, tookMs: tookMs() };
    }
    const message = error instanceof Error ? error.message : String(error);
    return { error: systemCode(error) ?? "EPROTO", message, tookMs: tookMs() };
  } finally {
    done.abort();
    connection?.destroy();
  }
}

function secure(connection: Duplex, servername: string, isInsecure: boolean): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({ socket: connection, servername, rejectUnauthorized: !isInsecure });
    socket.once("secureConnect", () => resolve(socket));
    socket.once("error", reject);
  });
}

function send(
  url: URL,
  wanted: InsideRequest,
  connection: Duplex,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    connection.once("error", reject);
    const request = httpRequest(
      {
        method: wanted.method,
        host: url.hostname,
        port: url.port,
        path: `${url.pathname}${url.search}`,
        headers: { host: url.host, connection: "close", ...wanted.headers },
        createConnection: () => connection,
        signal,
      },
      resolve,
    );
    request.once("error", reject);
    request.end(wanted.body);
  });
}

async function bodyOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > BODY_LIMIT) break;
  }
  return Buffer.concat(chunks).toString("utf8");
}

function pemOf(socket: TLSSocket): string | undefined {
  const raw = socket.getPeerX509Certificate();
  return raw?.toString();
}
