/** What a proxy must change in headers (RFC 9110, section 7.6): hop-by-hop ones go, forwarding ones come. */
import type { IncomingMessage } from "node:http";

const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export interface ForwardedFor {
  readonly remoteIp: string;
  readonly proto: "http" | "https";
  readonly requestId: string;
}

const lowered = new Map<string, string>();

/** The few names that clients send, lowered once; the bound keeps a client from filling memory with new ones. */
function lowerCase(name: string): string {
  const known = lowered.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  if (lowered.size < 1000) lowered.set(name, lower);
  return lower;
}

/** Flat name, value, name, value …, in the order received. `raw` is Node's `rawHeaders`. */
export function requestHeaders(
  raw: readonly string[],
  connection: string | undefined,
  forwarded: ForwardedFor,
): string[] {
  const named = namedByConnection(connection);
  const out: string[] = [];
  let forwardedFor = "";
  let host = "";
  let via = "";
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string;
    const value = raw[index + 1] as string;
    const lower = lowerCase(name);
    if (HOP_BY_HOP.has(lower) || named?.has(lower)) continue;
    if (lower === "x-forwarded-for") forwardedFor = forwardedFor === "" ? value : `${forwardedFor}, ${value}`;
    else if (lower === "via") via = via === "" ? value : `${via}, ${value}`;
    else if (lower === "x-forwarded-proto" || lower === "x-forwarded-host" || lower === "x-request-id")
      continue;
    else if (lower === "expect" || lower === "content-length") continue;
    else {
      if (lower === "host") host = value;
      out.push(name, value);
    }
  }
  out.push(
    "x-forwarded-for",
    forwardedFor === "" ? forwarded.remoteIp : `${forwardedFor}, ${forwarded.remoteIp}`,
  );
  out.push("x-forwarded-proto", forwarded.proto);
  if (host !== "") out.push("x-forwarded-host", host);
  out.push("x-request-id", forwarded.requestId);
  out.push("via", via === "" ? "1.1 slipway" : `${via}, 1.1 slipway`);
  return out;
}

/** The upstream's headers as they go to the client. */
export function responseHeaders(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): Record<string, string | string[]> {
  const connection = headers["connection"];
  const named = namedByConnection(typeof connection === "string" ? connection : connection?.join(","));
  const out: Record<string, string | string[]> = {};
  for (const name in headers) {
    if (HOP_BY_HOP.has(name) || named?.has(name)) continue;
    const value = headers[name];
    if (value !== undefined) out[name] = value as string | string[];
  }
  return out;
}

function namedByConnection(connection: string | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === "keep-alive" || connection === "close") return undefined;
  return new Set(connection.split(",").map((name) => name.trim().toLowerCase()));
}

export function remoteIp(request: IncomingMessage): string {
  return (request.socket.remoteAddress ?? "").replace(/^::ffff:/, "");
}
