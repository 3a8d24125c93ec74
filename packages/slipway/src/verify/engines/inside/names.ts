/**
 * What a name means inside a container: its /etc/hosts first, then the name servers of its resolv.conf, as glibc does it
 * with `hosts: files dns` (resolv.conf(5)). Reading is done by the caller; asking needs the container's network.
 */
import { Resolver } from "node:dns/promises";
import { isIP } from "node:net";
import { systemCode } from "@slipway/base/error";

export interface ResolverFacts {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  /** A name with at least so many dots is asked for as it is, before the search list. */
  readonly ndots: number;
}

export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [ip = "", ...names] = (line.split("#")[0] as string).trim().split(/\s+/);
    if (isIP(ip) === 0) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      found.set(key, [...(found.get(key) ?? []), ip]);
    }
  }
  return found;
}

export function parseResolvConf(text: string): ResolverFacts {
  const servers: string[] = [];
  let search: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split("\n")) {
    const [keyword, ...words] = (line.split(/[#;]/)[0] as string).trim().split(/\s+/);
    if (keyword === "nameserver" && words[0] !== undefined) servers.push(words[0]);
    if (keyword === "search" || keyword === "domain") search = words;
    if (keyword === "options") ndots = Number(/\bndots:(\d+)/.exec(words.join(" "))?.[1] ?? ndots);
  }
  return { servers: servers.slice(0, 3), search, ndots };
}

/** The names that are asked for, in this order, until one exists. */
export function candidatesOf(
  name: string,
  facts: Pick<ResolverFacts, "search" | "ndots">,
): readonly string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const searched = facts.search.map((domain) => `${name}.${domain}`);
  const dots = name.split(".").length - 1;
  return dots >= facts.ndots ? [name, ...searched] : [...searched, name];
}

export interface NameFiles {
  readonly hosts: string;
  readonly resolvConf: string;
}

/** The addresses, IPv4 first; none when no such name exists. Rejects (ETIMEOUT, ESERVFAIL, …) when nobody could say. */
export async function resolveName(name: string, files: NameFiles, timeoutMs: number): Promise<string[]> {
  if (isIP(name) !== 0) return [name];
  const listed = parseHosts(files.hosts).get(name.toLowerCase());
  if (listed !== undefined) return [...new Set(listed)];
  const facts = parseResolvConf(files.resolvConf);
  if (facts.servers.length === 0) return [];
  const resolver = new Resolver({ timeout: Math.max(1, Math.floor(timeoutMs / 2)), tries: 2 });
  resolver.setServers(facts.servers.map((ip) => (isIP(ip) === 6 ? `[${ip}]` : ip)));
  for (const candidate of candidatesOf(name, facts)) {
    const [v4, v6] = await Promise.all([
      orNone(resolver.resolve4(candidate)),
      orNone(resolver.resolve6(candidate)),
    ]);
    if (v4.length + v6.length > 0) return [...v4, ...v6];
  }
  return [];
}

async function orNone(asked: Promise<string[]>): Promise<string[]> {
  try {
    return await asked;
  } catch (error) {
    if (["ENOTFOUND", "ENODATA"].includes(systemCode(error) ?? "")) return [];
    throw error;
  }
}
