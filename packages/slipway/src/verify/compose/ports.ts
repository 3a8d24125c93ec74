/** `ports` and `expose`, in their short and long forms. */
import type { ExposedPort, PublishedPort } from "../engines/engine.ts";
import { count, field, knownKeys, printed, text } from "./fields.ts";
import { invalid, type Tree, unsupported } from "./tree.ts";

const LOOPBACK = "127.0.0.1";

/** `80`, `"80/udp"`, `"8000-8002"`. */
export function exposedPorts(tree: Tree, what: string): readonly ExposedPort[] {
  const [, range = "", protocol = "tcp"] = /^([\d-]+)(?:\/(\w+))?$/.exec(printed(tree, what)) ?? [];
  return rangeOf(tree, what, range).map((port) => ({ port, protocol: protocolOf(tree, what, protocol) }));
}

/**
 * `"8080:80"`, `"127.0.0.1:8080:80/udp"`, `"80"`, ranges, `[::1]:80:80`, or a mapping. Without an address it is this
 * machine's loopback, where Docker would take every address: nothing of a test should be open to the network.
 */
export function publishedPorts(tree: Tree, what: string): readonly PublishedPort[] {
  if (tree.kind === "map") return longPort(tree, what);
  const written = printed(tree, what);
  const match = /^(?:(?:(\[[^\]]+\]|[^:]*):)?([\d-]*):)?([\d-]+)(?:\/(\w+))?$/.exec(written);
  if (match === null)
    throw invalid(
      tree,
      `${what}: "${written}" is no port`,
      'Write it like "8080:80" or "127.0.0.1:8080:80/udp".',
    );
  const [, address, host = "", container = "", protocol = "tcp"] = match;
  const inside = rangeOf(tree, what, container);
  const outside = host === "" ? inside.map(() => 0) : rangeOf(tree, what, host);
  if (inside.length !== outside.length)
    throw invalid(tree, `${what}: "${written}" has ${outside.length} ports for ${inside.length}`);
  return inside.map((port, index) => ({
    port,
    protocol: protocolOf(tree, what, protocol),
    hostPort: outside[index] as number,
    hostIp: addressOf(address),
  }));
}

function longPort(tree: Tree, what: string): readonly PublishedPort[] {
  const map = knownKeys(tree, what, [
    "target",
    "published",
    "protocol",
    "host_ip",
    "mode",
    "name",
    "app_protocol",
  ]);
  const target = map.entries.get("target");
  if (target === undefined) throw invalid(tree, `${what}: has no target`);
  const mode = field(map, "mode");
  if (mode !== undefined && !["host", "ingress"].includes(text(mode, what)))
    throw unsupported(mode, `${what}/mode: only host and ingress are known`);
  const protocol = field(map, "protocol");
  const hostIp = field(map, "host_ip");
  const published = field(map, "published");
  const port = portOf(target, what, String(count(target, what)));
  return [
    {
      port,
      protocol: protocol === undefined ? "tcp" : protocolOf(protocol, what, text(protocol, what)),
      hostPort:
        published === undefined || printed(published, what) === ""
          ? 0
          : portOf(published, what, printed(published, what)),
      hostIp: addressOf(hostIp === undefined ? undefined : text(hostIp, what)),
    },
  ];
}

function addressOf(written: string | undefined): string {
  return written === undefined || written === "" ? LOOPBACK : written.replace(/^\[(.*)\]$/, "$1");
}

function rangeOf(tree: Tree, what: string, range: string): readonly number[] {
  const [from = "", to = from, ...more] = range.split("-");
  const first = portOf(tree, what, from);
  const last = portOf(tree, what, to);
  if (more.length > 0 || last < first) throw invalid(tree, `${what}: "${range}" is no range of ports`);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function portOf(tree: Tree, what: string, written: string): number {
  const port = /^\d+$/.test(written) ? Number(written) : Number.NaN;
  if (port >= 0 && port <= 65_535) return port;
  throw invalid(tree, `${what}: "${written}" is no port`);
}

function protocolOf(tree: Tree, what: string, protocol: string): "tcp" | "udp" {
  if (protocol === "tcp" || protocol === "udp") return protocol;
  throw unsupported(tree, `${what}: the protocol ${protocol} is not supported`);
}
