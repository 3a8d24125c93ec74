/**
 * Which target answers a request: hosts and path patterns, compiled once and matched without regular expressions.
 * The same table will feed the rendered load balancer of a cloud, so it holds nothing that only runs locally.
 *
 * A pattern is an exact path (`/healthz`) or a prefix (`/static/*`, which also matches `/static`). The longest
 * pattern wins; an exact path beats a prefix of the same length. As on Google's load balancer, a prefix ends at a
 * path segment: `/static/*` does not match `/statics`.
 */
import type { EdgeTarget } from "../config/types.ts";

export interface RouteTable {
  match(host: string | undefined, path: string): MatchedRoute | undefined;
  readonly services: readonly Extract<EdgeTarget, { kind: "service" }>[];
}

export interface MatchedRoute {
  readonly pattern: string;
  readonly target: EdgeTarget;
  /** The request's path without the pattern's fixed part, with a leading slash: what a bucket looks up. */
  readonly rest: string;
}

export function compileRoutes(
  hosts: readonly string[],
  routes: readonly { readonly path: string; readonly target: EdgeTarget }[],
): RouteTable {
  const known = new Set(hosts.map((host) => host.toLowerCase()));
  const exact = new Map<string, MatchedRoute>();
  const prefixes: { readonly prefix: string; readonly pattern: string; readonly target: EdgeTarget }[] = [];
  for (const { path, target } of routes) {
    if (path.endsWith("/*")) prefixes.push({ prefix: path.slice(0, -2), pattern: path, target });
    else exact.set(path, { pattern: path, target, rest: path });
  }
  prefixes.sort((a, b) => b.prefix.length - a.prefix.length);
  return {
    services: routes.flatMap(({ target }) => (target.kind === "service" ? [target] : [])),
    match(host, path) {
      if (known.size > 0 && !isLocal(host) && !known.has(hostName(host))) return undefined;
      const hit = exact.get(path);
      if (hit !== undefined) return hit;
      for (const { prefix, pattern, target } of prefixes) {
        if (
          path.startsWith(prefix) &&
          (path.length === prefix.length || path.charCodeAt(prefix.length) === 47)
        ) {
          return { pattern, target, rest: path.slice(prefix.length) || "/" };
        }
      }
      return undefined;
    },
  };
}

function hostName(host: string | undefined): string {
  if (host === undefined) return "";
  const colon = host.lastIndexOf(":");
  return (colon > host.lastIndexOf("]") ? host.slice(0, colon) : host).toLowerCase();
}

/** Loopback names always match, so that a developer needs no entry in /etc/hosts. */
function isLocal(host: string | undefined): boolean {
  const name = hostName(host);
  return (
    name === "" ||
    name === "localhost" ||
    name === "127.0.0.1" ||
    name === "[::1]" ||
    name.endsWith(".localhost")
  );
}
