/**
 * A proxy on loopback in front of a registry that breaks what goes through it as its seed says, asks for bearer tokens
 * that end at any time, and keeps a book of every byte of every upload: what was sent, and what had been acknowledged.
 */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { type Random, systemClock } from "@slipway/base";
import { rangeEnd } from "../upload-position.ts";

export const FAULTS = [
  "cut-request",
  "cut-answer",
  "lose-answer",
  "delay",
  "401",
  "416-with-range",
  "416-bare",
  "429",
  "500",
  "503",
] as const;

export type Fault = (typeof FAULTS)[number];

/** More in a row than this strikes no request: a line on which nothing ever passes is another matter. */
const LONGEST_ROW = 3;

/** What happened on one upload session. */
interface Session {
  /** Bytes from the start that the client has been told are stored. */
  acknowledged: number;
  /** End of the furthest byte that the client has sent. */
  furthest: number;
  received: number;
}

export interface Book {
  readonly strikes: Readonly<Record<Fault, number>>;
  readonly requests: number;
  /** Bytes of upload bodies that left the client. */
  readonly uploadedBytes: number;
  /** The most bytes that one request sent although they had been sent before. */
  readonly longestRepeat: number;
  /** Requests that began before a byte which the client had been told is stored. */
  readonly repeatsOfAcknowledged: number;
  /** Upload sessions that received any bytes. */
  readonly sessions: number;
}

export interface FaultProxy {
  readonly host: string;
  book(): Book;
  close(): Promise<void>;
}

