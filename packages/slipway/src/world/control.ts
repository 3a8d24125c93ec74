/**
 * The world's own small HTTP interface, for the CLI: on loopback, with a token that only the project's owner can
 * read. JSON in, JSON out; errors come back as `{ error: { code, where, message, hint, exitCode } }`.
 */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { SlipwayError } from "@slipway/base";
import type { WorldState } from "./state.ts";

/** Not imported: an import reads all its exports, and WebSocket among them loads the whole of Node's own fetch. */
const http = (): typeof import("node:http") => process.getBuiltinModule("node:http");

/** `signal` aborts when the caller has left. */
export type Handlers = Readonly<Record<string, (body: unknown, signal: AbortSignal) => Promise<unknown>>>;

export interface Control {
  readonly url: string;
  close(): void;
}

/** Serves `POST /NAME` for every handler. */
export async function serveControl(handlers: Handlers, token: string): Promise<Control> {
  const server = http().createServer(async (request, response) => {
    const answer = (status: number, value: unknown): void => {
      const text = JSON.stringify(value);
      response
        .writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
        .end(text);
    };
    const name = (request.url ?? "/").slice(1);
    const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
    if (request.headers.authorization !== `Bearer ${token}`)
      return answer(401, { error: { code: "WORLD_TOKEN", message: "wrong token" } });
    if (request.method !== "POST" || handler === undefined)
      return answer(404, { error: { code: "WORLD_NO_CALL", message: `no call "${name}"` } });
    const leaving = new AbortController();
    response.once("close", () => leaving.abort());
    try {
      answer(200, { result: (await handler(await readJson(request), leaving.signal)) ?? null });
    } catch (error) {
      const known = error instanceof SlipwayError;
      answer(known ? 422 : 500, {
        error: known
          ? { ...error.toJSON(), exitCode: error.exitCode }
          : { code: "WORLD_FAILED", message: String(error) },
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close();
      server.closeIdleConnections();
    },
  };
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text === "" ? undefined : JSON.parse(text);
}

/** Calls a running world. A world that does not answer is reported as such, with what to do. Rejects with INTERRUPTED. */
export function callWorld<T>(
  state: Pick<WorldState, "control">,
  name: string,
  body?: unknown,
  timeoutMs = 30_000,
  interrupt?: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? "" : JSON.stringify(body);
    const request = http().request(
      `${state.control.url}/${name}`,
      {
        method: "POST",
        agent: false,
        signal: AbortSignal.any([
          AbortSignal.timeout(timeoutMs),
          ...(interrupt === undefined ? [] : [interrupt]),
        ]),
        headers: {
          authorization: `Bearer ${state.control.token}`,
          "content-type": "application/json",
          "content-length": Buffer.byteLength(text),
        },
      },
      async (response) => {
        try {
          const answer = (await readJson(response)) as {
            result?: T;
            error?: { code: string; message: string; where?: string; hint?: string; exitCode?: number };
          };
          if (answer.error !== undefined) reject(new SlipwayError({ exitCode: 3, ...answer.error }));
          else resolve(answer.result as T);
        } catch (error) {
          reject(error);
        }
      },
    );
    request.on("error", (cause) =>
      reject(
        interrupt?.aborted === true
          ? new SlipwayError({ code: "INTERRUPTED", message: "interrupted", cause, exitCode: 130 })
          : new SlipwayError({
              code: "WORLD_NOT_ANSWERING",
              where: "local world",
              message: `does not answer on ${state.control.url} (${cause.message})`,
              hint: "See .slipway/world.log; `slipway local down` stops it for good.",
              cause,
              exitCode: 3,
            }),
      ),
    );
    request.end(text);
  });
}
