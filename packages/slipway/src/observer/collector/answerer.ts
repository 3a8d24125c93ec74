/** Questions to a collector, over HTTPS with the token for reading: a handler for an HTTP server. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { SlipwayError } from "@slipway/base";
import * as z from "zod";
import { tokenCheck } from "../../observe/collect/receiver.ts";

/** A question is short; Alertmanager's groups of some hundred alerts have their place. */
const MAX_BYTES = 1_000_000;

/** By name, as in `../answers.ts`; their signal aborts when the caller has left. Answers true when the request was a question, and is being answered. */
export function createAnswerer(
  handlers: Readonly<Record<string, (body: unknown, signal: AbortSignal) => Promise<unknown>>>,
  token: string,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const mayRead = tokenCheck(token);
  return (request, response) => {
    const name = (request.url ?? "/").slice(1);
    const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
    if (handler === undefined || request.method !== "POST") return false;
    const send = (status: number, value: unknown): void =>
      void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (!mayRead(request)) {
      send(401, { error: { code: "COLLECTOR_TOKEN", message: "wrong token" } });
      return true;
    }
    const leaving = new AbortController();
    response.once("close", () => leaving.abort());
    void (async () => {
      try {
        const text = await bodyOf(request);
        const body: unknown = text === "" ? undefined : JSON.parse(text);
        send(200, { result: (await handler(body, leaving.signal)) ?? null });
      } catch (error) {
        const known = error instanceof SlipwayError;
        const isWrong = error instanceof z.ZodError || error instanceof SyntaxError;
        const facts = known
          ? { ...error.toJSON(), exitCode: error.exitCode }
          : { code: "COLLECTOR_FAILED", message: String(error) };
        send(known ? 422 : isWrong ? 400 : 500, { error: facts });
      }
    })();
    return true;
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MAX_BYTES)
      throw new SlipwayError({ code: "COLLECTOR_BODY", message: `longer than ${MAX_BYTES} bytes` });
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
