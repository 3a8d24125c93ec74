/** Listening sockets as the kernel shows them in /proc/PID/net (proc_pid_net(5)): no tool of the image takes part. */
import { readFileSync } from "node:fs";
import { systemCode } from "@slipway/base/error";
import type { ListeningSocket } from "../engine.ts";

/** TCP_LISTEN; for UDP 07 (TCP_CLOSE) is a socket that is bound and not connected, which is as near as UDP comes. */
const LISTENING: Readonly<Record<ListeningSocket["protocol"], string>> = { tcp: "0A", udp: "07" };
/** Where Docker puts its name server into a container: the engine's, not the image's. */
const DOCKER_NAME_SERVER = "127.0.0.11";

/** One table: `  sl  local_address rem_address   st …`, addresses as HEX:HEX. */
export function parseSockets(table: string, protocol: ListeningSocket["protocol"]): ListeningSocket[] {
  return table
    .split("\n")
    .slice(1)
    .flatMap((line) => parseSocket(line, protocol) ?? []);
}

/** Undefined for what does not listen, and for the table's head. */
export function parseSocket(
  line: string,
  protocol: ListeningSocket["protocol"],
): ListeningSocket | undefined {
  const [, local = "", , state] = line.trim().split(/\s+/);
  const match = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local);
  if (match === null || state !== LISTENING[protocol]) return undefined;
  const address = addressOf(match[1] as string);
  if (address === DOCKER_NAME_SERVER) return undefined;
  return { protocol, address, port: Number.parseInt(match[2] as string, 16) };
}

/** 32-bit words in the machine's byte order, which on every machine that Node is built for here is little-endian. */
function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).reverse());
  // A program that asks for IPv6 and an IPv4 address listens at the IPv4 address.
  const isMapped = bytes.slice(0, 12).join("") === "00000000000000000000FFFF";
  if (bytes.length === 4 || isMapped)
    return bytes
      .slice(-4)
      .map((byte) => Number.parseInt(byte, 16))
      .join(".");
  const groups = bytes.flatMap((byte, index) =>
    index % 2 === 0 ? [Number.parseInt(byte + bytes[index + 1], 16).toString(16)] : [],
  );
  return compressed(groups);
}

/** RFC 5952: the longest run of at least two zero groups becomes `::`. */
function compressed(groups: readonly string[]): string {
  let best = { at: -1, length: 1 };
  for (let at = 0; at < groups.length; at += 1) {
    let length = 0;
    while (groups[at + length] === "0") length += 1;
    if (length > best.length) best = { at, length };
  }
  if (best.at < 0) return groups.join(":");
  return `${groups.slice(0, best.at).join(":")}::${groups.slice(best.at + best.length).join(":")}`;
}

/** Of the network namespace that the process is in. Throws when /proc cannot be read. */
export function socketsOf(pid: number): ListeningSocket[] {
  return (["tcp", "tcp6", "udp", "udp6"] as const).flatMap((table) => {
    const text = tableOf(pid, table);
    return parseSockets(text, table.startsWith("tcp") ? "tcp" : "udp");
  });
}

/** A kernel without IPv6 has no tcp6; a process that is gone has no tcp either. */
function tableOf(pid: number, table: string): string {
  try {
    return readFileSync(`/proc/${pid}/net/${table}`, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT" && table.endsWith("6")) return "";
    throw error;
  }
}
