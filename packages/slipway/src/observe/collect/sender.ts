/** The agent's end of the wire (`wire.ts`): a Taker over HTTPS. Whoever calls tries again after an error. */
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { buffer } from "node:stream/consumers";
import { SlipwayError } from "@slipway/base";
import type { Offsets, Passage, Taker } from "./passage.ts";
import { OFFSETS_PATH, offsetsSchema, PASSAGES_PATH, STREAMS_AT_ONCE, writeMessage } from "./wire.ts";

export interface SenderOptions {
  /** `https://HOST:PORT` */
  readonly url: string;
  readonly token: () => string;
  /** PEM of the certificate that the collector shows, or of whoever signed it. */
  readonly ca: string;
  /** Default 30 s, for one message. */
  readonly timeoutMs?: number;
}

export interface SenderFigures {
  /** Messages that were stored, and their size as they were sent. */
  readonly messages: number;
  readonly bytes: number;
  readonly failures: { readonly busy: number; readonly refused: number; readonly unreachable: number };
}

export interface Sender extends Taker {
  /** Since it was made. */
  figures(): SenderFigures;
  close(): void;
}

/** Calls reject with COLLECTOR_BUSY (with `retryAfterMs`), COLLECTOR_REFUSED or COLLECTOR_UNREACHABLE. */
export function createSender(options: SenderOptions): Sender {
  // The authority has signed this one certificate, so that its name says nothing; it is the same wherever it runs.
  const agent = new Agent({ keepAlive: true, maxSockets: 2, ca: options.ca, servername: "localhost" });
  const where = `collector ${options.url}`;
  const sent = { messages: 0, bytes: 0 };
  const failures = { busy: 0, refused: 0, unreachable: 0 };

  async function post(path: string, body: Buffer): Promise<Offsets> {
    const { status, headers, text } = await send(path, body).catch((error: unknown) => {
      failures.unreachable += 1;
      throw error;
    });
    if (status === 200 || status === 409) {
      const answer = offsetsSchema.safeParse(parse(text));
      if (answer.success) return new Map(Object.entries(answer.data.offsets));
    }
    if (status === 503 || status === 429) {
      failures.busy += 1;
      const seconds = Number(headers["retry-after"] ?? 1);
      throw Object.assign(
        new SlipwayError({ code: "COLLECTOR_BUSY", where, message: "cannot take more at the moment" }),
        { retryAfterMs: (Number.isFinite(seconds) ? seconds : 1) * 1000 },
      );
    }
    failures.refused += 1;
    throw new SlipwayError({
      code: "COLLECTOR_REFUSED",
      where,
      message: `answered ${status}: ${text.slice(0, 300)}`,
      hint: status === 401 ? "The token of this agent is not the collector's: install again." : undefined,
    });
  }

  function send(
    path: string,
    body: Buffer,
  ): Promise<{
    readonly status: number;
    readonly headers: IncomingMessage["headers"];
    readonly text: string;
  }> {
    return new Promise((resolve, reject) => {
      const fail = (cause: Error): void =>
        reject(new SlipwayError({ code: "COLLECTOR_UNREACHABLE", where, message: cause.message, cause }));
      const outgoing = request(`${options.url}${path}`, {
        method: "POST",
        agent,
        signal: AbortSignal.timeout(options.timeoutMs ?? 30_000),
        headers: {
          authorization: `Bearer ${options.token()}`,
          "content-type": "application/octet-stream",
          "content-length": body.length,
        },
      });
      outgoing.on("error", fail);
      outgoing.on("response", (response) => {
        buffer(response).then(
          (text) =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              text: text.toString("utf8"),
            }),
          fail,
        );
      });
      outgoing.end(body);
    });
  }

  return {
    async offsets(streams) {
      const known = new Map<string, number>();
      for (let from = 0; from < streams.length; from += STREAMS_AT_ONCE) {
        const some = streams.slice(from, from + STREAMS_AT_ONCE);
        const body = Buffer.from(JSON.stringify({ streams: some }));
        for (const [stream, position] of await post(OFFSETS_PATH, body)) known.set(stream, position);
      }
      return known;
    },
    async take(passages: readonly Passage[]) {
      const message = await writeMessage(passages);
      const offsets = await post(PASSAGES_PATH, message);
      sent.messages += 1;
      sent.bytes += message.length;
      return offsets;
    },
    figures: () => ({ ...sent, failures: { ...failures } }),
    close: () => agent.destroy(),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
