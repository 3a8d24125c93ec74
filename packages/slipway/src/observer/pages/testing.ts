/** A reader of the pages, as a browser would be: it keeps the cookie and sends what a page of ours sends. */
import assert from "node:assert/strict";
import { type IncomingMessage, request } from "node:http";
import type { SessionAnswer } from "../../server/api.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
  /** Parsed, when it is JSON. */
  readonly body: unknown;
}

export interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is. */
  readonly body?: string;
}

/** Not fetch, which does not let a test choose Host, Origin and the like. */
export function ask(port: number, { method = "GET", path, headers = {}, body }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        const isJson = response.headers["content-type"]?.startsWith("application/json") === true;
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          body: isJson && text !== "" ? JSON.parse(text) : undefined,
        });
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

export interface Reader {
  readonly cookie: string;
  readonly csrf: string;
  get<T>(path: string): Promise<T>;
  /** With everything that a page of ours sends, which `headers` may change. */
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Each event of a stream, as it comes. */
  events(path: string, signal: AbortSignal): AsyncIterable<unknown>;
}

export async function signIn(port: number, token: string): Promise<Reader> {
  const own = {
    origin: `http://127.0.0.1:${port}`,
    "content-type": "application/json",
    "sec-fetch-site": "same-origin",
  };
  const answer = await ask(port, {
    method: "POST",
    path: "/api/session",
    headers: own,
    body: JSON.stringify({ token }),
  });
  assert.equal(answer.status, 200, answer.text);
  const [setCookie = ""] = answer.headers["set-cookie"] ?? [];
  const cookie = setCookie.split(";")[0] as string;
  const { csrf } = answer.body as SessionAnswer;
  return {
    cookie,
    csrf,
    async get<T>(path: string) {
      const { status, text, body } = await ask(port, { path, headers: { cookie } });
      assert.equal(status, 200, `${path}: ${text}`);
      return body as T;
    },
    post: (path, body, headers = {}) =>
      ask(port, {
        method: "POST",
        path,
        headers: { ...own, cookie, "x-slipway-csrf": csrf, ...headers },
        body: JSON.stringify(body),
      }),
    events: (path, signal) => eventsOf(port, path, cookie, signal),
  };
}

async function* eventsOf(
  port: number,
  path: string,
  cookie: string,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(
      { host: "127.0.0.1", port, path, headers: { cookie }, agent: false, signal },
      resolve,
    );
    sent.on("error", reject);
    sent.end();
  });
  let text = "";
  try {
    for await (const chunk of response) {
      text += (chunk as Buffer).toString("utf8");
      const parts = text.split("\n\n");
      text = parts.pop() as string;
      for (const part of parts) if (part.startsWith("data: ")) yield JSON.parse(part.slice(6));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
