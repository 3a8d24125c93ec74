/** What is expected of a thing that runs, decided from what was read of it: ports, processes, logs, answers, states. */
import { X509Certificate } from "node:crypto";
import {
  type CheckOf,
  fail,
  failForGood,
  type Judgement,
  type LogExpectation,
  pass,
  type Stream,
  unknown,
  unknownYet,
} from "../check.ts";
import type {
  ContainerLogs,
  ContainerProcess,
  ContainerState,
  ExecResult,
  InsideResponse,
  ListeningSocket,
  ReachResult,
} from "../engines/engine.ts";
import { fits, judgeDocument, judgeLacks, judgeText, nearestLine, occurrences, quote } from "../text.ts";
import { type Accounts, idOfUser } from "./accounts.ts";
import { judgeValidity } from "./certificate.ts";
import { firstLine } from "./files.ts";

export interface JudgedCommand {
  readonly resource: Pick<CheckOf<"command">["resource"], "timeoutMs" | "exitCode">;
  readonly expectation: CheckOf<"command">["expectation"];
}

export function judgeCommand({ resource, expectation }: JudgedCommand, result: ExecResult): Judgement {
  if (result.hasTimedOut) return fail(`it was killed after ${resource.timeoutMs} ms`, lastLine(result));
  switch (expectation.matcher) {
    case "exits":
      return result.exitCode === expectation.code
        ? pass()
        : fail(`exit ${result.exitCode}`, lastLine(result));
    case "text": {
      const { stream, match, isWanted } = expectation;
      const judgement = isWanted
        ? judgeText(stream, result[stream], match)
        : judgeLacks(stream, result[stream], match);
      // One that went wrong, or was not found, had no time to say what it should not.
      const isSilence = !isWanted || match.is === "empty";
      return judgement.verdict === "pass" && isSilence && result.exitCode !== resource.exitCode
        ? fail(`exit ${result.exitCode}`, lastLine(result))
        : judgement;
    }
    case "json":
      return judgeJson("stdout", result.stdout, expectation.document);
    case "maxTime":
      return result.tookMs <= expectation.ms ? pass() : fail(`it took ${Math.round(result.tookMs)} ms`);
  }
}

function lastLine({ stderr, stdout }: ExecResult): string | undefined {
  for (const [name, text] of [
    ["stderr", stderr],
    ["stdout", stdout],
  ] as const) {
    const line = text.trimEnd().split("\n").at(-1);
    if (line !== undefined && line !== "") return `${line.slice(0, 400)}  (last line of ${name})`;
  }
  return undefined;
}

function judgeJson(what: string, text: string, document: Parameters<typeof judgeDocument>[1]): Judgement {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return fail(`${what} is not JSON: ${firstLine(error)}; it is ${quote(text)}`);
  }
  return judgeDocument(value, document);
}

export function judgePort(
  { resource, expectation }: Pick<CheckOf<"port">, "resource" | "expectation">,
  sockets: readonly ListeningSocket[],
): Judgement {
  const all = `listening: ${sockets.map(showSocket).join(", ") || "nothing"}`;
  if (expectation.matcher === "only") {
    const open = new Set(sockets.map(({ port, protocol }) => `${port}/${protocol}`));
    const isSame = open.size === expectation.ports.length && expectation.ports.every((one) => open.has(one));
    return isSame ? pass(all) : fail(all);
  }
  const found = sockets.filter(
    ({ port, protocol }) => port === resource.port && protocol === resource.protocol,
  );
  if (expectation.matcher === "notListening")
    return found.length === 0 ? pass(all) : fail(found.map(showSocket).join(", "));
  const { address } = expectation;
  const isThere = found.some((one) => address === undefined || one.address === address);
  return isThere ? pass() : fail(all);
}

const showSocket = ({ address, port, protocol }: ListeningSocket): string =>
  `${address.includes(":") ? `[${address}]` : address}:${port}${protocol === "udp" ? "/udp" : ""}`;

