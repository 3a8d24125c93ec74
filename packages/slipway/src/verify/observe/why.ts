/**
 * Why a check of something running failed: what ended, what a front's log says about the one behind it, and what the one
 * behind it listens on. Pure; the facts are read once, before the containers are removed.
 */
import type { Check } from "../check.ts";
import {
  type Container,
  type ContainerLogs,
  type ContainerState,
  isUnseen,
  type ListeningSocket,
} from "../engines/engine.ts";
import { showState } from "../judge/running.ts";
import type { Outcomes } from "./outcome.ts";

export interface ContainerFacts {
  readonly service: string;
  readonly state: ContainerState;
  readonly logs: ContainerLogs;
  /** Undefined: could not be read. */
  readonly sockets: readonly ListeningSocket[] | undefined;
  /** By which others of its networks reach it: logs of proxies name these, not the service. */
  readonly addresses: readonly string[];
}

const LAST_LINES = 5;
const RESOLVE_MS = 1_000;

/** Adds the reasons to what failed. */
export async function explainContainers(
  containers: readonly Container[],
  checks: readonly Check[],
  outcomes: Outcomes,
): Promise<void> {
  const failed = checks.filter(
    (check) => isOfLife(check) && outcomes.get(check)?.judgement.verdict === "fail",
  );
  if (failed.length === 0) return;
  const facts = await Promise.all(containers.map((one) => factsOf(one, containers)));
  for (const check of failed) {
    const outcome = outcomes.get(check);
    const service = check.target.kind === "compose" ? check.target.service : facts[0]?.service;
    if (outcome === undefined || service === undefined) continue;
    const why = explain(service, `${outcome.judgement.evidence}\n${outcome.judgement.closest ?? ""}`, facts);
    if (why.length > 0) outcomes.set(check, { ...outcome, why });
  }
}

/** What a service does can fail because it, or another, ended; what its files hold is so for other reasons. */
const isOfLife = ({ kind }: Check): boolean =>
  ["port", "process", "http", "dns", "reach", "log", "container", "command"].includes(kind);

async function factsOf(container: Container, all: readonly Container[]): Promise<ContainerFacts> {
  const state = await container.state();
  const sockets = state.status === "running" ? await container.sockets() : [];
  return {
    service: container.service.name,
    state,
    logs: await container.logs(),
    sockets: isUnseen(sockets) ? undefined : sockets,
    addresses: await addressesOf(container.service.name, all),
  };
}

/** As the first of the others that runs resolves its name. */
async function addressesOf(service: string, all: readonly Container[]): Promise<readonly string[]> {
  for (const other of all) {
    if (other.service.name === service || (await other.state()).status !== "running") continue;
    const found = await other.resolve(service, RESOLVE_MS);
    if (!isUnseen(found) && found.length > 0) return found;
  }
  return [];
}

/** `seen`: the evidence of the failed check of `service`. */
export function explain(service: string, seen: string, facts: readonly ContainerFacts[]): readonly string[] {
  const own = facts.find((one) => one.service === service);
  const reasons: string[] = [];
  const ended = facts.filter(
    ({ state }) => state.status === "exited" && (state.exitCode !== 0 || state.signal !== undefined),
  );
  for (const one of [...ended].sort(
    (a, b) => Number(b.service === service) - Number(a.service === service),
  )) {
    const oom = one.state.isOomKilled ? ", killed because it used too much memory" : "";
    const lines = lastLines(one.logs);
    reasons.push(
      `${one.service} ${showState(one.state)}${oom}${lines === "" ? "" : `; its last lines: ${lines}`}`,
    );
  }
  if (own?.state.health === "unhealthy") {
    reasons.push(
      `${service} is unhealthy: ${(own.state.healthOutput ?? "").trim().slice(0, 300) || "its healthcheck wrote nothing"}`,
    );
  }
  const front = own === undefined ? undefined : upstreamError(own.logs);
  if (/\b50[234]\b/.test(seen) && front !== undefined) {
    reasons.push(`${service}'s log: ${front.line}`, ...behind(front, facts));
  } else if (reasons.length === 0 && own !== undefined) {
    const line = errorLine(own.logs);
    if (line !== undefined) reasons.push(`${service}'s log: ${line}`);
  }
  return reasons;
}

interface UpstreamError {
  readonly line: string;
  /** Of the URL it could not reach. */
  readonly host: string | undefined;
  readonly port: number | undefined;
}

/** nginx, envoy, haproxy, Node and Go name what they could not connect to in the same few words. */
function upstreamError({ stderr, stdout }: ContainerLogs): UpstreamError | undefined {
  const expression =
    /connect\(\) failed|Connection refused|ECONNREFUSED|upstream (?:timed out|prematurely closed)|connection refused|no live upstreams|could not be resolved|ENOTFOUND|dial tcp/;
  const line = `${stdout}\n${stderr}`
    .trimEnd()
    .split("\n")
    .findLast((one) => expression.test(one));
  if (line === undefined) return undefined;
  const match =
    /upstream: "[a-z]+:\/\/([^:/"]+)(?::(\d+))?/.exec(line) ??
    /(?:ECONNREFUSED|dial tcp|connect to)\s+\[?([^\s\]:]+)\]?:(\d+)/.exec(line);
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  return { line: line.trim().slice(0, 400), host: match?.[1], port };
}

/** The service behind, when its name or its only possible port says which it is. */
function behind({ host, port, line }: UpstreamError, facts: readonly ContainerFacts[]): readonly string[] {
  const others = facts.filter(
    ({ service, addresses }) =>
      service === host || (host !== undefined && addresses.includes(host)) || line.includes(service),
  );
  return others.flatMap(({ service, sockets, state }) => {
    if (state.status !== "running" || sockets === undefined || port === undefined) return [];
    if (sockets.some((one) => one.port === port && !isLoopback(one.address))) return [];
    const open = sockets.map((one) => `${isLoopback(one.address) ? `${one.address}:` : ""}${one.port}`);
    return [
      `${service} listens on ${open.length === 0 ? "nothing" : `${[...new Set(open)].join(", ")} only`}`,
    ];
  });
}

const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1";

function errorLine({ stderr, stdout }: ContainerLogs): string | undefined {
  const lines = [...stdout.split("\n"), ...stderr.split("\n")];
  return lines
    .findLast((line) =>
      /\b(?:error|fatal|emerg|panic|exception|EADDRINUSE|EACCES|denied|cannot|failed)\b/i.test(line),
    )
    ?.trim()
    .slice(0, 400);
}

function lastLines({ stdout, stderr }: ContainerLogs): string {
  const text = stderr.trim() === "" ? stdout : stderr;
  return text.trim().split("\n").slice(-LAST_LINES).join(" ⏎ ").slice(0, 1000);
}