/** Strikes `ratio` of all requests, in 1/100. `largest` is the biggest body of a request, in bytes. */
export async function startFaultProxy(options: {
  readonly registryPort: number;
  readonly random: Random;
  readonly percent: number;
  readonly largest: number;
}): Promise<FaultProxy> {
  const { random } = options;
  const strikes = Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Record<Fault, number>;
  const sessions = new Map<string, Session>();
  const totals = { requests: 0, uploadedBytes: 0, longestRepeat: 0, repeatsOfAcknowledged: 0 };
  /** How often in a row each request was struck, by its method and path. Several are on their way at once. */
  const rows = new Map<string, number>();
  let token = 1;

  const server = createServer((incoming, outgoing) => {
    incoming.on("error", () => {});
    outgoing.on("error", () => {});
    void serve(incoming, outgoing).catch(() => outgoing.destroy());
  });

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { host } = incoming.headers;
    if (incoming.url?.startsWith("/token") === true) {
      outgoing.writeHead(200).end(JSON.stringify({ token: `t${token}` }));
      return;
    }
    totals.requests += 1;
    const session = sessionOf(incoming);
    const isUpload = session !== undefined && (incoming.method === "PATCH" || incoming.method === "PUT");
    let fault = choose(`${incoming.method} ${incoming.url?.split("?")[0]}`, isUpload);
    if (incoming.headers.authorization !== `Bearer t${token}`) fault = "401";
    else if (fault !== undefined) strikes[fault] += 1;
    if (fault === "401" && incoming.headers.authorization === `Bearer t${token}`) token += 1;
    if (isUpload) begin(session, incoming);

    const limit =
      fault === "cut-request" && isUpload ? random.int(options.largest) : Number.POSITIVE_INFINITY;
    const body = await receive(incoming, session, isUpload, limit);
    switch (fault) {
      case "cut-request":
        if (isUpload) await forward(incoming, body, true);
        return void outgoing.destroy();
      case "401":
        return void outgoing
          .writeHead(401, {
            "www-authenticate": `Bearer realm="http://${host}/token",service="proxy",scope="repository:x:pull"`,
          })
          .end();
      case "429":
        return void outgoing.writeHead(429, { "retry-after": `${random.int(3)}` }).end();
      case "500":
      case "503":
        return void outgoing.writeHead(Number(fault)).end("something went wrong");
      case "416-bare":
        return void outgoing.writeHead(416).end();
      case "416-with-range": {
        const status = await ask(incoming.url ?? "", incoming.headers);
        if (status?.headers["range"] === undefined) return void outgoing.writeHead(416).end();
        outgoing.writeHead(416, { range: status.headers["range"] }).end();
        return acknowledge(session, status.headers["range"]);
      }
      case "delay":
        await systemClock.sleep(random.int(20));
    }
    const answer = await forward(incoming, body, false);
    if (answer === undefined || fault === "lose-answer") return void outgoing.destroy();
    if (fault === "cut-answer" && answer.body.length > 0) {
      outgoing.writeHead(answer.status, answer.headers);
      outgoing.write(answer.body.subarray(0, random.int(answer.body.length)), () => outgoing.destroy());
      return;
    }
    outgoing.writeHead(answer.status, answer.headers).end(answer.body);
    if (answer.status === 202 || answer.status === 204) acknowledge(session, answer.headers["range"]);
  }

  function choose(line: string, isUpload: boolean): Fault | undefined {
    const row = rows.get(line) ?? 0;
    const isStruck = row < LONGEST_ROW && random.ratio(options.percent, 100);
    rows.set(line, isStruck ? row + 1 : 0);
    if (!isStruck) return undefined;
    return random.pick(FAULTS.filter((fault) => isUpload || !fault.startsWith("416")));
  }

  function sessionOf(incoming: IncomingMessage): Session | undefined {
    const id = /\/blobs\/uploads\/([^/?]+)/.exec(incoming.url ?? "")?.[1];
    if (id === undefined) return undefined;
    let session = sessions.get(id);
    if (session === undefined) {
      session = { acknowledged: 0, furthest: 0, received: 0 };
      sessions.set(id, session);
    }
    return session;
  }

  function begin(session: Session, incoming: IncomingMessage): void {
    const start = Number(/^(\d+)-/.exec(incoming.headers["content-range"] ?? "0-")?.[1]);
    const length = Number(incoming.headers["content-length"] ?? 0);
    if (length === 0) return;
    if (start < session.acknowledged) totals.repeatsOfAcknowledged += 1;
    const repeat = Math.max(0, Math.min(session.furthest, start + length) - start);
    totals.longestRepeat = Math.max(totals.longestRepeat, repeat);
    session.furthest = Math.max(session.furthest, start + length);
  }

  /** All of the body, or the first `limit` bytes, after which the client's connection is cut. */
  async function receive(
    incoming: IncomingMessage,
    session: Session | undefined,
    isUpload: boolean,
    limit: number,
  ): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      const taken = chunk.subarray(0, Math.max(0, limit - size));
      chunks.push(taken);
      size += taken.length;
      if (isUpload && session !== undefined) {
        session.received += chunk.length;
        totals.uploadedBytes += chunk.length;
      }
      if (size >= limit) {
        incoming.destroy();
        break;
      }
    }
    return Buffer.concat(chunks);
  }

  /** To the registry. `isCut` sends the body without its end and breaks the connection. */
  function forward(incoming: IncomingMessage, body: Buffer, isCut: boolean): Promise<Answer | undefined> {
    return new Promise((resolve) => {
      const { method, url: path, headers } = incoming;
      const onward = request(
        { port: options.registryPort, host: "127.0.0.1", method, path, headers },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.on("error", () => resolve(undefined));
          answer.on("end", () =>
            resolve({
              status: answer.statusCode ?? 500,
              headers: answer.headers,
              body: Buffer.concat(chunks),
            }),
          );
        },
      );
      onward.on("error", () => resolve(undefined));
      if (!isCut) return void onward.end(body);
      onward.write(body, () => {
        onward.destroy();
        resolve(undefined);
      });
    });
  }

  function ask(path: string, headers: IncomingHttpHeaders): Promise<Answer | undefined> {
    return new Promise((resolve) => {
      const { "content-length": _length, "content-range": _range, ...kept } = headers;
      const asked = request(
        { port: options.registryPort, host: "127.0.0.1", path, headers: kept },
        (answer) => {
          answer.resume();
          answer.on("end", () =>
            resolve({ status: answer.statusCode ?? 500, headers: answer.headers, body: Buffer.alloc(0) }),
          );
        },
      );
      asked.on("error", () => resolve(undefined));
      asked.end();
    });
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    book: () => ({
      ...totals,
      strikes,
      sessions: [...sessions.values()].filter(({ received }) => received > 0).length,
    }),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** `0-0` acknowledges nothing: it is also said of no byte at all. */
function acknowledge(session: Session | undefined, range: string | undefined): void {
  const stands = rangeEnd(range);
  if (session === undefined || stands === undefined || stands <= 1) return;
  session.acknowledged = Math.max(session.acknowledged, stands);
}
