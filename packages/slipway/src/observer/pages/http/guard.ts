/**
 * Who may ask at all, from the request's head alone. Pure.
 *
 * `Host` must name this machine: a page of an attacker whose name now leads to 127.0.0.1 (DNS rebinding) is of the same
 * origin as ours for the browser, but still says its own name there. An address is no name, so no name leads to it; the port
 * is not looked at, since a tunnel (`ssh -L 8080:localhost:7070`) has another one.
 *
 * `Sec-Fetch-Site` and `Origin` tell requests that another page makes: SameSite=Strict alone does not, because for it
 * all ports of one host are the same site.
 */
import { isIP } from "node:net";

export interface RequestHead {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** `names`: further names under which this server is reached, beside `localhost` and every address. */
export function refusalOf(head: RequestHead, names: readonly string[]): Refusal | undefined {
  const host = single(head.headers["host"]);
  const name = host === undefined ? undefined : hostNameOf(host);
  if (name === undefined || !isOurs(name, names)) {
    return {
      status: 421,
      code: "HOST_UNKNOWN",
      message: `this server is not called ${shown(name ?? host ?? "")}`,
      hint: "Open it by its address, as localhost, or name it: observe.dashboard.names, or slipway dashboard --name HOST.",
    };
  }
  if (head.method !== "GET" && head.method !== "HEAD" && head.method !== "POST") {
    return { status: 405, code: "METHOD_UNKNOWN", message: "only GET, HEAD and POST" };
  }
  const site = single(head.headers["sec-fetch-site"]);
  // `none`: typed, or a bookmark. A link on another page may lead here; the page then asks for itself.
  const isNavigation = single(head.headers["sec-fetch-mode"]) === "navigate" && head.method !== "POST";
  if (site !== undefined && site !== "same-origin" && site !== "none" && !isNavigation) return foreign();
  const origin = head.headers["origin"];
  if (head.method === "POST" && origin === undefined) return foreign();
  if (origin !== undefined && !isOwnOrigin(single(origin), host as string)) return foreign();
  return undefined;
}

function foreign(): Refusal {
  return {
    status: 403,
    code: "ORIGIN_FOREIGN",
    message: "this request was made by another page, or does not say by which",
  };
}

/** Two headers of one name are nobody's. */
function single(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** `localhost:7070`, `[::1]:7070`, `10.0.0.7` → the name in lower case, without brackets and port. */
function hostNameOf(host: string): string | undefined {
  const found = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::\d{1,5})?$/i.exec(host);
  return (found?.[1] ?? found?.[2])?.toLowerCase().replace(/\.$/, "");
}

function isOurs(name: string, names: readonly string[]): boolean {
  return name === "localhost" || isIP(name) !== 0 || names.some((one) => one.toLowerCase() === name);
}

/** TLS may end before us, so both schemes count; host and port must be the very ones that were asked. */
function isOwnOrigin(origin: string | undefined, host: string): boolean {
  const own = host.toLowerCase();
  return origin?.toLowerCase() === `http://${own}` || origin?.toLowerCase() === `https://${own}`;
}

const shown = (name: string): string => JSON.stringify(name.slice(0, 80));