export function judgeProcess(
  { resource: { name }, expectation }: Pick<CheckOf<"process">, "resource" | "expectation">,
  processes: readonly ContainerProcess[],
  accounts: Accounts | undefined,
): Judgement {
  const found = processes.filter((one) => (typeof name === "number" ? one.pid === name : isNamed(one, name)));
  // What has given itself a title shows only in the file that it runs.
  const hidden = processes.filter(
    (one) => one.program === undefined && mayBeTitled(one) && !found.includes(one),
  );
  const untold = (): Judgement =>
    unknownYet(
      `what these run cannot be read, and a process can give itself another name: ${hidden.map(showProcess).join("; ")}`,
      "Run it where /proc of the container can be read: on the engine's own machine, or with --engine sandbox.",
    );
  const mayBeMore = typeof name !== "number" && hidden.length > 0;
  const all = `running: ${processes.map(showProcess).join("; ") || "nothing"}`;
  // A process table without any process is not one that was seen.
  if (processes.length === 0) return unknown("the process table is empty");
  switch (expectation.matcher) {
    case "running":
      if (found.length > 0) return pass();
      return mayBeMore ? untold() : fail(all);
    case "notRunning":
      if (found.length > 0) return fail(found.map(showProcess).join("; "));
      return mayBeMore ? untold() : pass(`${processes.length} processes`);
    case "count": {
      const most = found.length + (mayBeMore ? hidden.length : 0);
      if (expectation.count < found.length || expectation.count > most)
        return fail(`${found.length}; ${all}`);
      return mayBeMore ? untold() : pass();
    }
    case "args":
      if (found.some(({ argv }) => fits(argv.join(" "), expectation.match))) return pass();
      if (mayBeMore) return untold();
      return fail(found.length === 0 ? all : found.map(({ argv }) => argv.join(" ")).join("; "));
    case "user": {
      if (found.length === 0) return mayBeMore ? untold() : fail(all);
      const uid = accounts === undefined ? numeric(expectation.user) : idOfUser(accounts, expectation.user);
      if (uid === undefined)
        return unknown(`the container's accounts do not know the user ${expectation.user}`);
      const others = found.filter((one) => one.uid !== uid);
      if (others.length === 0) return mayBeMore ? untold() : pass();
      return fail(others.map((one) => `${showProcess(one)} runs as ${one.uid}`).join("; "));
    }
  }
}

const numeric = (user: string): number | undefined => (/^\d+$/.test(user) ? Number(user) : undefined);

/**
 * By the kernel's name, the base name of its first word (a renamed process, `nginx: master process`, counts too), or the file
 * that it runs: Node's `process.title` changes all but that. `python3` leads to a file that has its version at the end.
 */
function isNamed({ comm, argv, program = "" }: ContainerProcess, name: string): boolean {
  const word = (argv[0] ?? "").split(" ")[0]?.replace(/:$/, "") ?? "";
  const isRun =
    program === name || (program.startsWith(`${name}.`) && /^\.[\d.]+$/.test(program.slice(name.length)));
  return isRun || comm === name.slice(0, 15) || word === name || word.split("/").at(-1) === name;
}

/**
 * A title takes the place of the whole command line, and of the kernel's name as far as that goes (Node's `process.title`, Perl's
 * `$0`, setproctitle of Python). What has words behind it, or a name that the kernel gave it, has none that hides what it is: of
 * `nginx: worker process` the name is still nginx.
 */
function mayBeTitled({ comm, argv: [first = "", ...others] }: ContainerProcess): boolean {
  return others.every((word) => word === "") && Buffer.from(first).subarray(0, 15).equals(Buffer.from(comm));
}

function showProcess({ pid, comm, argv, program }: ContainerProcess): string {
  // A title that is shorter than the words before it leaves empty ones.
  const words = (argv.join(" ").trimEnd() || comm).slice(0, 120);
  const isTold = program === undefined || comm === program.slice(0, 15) || words.includes(program);
  return `${pid} ${words}${isTold ? "" : ` (runs ${program})`}`;
}

export function judgeLog(
  { resource: { stream }, expectation }: Pick<CheckOf<"log">, "resource" | "expectation">,
  logs: ContainerLogs,
): Judgement {
  if (stream !== undefined && logs.isMerged === true) return judgeMerged(stream, expectation, logs.stdout);
  const text = stream === undefined ? `${logs.stdout}${logs.stderr}` : logs[stream];
  const what = stream ?? "log";
  switch (expectation.matcher) {
    case "contains": {
      if (fits(text, expectation.match)) return pass();
      const lines = text.trimEnd().split("\n");
      const near = nearestLine(lines, expectation.match);
      const closest =
        near === undefined ? undefined : `${near.text}  (${what} line ${near.line} of ${lines.length})`;
      return fail(text === "" ? `${what} is empty` : `not in its ${lines.length} lines`, closest);
    }
    // A log only grows.
    case "lacks": {
      const { verdict, evidence, closest } = judgeLacks(what, text, expectation.match);
      return verdict === "fail" ? failForGood(evidence, closest) : pass(evidence);
    }
    case "count": {
      const times = occurrences(text, expectation.match);
      if (times === expectation.count) return pass();
      return times > expectation.count ? failForGood(`${times} times`) : fail(`${times} times`);
    }
  }
}

/** What neither stream has, one of them does not have; what is in the log may be of either. */
function judgeMerged(stream: Stream, expectation: LogExpectation, log: string): Judgement {
  const isThere = occurrences(log, expectation.match) > 0;
  if (!isThere) {
    if (expectation.matcher === "count") return expectation.count === 0 ? pass() : fail("0 times");
    return expectation.matcher === "lacks" ? pass() : fail(`neither ${stream} nor the other stream has it`);
  }
  return unknown(
    `it is in the log, but a cluster keeps one log of both streams, so whether it is in ${stream} cannot be told`,
    "Check t.log instead of the stream.",
  );
}

export interface JudgedHttp {
  readonly resource: Pick<CheckOf<"http">["resource"], "isStatusStated">;
  readonly expectation: CheckOf<"http">["expectation"];
}

