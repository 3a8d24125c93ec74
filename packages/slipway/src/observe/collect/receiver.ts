/** The collector's end of the wire (`wire.ts`): a handler for an HTTP server. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { isSameSecret, SlipwayError } from "@slipway/base";
import type { Passage, Taker } from "./passage.ts";
import {
  MESSAGE_BYTES,
  OFFSETS_PATH,
  offsetsObject,
  PASSAGES_PATH,
  readMessage,
  streamsSchema,
  UNPACKED_BYTES,
} from "./wire.ts";

export interface ReceiverOptions {
  readonly taker: Taker;
  /** Of this collector: agents do not choose which cluster they are in. */
  readonly cluster: string;
  readonly token: string;
  readonly onProblem: (error: unknown) => void;
  /** Unpacked bytes that may be in work at a time. Default 128 MiB. */
  readonly bytesAtOnce?: number;
}

const BYTES_AT_ONCE = 4 * UNPACKED_BYTES;
const OFFSETS_BYTES = 4 * 1024 * 1024;

/** Answers true when the request was one of an agent, and is being answered. */
export function createReceiver(
  options: ReceiverOptions,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const { taker, cluster, onProblem } = options;
  const isAgent = tokenCheck(options.token);
  let busyBytes = 0;

  return (request, response) => {
    if (request.url !== PASSAGES_PATH && request.url !== OFFSETS_PATH) return false;
    void answer(request, response).catch((error: unknown) => {
      if (!response.headersSent) refuse(response, error, onProblem);
      else response.destroy();
    });
    return true;
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "POST") return send(response, 405, error("WIRE_METHOD", "only POST"));
    if (!isAgent(request)) return send(response, 401, error("WIRE_TOKEN", "wrong token"));
    if (request.url === OFFSETS_PATH) {
      const asked = streamsSchema.safeParse(
        JSON.parse((await bodyOf(request, OFFSETS_BYTES)).toString("utf8")),
      );
      if (!asked.success) throw new SlipwayError({ code: "WIRE_MESSAGE", message: "no list of streams" });
      return send(response, 200, offsetsObject(await taker.offsets(asked.data.streams)));
    }
    // Counted before it is read, by what it may become: a collector that is full says so at once.
    if (busyBytes + UNPACKED_BYTES > (options.bytesAtOnce ?? BYTES_AT_ONCE)) {
      response.setHeader("retry-after", "1");
      return send(response, 503, error("WIRE_BUSY", "too many messages at a time"));
    }
    busyBytes += UNPACKED_BYTES;
    try {
      const passages = (await readMessage(await bodyOf(request, MESSAGE_BYTES))).map(ownCluster);
      const offsets = await taker.take(passages);
      const isAhead = passages.some(({ pieces }) =>
        pieces.some(({ stream, start }) => start > (offsets.get(stream) ?? 0)),
      );
      send(response, isAhead ? 409 : 200, offsetsObject(offsets));
    } finally {
      busyBytes -= UNPACKED_BYTES;
    }
  }

  function ownCluster(passage: Passage): Passage {
    return { ...passage, log: { ...passage.log, cluster } };
  }
}

/** In constant time, whatever is sent. */
export function tokenCheck(token: string): (request: IncomingMessage) => boolean {
  return ({ headers }) => isSameSecret(headers.authorization ?? "", `Bearer ${token}`);
}

async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes)
      throw new SlipwayError({ code: "WIRE_TOO_LARGE", message: `more than ${maxBytes} bytes` });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const STATUS: Readonly<Record<string, number>> = {
  WIRE_TOO_LARGE: 413,
  WIRE_MESSAGE: 400,
  WAREHOUSE_FULL: 503,
};

function refuse(response: ServerResponse, cause: unknown, onProblem: (error: unknown) => void): void {
  const code =
    cause instanceof SlipwayError ? cause.code : cause instanceof SyntaxError ? "WIRE_MESSAGE" : "";
  const status = STATUS[code] ?? 500;
  if (status === 500) onProblem(cause);
  if (status === 503) response.setHeader("retry-after", "5");
  // What was not read would be taken for the next request.
  if (status === 413) response.setHeader("connection", "close");
  send(
    response,
    status,
    error(code === "" ? "WIRE_FAILED" : code, status === 500 ? "failed" : String(cause)),
  );
}

function error(code: string, message: string): unknown {
  return { error: { code, message } };
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value);
  response
    .writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
    .end(text);
}
