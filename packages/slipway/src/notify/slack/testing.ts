/**
 * Slack on this machine, for tests: a real HTTP server with channels, threads and metadata, that answers as the Web API,
 * an incoming webhook and Socket Mode do, refuses blocks over the documented limits, and fails where it is told to.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { type WebSocket, WebSocketServer } from "ws";

export interface FakeMessage {
  readonly ts: string;
  readonly thread: string | undefined;
  text: string;
  blocks: readonly Record<string, unknown>[];
  metadata: unknown;
  /** How often it was edited. */
  edits: number;
}

export interface FakeCall {
  readonly method: string;
  readonly authorization: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * `lose-reply`: it is done, and the connection breaks before the answer · `reset`: the connection breaks first ·
 * `hang`: it is not done and no answer comes · `hang-after`: it is done and no answer comes.
 */
export type Fault =
  | "hang"
  | "hang-after"
  | "reset"
  | "lose-reply"
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | { readonly error: string; readonly needed?: string };

export interface FakeSlack {
  readonly url: string;
  readonly webhookUrl: string;
  readonly calls: FakeCall[];
  /** What stands in the channel, threads included, oldest first. */
  readonly messages: FakeMessage[];
  /** Addresses of `users.lookupByEmail`. */
  readonly users: Map<string, string>;
  readonly members: string[];
  /** Missing here: `missing_scope`. */
  readonly scopes: Set<string>;
  /** Takes the next calls of a method, in order. */
  fail(method: string, ...faults: readonly Fault[]): void;
  /** Takes every call of every method from now on; undefined ends it. */
  failAll(fault: Fault | undefined): void;
  /** Resolves when a request from now on gets no answer (`hang`, `hang-after`): the end of a caller's patience. */
  hangs(signal: AbortSignal | undefined): Promise<void>;
  /** Sends what a pressed button sends over Socket Mode; resolves with the acknowledgement. */
  press(payload: unknown): Promise<unknown>;
  readonly sockets: Set<WebSocket>;
  close(): Promise<void>;
}

const CHANNEL = { id: "C0DEPLOYS", name: "deploys" } as const;
const NEEDS: Readonly<Record<string, string>> = {
  "chat.postMessage": "chat:write",
  "chat.update": "chat:write",
  "conversations.history": "channels:history",
  "conversations.replies": "channels:history",
  "conversations.list": "channels:read",
  "conversations.members": "channels:read",
  "users.lookupByEmail": "users:read.email",
  "files.getUploadURLExternal": "files:write",
  "files.completeUploadExternal": "files:write",
};

export async function startFakeSlack(): Promise<FakeSlack> {
  const calls: FakeCall[] = [];
  const messages: FakeMessage[] = [];
  const faults = new Map<string, Fault[]>();
  const users = new Map<string, string>();
  const members: string[] = [];
  const scopes = new Set(Object.values(NEEDS));
  const sockets = new Set<WebSocket>();
  const acknowledged = new Map<string, (payload: unknown) => void>();
  let count = 0;
  let always: Fault | undefined;
  const hanging = new EventTarget();

  const put = (body: Readonly<Record<string, unknown>>): FakeMessage => {
    count += 1;
    const message: FakeMessage = {
      // As Slack's: seconds, six digits, unique in the channel. Far ahead, so that `oldest` never leaves it out.
      ts: `${4_000_000_000 + count}.000000`,
      thread: body["thread_ts"] as string | undefined,
      text: String(body["text"] ?? ""),
      blocks: (body["blocks"] ?? []) as FakeMessage["blocks"],
      metadata: body["metadata"],
      edits: 0,
    };
    messages.push(message);
    return message;
  };
  const answerTo = (method: string, body: Readonly<Record<string, unknown>>): Record<string, unknown> => {
    const needed = NEEDS[method];
    if (needed !== undefined && !scopes.has(needed)) return { ok: false, error: "missing_scope", needed };
    const refused = refusal(body["blocks"]);
    if (refused !== undefined) return { ok: false, error: "invalid_blocks", detail: refused };
    const isHere = [CHANNEL.id, `#${CHANNEL.name}`, CHANNEL.name].includes(String(body["channel"]));
    switch (method) {
      case "chat.postMessage":
        return isHere
          ? { ok: true, channel: CHANNEL.id, ts: put(body).ts }
          : { ok: false, error: "channel_not_found" };
      case "chat.update": {
        const message = messages.find(({ ts }) => ts === body["ts"]);
        if (message === undefined || body["channel"] !== CHANNEL.id)
          return { ok: false, error: "message_not_found" };
        message.text = String(body["text"]);
        if (body["blocks"] !== undefined) message.blocks = body["blocks"] as FakeMessage["blocks"];
        if (body["metadata"] !== undefined) message.metadata = body["metadata"];
        message.edits += 1;
        return { ok: true, channel: CHANNEL.id, ts: message.ts };
      }
      case "conversations.history":
      case "conversations.replies": {
        // Only ids are taken here, as by Slack.
        if (body["channel"] !== CHANNEL.id) return { ok: false, error: "channel_not_found" };
        const wanted = messages
          .filter(({ ts, thread }) =>
            method === "conversations.history"
              ? thread === undefined
              : thread === body["ts"] || ts === body["ts"],
          )
          .filter(({ ts }) => Number(ts) >= Number(body["oldest"] ?? 0))
          .reverse();
        const from = Number(body["cursor"] ?? 0);
        const page = wanted.slice(from, from + Math.min(3, Number(body["limit"] ?? 100)));
        const next = from + page.length < wanted.length ? String(from + page.length) : "";
        const isAll = String(body["include_all_metadata"]) === "true";
        return {
          ok: true,
          messages: page.map(({ ts, text, metadata }) => ({ ts, text, ...(isAll ? { metadata } : {}) })),
          response_metadata: { next_cursor: next },
        };
      }
      case "conversations.list":
        return { ok: true, channels: [{ id: "C0OTHER", name: "other" }, CHANNEL] };
      case "conversations.members":
        return { ok: true, members };
      case "users.lookupByEmail": {
        const id = users.get(String(body["email"]));
        return id === undefined ? { ok: false, error: "users_not_found" } : { ok: true, user: { id } };
      }
      case "files.getUploadURLExternal":
        return {
          ok: true,
          upload_url: `http://127.0.0.1:${portOf(server)}/api/upload`,
          file_id: "F0REPORT",
        };
      case "files.completeUploadExternal": {
        const [file] =
          typeof body["files"] === "string" ? (JSON.parse(body["files"]) as { id: string }[]) : [];
        if (file?.id !== "F0REPORT" || body["channel_id"] !== CHANNEL.id)
          return { ok: false, error: "invalid_arguments" };
        put({ text: body["initial_comment"] });
        return { ok: true, files: [{ id: file.id }] };
      }
      case "upload":
        return { ok: true };
      case "apps.connections.open":
        return { ok: true, url: `ws://127.0.0.1:${portOf(server)}/socket` };
      default:
        return { ok: false, error: "unknown_method" };
    }
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const sent = await textOf(request).catch(() => undefined);
    if (sent === undefined) return; // who asked has left, or was killed
    const body = parseBody(request, sent);
    const isHook = request.url?.startsWith("/hook/") ?? false;
    const method = isHook ? "hook" : (request.url ?? "").slice("/api/".length);
    calls.push({ method, authorization: request.headers.authorization ?? "", body });
    const fault = faults.get(method)?.shift() ?? always;
    if (fault === "hang") return void hanging.dispatchEvent(new Event("hang"));
    if (fault === "reset") return void request.socket.destroy();
    if (typeof fault === "object" && "status" in fault) {
      return void response.writeHead(fault.status, fault.headers).end(fault.body ?? "");
    }
    if (isHook && typeof fault !== "object") put(body);
    const answer =
      typeof fault === "object" ? { ok: false, ...fault } : isHook ? undefined : answerTo(method, body);
    if (fault === "hang-after") return void hanging.dispatchEvent(new Event("hang"));
    if (fault === "lose-reply") return void request.socket.destroy();
    if (answer === undefined) return void response.end("ok");
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  };
  const server = createServer((request, response) => void serve(request, response));
  // One that is closed for its idleness, just when a caller takes it again, would be a fault that no test has asked for.
  server.keepAliveTimeout = 0;
  const socketServer = new WebSocketServer({ server, path: "/socket" });
  socketServer.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("message", (data) => {
      const { envelope_id, payload } = JSON.parse(String(data)) as { envelope_id: string; payload?: unknown };
      acknowledged.get(envelope_id)?.(payload);
    });
    socket.send(JSON.stringify({ type: "hello", num_connections: 1 }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${portOf(server)}`;
  return {
    url: `${base}/api/`,
    webhookUrl: `${base}/hook/very-secret`,
    calls,
    messages,
    users,
    members,
    scopes,
    sockets,
    fail: (method, ...next) => faults.set(method, [...(faults.get(method) ?? []), ...next]),
    failAll: (fault) => {
      always = fault;
    },
    hangs: (signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        hanging.addEventListener("hang", () => resolve(), {
          once: true,
          ...(signal === undefined ? {} : { signal }),
        });
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      }),
    press: (payload) =>
      new Promise((resolve) => {
        count += 1;
        const envelope = `envelope-${count}`;
        acknowledged.set(envelope, resolve);
        const text = JSON.stringify({
          type: "interactive",
          envelope_id: envelope,
          payload,
          accepts_response_payload: true,
        });
        for (const socket of sockets) socket.send(text);
      }),
    close: async () => {
      for (const socket of sockets) socket.terminate();
      socketServer.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function parseBody(request: IncomingMessage, text: string): Readonly<Record<string, unknown>> {
  if (request.headers["content-type"]?.includes("json")) return JSON.parse(text) as Record<string, unknown>;
  const form = Object.fromEntries(new URLSearchParams(text)) as Record<string, unknown>;
  // The Web API's form fields hold JSON for what is not a plain value.
  for (const key of ["blocks", "metadata"]) {
    if (typeof form[key] === "string") form[key] = JSON.parse(form[key]);
  }
  return form;
}

/** Why Slack would answer `invalid_blocks`; the limits are those of its Block Kit reference. */
function refusal(value: unknown): string | undefined {
  const blocks = (value ?? []) as readonly Record<string, unknown>[];
  if (blocks.length > 50) return `${blocks.length} blocks`;
  const text = (holder: unknown): string => (holder as { readonly text?: string } | undefined)?.text ?? "";
  const within = (name: string, holder: unknown, most: number): string | undefined =>
    text(holder).length > most || text(holder) === ""
      ? `${name} has ${text(holder).length} characters`
      : undefined;
  for (const block of blocks) {
    const problems: (string | undefined)[] = [];
    if (block["type"] === "header") problems.push(within("header", block["text"], 150));
    if (block["type"] === "section") problems.push(within("section", block["text"], 3000));
    const elements = (block["elements"] ?? []) as readonly Record<string, unknown>[];
    if (block["type"] === "context") problems.push(...elements.map((one) => within("context", one, 3000)));
    if (block["type"] === "actions") {
      for (const element of elements) {
        const confirm = element["confirm"] as Record<string, unknown>;
        problems.push(
          within("button", element["text"], 75),
          within("confirm.title", confirm["title"], 100),
          within("confirm.text", confirm["text"], 300),
          within("confirm.confirm", confirm["confirm"], 30),
          String(element["value"]).length > 2000 ? "value is too long" : undefined,
        );
      }
    }
    const problem = problems.find((one) => one !== undefined);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