export function judgeHttp(
  { resource: { isStatusStated }, expectation }: JudgedHttp,
  response: InsideResponse,
  now: number,
): Judgement {
  if ("error" in response) {
    const { error, message, isUnresolved } = response;
    // As with t.dns: the service was never asked.
    if (isUnresolved === true)
      return unknownYet(`no name server could say where it is: ${error}: ${message}`);
    return fail(`no answer: ${error}: ${message}`);
  }
  const { status, body, headers } = response;
  switch (expectation.matcher) {
    case "status":
      return status === expectation.status ? pass() : fail(`status ${status}, body ${body.slice(0, 200)}`);
    case "header": {
      const value = headerOf(headers, expectation.name);
      if (value === undefined) return fail(`there is no header ${expectation.name}`);
      return fits(value, expectation.match) ? pass() : fail(`${expectation.name}: ${value}`);
    }
    case "body": {
      if (!expectation.isWanted && status >= 400 && !isStatusStated)
        return fail(`status ${status}, body ${body.slice(0, 200)}`);
      if (!expectation.isWanted) return judgeLacks("body", body, expectation.match);
      return judgeText("body", body, expectation.match);
    }
    case "json":
      return judgeJson("body", body, expectation.document);
    case "redirects": {
      const location = headerOf(headers, "location");
      const isRedirect = status >= 300 && status < 400 && location !== undefined;
      if (!isRedirect) return fail(`status ${status} without a redirect`);
      return fits(location, expectation.match) ? pass() : fail(`redirects to ${location}`);
    }
    case "tls":
      if (response.certificate === undefined) return fail("it answered without TLS");
      return judgeValidity(new X509Certificate(response.certificate), expectation.days, now);
  }
}

export function headerOf(headers: Readonly<Record<string, string>>, name: string): string | undefined {
  const wanted = name.toLowerCase();
  return Object.entries(headers).find(([key]) => key.toLowerCase() === wanted)?.[1];
}

export function judgeDns(
  { expectation }: Pick<CheckOf<"dns">, "expectation">,
  addresses: readonly string[],
): Judgement {
  const seen = addresses.length === 0 ? "it does not resolve" : `resolves to ${addresses.join(", ")}`;
  if (expectation.matcher === "resolvesNot") return addresses.length === 0 ? pass() : fail(seen);
  const { address } = expectation;
  const isThere = address === undefined ? addresses.length > 0 : addresses.includes(address);
  return isThere ? pass(seen) : fail(seen);
}

/** Only an answer of the network proves that nothing is open: a name that is not found proves nothing. */
export function judgeReach(
  { expectation }: Pick<CheckOf<"reach">, "expectation">,
  result: ReachResult,
): Judgement {
  if (expectation.matcher === "open") {
    if (result.isOpen) return pass();
    const isNoName = result.error === "ENOTFOUND";
    return result.isUnresolved !== true || isNoName
      ? fail(result.error)
      : unknownYet(`no name server could say where it is: ${result.error}`);
  }
  if (result.isOpen) return fail("a connection was accepted");
  if (result.isUnresolved === true)
    return unknown(`no connection was tried, the name has no address: ${result.error}`);
  const isAnswer = /ECONNREFUSED|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ECONNRESET|timed? ?out|refused/i.test(
    result.error,
  );
  return isAnswer ? pass(result.error) : unknown(`no connection was tried: ${result.error}`);
}

export function judgeState(
  { expectation }: Pick<CheckOf<"container">, "expectation">,
  state: ContainerState,
): Judgement {
  const seen = showState(state);
  switch (expectation.matcher) {
    case "running":
      return state.status === "running" ? pass() : fail(seen);
    case "healthy":
      if (state.status === "exited") return fail(seen);
      if (state.health === undefined)
        return unknown("it has no healthcheck", "Give the image a HEALTHCHECK.");
      return state.health === "healthy"
        ? pass()
        : fail(`${state.health}: ${state.healthOutput ?? "no output"}`);
    case "exitCode":
      return state.status === "exited" && state.exitCode === expectation.code ? pass() : fail(seen);
    case "restarts":
      if (state.restarts === expectation.count) return pass();
      return state.restarts > expectation.count
        ? failForGood(`${state.restarts} restarts`)
        : fail(`${state.restarts} restarts`);
    case "notOomKilled":
      return state.isOomKilled ? failForGood("it was killed because it used too much memory") : pass(seen);
    case "stopsWithin":
      return unknown("it was not stopped");
  }
}

export function judgeStop(
  limitMs: number,
  { tookMs, wasKilled }: { readonly tookMs: number; readonly wasKilled: boolean },
  signal: string,
): Judgement {
  if (wasKilled) return fail(`it ignored ${signal} and was killed after ${Math.round(tookMs)} ms`);
  return tookMs <= limitMs ? pass(`${Math.round(tookMs)} ms`) : fail(`it took ${Math.round(tookMs)} ms`);
}

export function showState({ status, exitCode, signal }: ContainerState): string {
  if (status !== "exited") return status;
  return signal === undefined ? `exited ${exitCode ?? "with an unknown code"}` : `ended by signal ${signal}`;
}
