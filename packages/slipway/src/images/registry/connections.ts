/**
 * Kept-alive connections to registries and their token services, over Node's own HTTP: a push is a few dozen requests,
 * and a client that is loaded for them would take longer to load than they take.
 */
import type { Agent, IncomingMessage } from "node:http";

/** Not imported: an import reads all its exports, and WebSocket among them loads the whole of Node's own fetch. */
const http = (): typeof import("node:http") => process.getBuiltinModule("node:http");

const CONNECTIONS_PER_HOST = 8;
const CONNECT_MS = 10_000;
/** Without a byte in either direction. */
const SILENCE_MS = 60_000;

export interface Outgoing {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Whole, so that the length is known. */
  readonly body: Uint8Array | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The body must be read to its end (or destroyed), so that its connection can be used again. */
export interface Incoming {
  readonly status: number;
  /** Names in lower case; values of a repeated header joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: IncomingMessage;
}

export class Connections {
  readonly #agents = new Map<string, Promise<Agent>>();
  readonly #env: NodeJS.ProcessEnv;

  /** `env`: where HTTPS_PROXY, HTTP_PROXY and NO_PROXY are looked up. */
  constructor(env: NodeJS.ProcessEnv = process.env) {
    this.#env = env;
  }

  /** Rejects with the system's error when the server cannot be reached or breaks off before it answered. */
  async exchange(url: string, { method, headers, body, signal }: Outgoing): Promise<Incoming> {
    const target = new URL(url);
    const agent = await this.#agentFor(target);
    const open = target.protocol === "http:" ? http().request : (await import("node:https")).request;
    return new Promise((resolve, reject) => {
      const request = open(target, { method, headers, agent, ...(signal === undefined ? {} : { signal }) });
      request.setTimeout(SILENCE_MS);
      request.on("timeout", () => {
        const isConnected = request.socket?.connecting === false;
        request.destroy(new Error(isConnected ? "no answer for 60 s" : "no connection within 10 s"));
      });
      request.on("error", reject);
      request.on("response", (response) => {
        // A body that breaks off is told to whoever reads it, and is no error where nobody does.
        response.on("error", () => {});
        resolve({ status: response.statusCode as number, headers: flat(response.headers), body: response });
      });
      request.end(body);
    });
  }

  /** Loads what connections need, in a moment in which there is nothing else to do. */
  prepare(): void {
    http();
  }

  async close(): Promise<void> {
    for (const agent of this.#agents.values()) (await agent).destroy();
    this.#agents.clear();
  }

  /** Loopback never goes through a proxy, the rest as the environment says. */
  #agentFor({ protocol, hostname }: URL): Promise<Agent> {
    const isDirect = isLoopback(hostname);
    const key = `${protocol} ${isDirect}`;
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const made = makeAgent(protocol, isDirect ? undefined : this.#env);
    this.#agents.set(key, made);
    return made;
  }
}

async function makeAgent(protocol: string, proxyEnv: NodeJS.ProcessEnv | undefined): Promise<Agent> {
  const options = {
    keepAlive: true,
    maxSockets: CONNECTIONS_PER_HOST,
    timeout: CONNECT_MS,
    ...(proxyEnv === undefined ? {} : { proxyEnv }),
  };
  return protocol === "http:" ? new (http().Agent)(options) : new (await import("node:https")).Agent(options);
}

export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "[::1]" || host === "::1" || /^127\./.test(host);

function flat(headers: IncomingMessage["headers"]): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return flat;
}
