/**
 * `GET /metrics`, with a bearer token: what is said there names services and tells how busy they are, and other users of
 * a machine can reach its loopback too. Prometheus sends the token by `authorization.credentials_file`.
 *
 * The port of last time is taken again where it is free, so that a scrape configuration stays true.
 */
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { newSecret, readTextIfExists, writeAtomic } from "@slipway/base";
import { tokenCheck } from "../collect/receiver.ts";
import { CONTENT_TYPE, type Exposition } from "./metrics.ts";

export interface MetricsServer {
  /** `http://127.0.0.1:PORT/metrics` */
  readonly url: string;
  readonly port: number;
  close(): void;
}

/** Answers true when it was asked for metrics; for a server that answers other things too. */
export function metricsHandler(
  read: Exposition,
  token: string,
  onProblem: (error: unknown) => void,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const mayRead = tokenCheck(token);
  return (request, response) => {
    if (request.url?.split("?", 1)[0] !== "/metrics") return false;
    const reply = (status: number, type: string, text: string): void => {
      response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) });
      response.end(request.method === "HEAD" ? "" : text);
    };
    const plain = "text/plain; charset=utf-8";
    if (request.method !== "GET" && request.method !== "HEAD") {
      reply(405, plain, "only GET\n");
    } else if (!mayRead(request)) {
      response.setHeader("www-authenticate", 'Bearer realm="slipway metrics"');
      reply(401, plain, "a bearer token is needed\n");
    } else {
      read().then(
        (text) => reply(200, CONTENT_TYPE, text),
        (error: unknown) => {
          onProblem(error);
          reply(500, plain, "the figures cannot be read\n");
        },
      );
    }
    return true;
  };
}

export interface ServeMetricsOptions {
  /** Where token and ports are kept (`metricsPaths`). */
  readonly folder: string;
  /** Of this process, among those that share the folder: `world`, `observer`, `serve`. */
  readonly name: string;
  readonly read: Exposition;
  readonly onProblem: (error: unknown) => void;
}

/** On loopback. */
export async function serveMetrics(options: ServeMetricsOptions): Promise<MetricsServer> {
  const { folder, name, read, onProblem } = options;
  const handle = metricsHandler(read, await ensureToken(folder), onProblem);
  const server = createServer((request, response) => {
    if (!handle(request, response)) response.writeHead(404, { "content-length": 0 }).end();
  });
  server.requestTimeout = 10_000;
  server.keepAliveTimeout = 90_000; // a scrape a minute finds its connection open
  const { port: portFile } = metricsPaths(folder, name);
  const kept = Number((await readTextIfExists(portFile)) ?? 0);
  const port = await listen(server, kept).catch((error: unknown) => {
    if (kept > 0) return listen(server, 0); // last time's port is only a wish
    throw error;
  });
  if (port !== kept) await writeAtomic(portFile, String(port));
  return {
    url: `http://127.0.0.1:${port}/metrics`,
    port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

export function metricsPaths(
  folder: string,
  name: string,
): { readonly token: string; readonly port: string } {
  return { token: join(folder, "token"), port: join(folder, `${name}.port`) };
}

/** One for all processes of a project; made by whichever comes first, readable by its owner only. */
async function ensureToken(folder: string): Promise<string> {
  const path = metricsPaths(folder, "").token;
  const kept = (await readTextIfExists(path))?.trim();
  if (kept !== undefined && kept !== "") return kept;
  await mkdir(folder, { recursive: true });
  const token = newSecret();
  await writeAtomic(path, token, 0o600);
  return token;
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
