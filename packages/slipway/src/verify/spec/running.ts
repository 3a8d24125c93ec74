/** Checks on what runs: `t.command`, `t.port`, `t.process`, `t.http`, `t.log`, `t.dns`, `t.reach`, `t.container`. */
import type { CommandResource, HttpResource, Json, Stream } from "../check.ts";
import { specError } from "../collect.ts";
import { showMatch } from "../text.ts";
import {
  type Context,
  documentAt,
  Expectations,
  type Expected,
  type ExpectedOutput,
  options,
  parseTime,
  portNumber,
  showDocument,
  textMatch,
  textMatches,
  wholeNumber,
  wordList,
} from "./expect.ts";
import { account, flag, ifGiven, name as nameOf, text, textMap } from "./given.ts";

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the container's. */
  readonly user?: string;
  readonly workdir?: string;
  readonly stdin?: string;
  /** Killed after that; default 30 s. */
  readonly timeout?: string | number;
  /** A fresh container, for a command that changes things. */
  readonly isolated?: boolean;
  /** `"keep"`: the image's ENTRYPOINT runs it, as in `docker run IMAGE command…`. Default: it is run by itself. */
  readonly entrypoint?: "keep";
}

export const shellArgv = (line: string): readonly string[] => ["/bin/sh", "-c", line];

/** A list is an argument vector, run without a shell; a string goes to the image's `/bin/sh -c`. */
export function commandResource(command: string | readonly string[], given: CommandOptions): CommandResource {
  const { env, user, workdir, stdin, timeout, isolated, entrypoint } = options("command", given, {
    env: true,
    user: true,
    workdir: true,
    stdin: true,
    timeout: true,
    isolated: true,
    entrypoint: true,
  });
  if (entrypoint !== undefined && entrypoint !== "keep")
    throw specError(`the entrypoint of a command is "keep", got ${JSON.stringify(entrypoint)}`);
  const argv = typeof command === "string" ? shellArgv(command) : wordList("command", command);
  if (command === "") throw specError("command expects a command");
  return {
    argv,
    environment: textMap("env", env),
    isExpanded: false,
    user: ifGiven(account, "user", user),
    workingDir: ifGiven(text, "workdir", workdir),
    stdin: ifGiven(text, "stdin", stdin),
    timeoutMs: timeout === undefined ? 30_000 : parseTime(timeout),
    exitCode: 0,
    isIsolated: flag("isolated", isolated),
    hasEntrypoint: entrypoint === "keep",
    setup: [],
    teardown: [],
  };
}

/** Runs once for all of its expectations. It should exit with 0 unless `exits` says otherwise. */
export class CommandExpectations extends Expectations<"command"> {
  /** Shared with its checks; nothing reads it before the spec file has ended. */
  readonly #resource: { -readonly [K in keyof CommandResource]: CommandResource[K] };

  constructor(context: Context, command: string | readonly string[], options: CommandOptions) {
    const resource = commandResource(command, options);
    super(context, "command", typeof command === "string" ? command : command.join(" "), resource);
    this.#resource = resource;
    this.#exits(0, true);
  }

  /** In a container of its own, for a command that changes things. */
  isolated(): this {
    this.#resource.isIsolated = true;
    return this;
  }

  exits(code: number): this {
    return this.#exits(wholeNumber("exits", code), false);
  }
  /** A string: all of it, exactly. An expression: searched. A list: every one of them. */
  stdout(expected: ExpectedOutput): this {
    return this.#text("stdout", expected, true);
  }
  stderr(expected: ExpectedOutput): this {
    return this.#text("stderr", expected, true);
  }
  stdoutLacks(unwanted: Expected): this {
    return this.#lacks("stdout", unwanted);
  }
  stderrLacks(unwanted: Expected): this {
    return this.#lacks("stderr", unwanted);
  }
  /** A value of the JSON that it writes to stdout. */
  json(path: string, expected: Json | RegExp): this {
    const document = documentAt(path, expected);
    return this.expect(showDocument("json", document), { matcher: "json", document });
  }
  maxTime(limit: string | number): this {
    return this.expect(`within ${limit}`, { matcher: "maxTime", ms: parseTime(limit) });
  }

  #exits(code: number, isImplied: boolean): this {
    this.#resource.exitCode = code;
    return this.expect(`exits ${code}`, { matcher: "exits", code, isImplied });
  }
  #text(stream: Stream, expected: unknown, isWanted: boolean): this {
    for (const match of textMatches(stream, expected)) {
      const verb = match.is === "matching" ? "matches" : "is";
      this.expect(`${stream} ${verb} ${showMatch(match)}`, { matcher: "text", stream, match, isWanted });
    }
    return this;
  }
  #lacks(stream: Stream, unwanted: Expected): this {
    const match = textMatch(stream, unwanted, "containing");
    return this.expect(`${stream} lacks ${showMatch(match)}`, {
      matcher: "text",
      stream,
      match,
      isWanted: false,
    });
  }
}

/** Read from the kernel's own tables, never by a tool of the image. */
export class PortExpectations extends Expectations<"port"> {
  constructor(context: Context, port: number, protocol: "tcp" | "udp") {
    super(context, "port", `port ${port}${protocol === "udp" ? "/udp" : ""}`, {
      port: portNumber(port),
      protocol,
    });
  }

  /** On any address, or on this one (`127.0.0.1`, `0.0.0.0`, `::`). */
  listening(address?: string): this {
    return this.expect(`listening${address === undefined ? "" : ` on ${address}`}`, {
      matcher: "listening",
      address: ifGiven(nameOf, "listening", address),
    });
  }
  notListening(): this {
    return this.expect("not listening", { matcher: "notListening" });
  }
}

export class PortsExpectations extends Expectations<"port"> {
  constructor(context: Context) {
    super(context, "port", "ports", { port: undefined, protocol: "tcp" });
  }

  /** Exactly these and no others: `8080`, `"53/udp"`. Loopback counts too. */
  onlyListening(ports: readonly (number | string)[]): this {
    if (!Array.isArray(ports)) throw specError("onlyListening expects a list of ports");
    const wanted = ports.map((port) => {
      const text = String(port);
      if (!/^\d+(?:\/(?:tcp|udp))?$/.test(text))
        throw specError(`"${port}" is not a port, like 8080 or "53/udp"`);
      return text.includes("/") ? text : `${text}/tcp`;
    });
    return this.expect(`only ${wanted.join(", ") || "none"} listening`, { matcher: "only", ports: wanted });
  }
}

/** By the name of the program (`nginx`), or by number: `t.process(1)` is what the container was started with. */
export class ProcessExpectations extends Expectations<"process"> {
  constructor(context: Context, name: string | number) {
    const given = typeof name === "number" ? wholeNumber("process", name, 1) : nameOf("process", name);
    super(context, "process", `process ${given}`, { name: given });
  }

  running(): this {
    return this.expect("running", { matcher: "running" });
  }
  notRunning(): this {
    return this.expect("not running", { matcher: "notRunning" });
  }
  count(expected: number): this {
    return this.expect(`count ${expected}`, { matcher: "count", count: wholeNumber("count", expected) });
  }
  /** Every one of them runs as this user (a name of the image's accounts, or a number). */
  user(expected: string): this {
    return this.expect(`runs as ${expected}`, { matcher: "user", user: account("user", expected) });
  }
  /** One of them has such a command line, words joined by spaces. */
  args(expected: Expected): this {
    const match = textMatch("args", expected, "containing", "value");
    return this.expect(`args ${showMatch(match)}`, { matcher: "args", match });
  }
}

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Certificates are not checked. */
  readonly insecure?: boolean;
}

export const REQUEST_OPTIONS = { method: true, headers: true, body: true, insecure: true } as const;

export const methodOf = (given: string | undefined): string =>
  (ifGiven(nameOf, "method", given) ?? "GET").toUpperCase();

/** One request, repeated until everything expected of its answer holds or the deadline ends. Redirects are not followed. */
export class HttpExpectations extends Expectations<"http"> {
  /** Shared with its checks; nothing reads it before the spec file has ended. */
  readonly #resource: { -readonly [K in keyof HttpResource]: HttpResource[K] };

  constructor(context: Context, url: string, request: RequestOptions, subject: string) {
    const resource = {
      url,
      method: methodOf(request.method),
      headers: textMap("headers", request.headers),
      body: ifGiven(text, "body", request.body),
      isInsecure: flag("insecure", request.insecure),
      isStatusStated: false,
    };
    super(context, "http", subject, resource);
    this.#resource = resource;
  }

  status(expected: number): this {
    if (!Number.isInteger(expected) || expected < 100 || expected > 599)
      throw specError(`${expected} is not an HTTP status`);
    this.#resource.isStatusStated = true;
    return this.expect(`status ${expected}`, { matcher: "status", status: expected });
  }
  /** A string: the whole body, exactly. An expression: searched. */
  body(expected: Expected): this {
    const match = textMatch("body", expected, "exactly");
    return this.expect(`body ${showMatch(match)}`, { matcher: "body", match, isWanted: true });
  }
  /** Of an answer below 400, unless `status` says otherwise: an error page lacks nearly everything. */
  bodyLacks(unwanted: Expected): this {
    const match = textMatch("bodyLacks", unwanted, "containing");
    return this.expect(`body lacks ${showMatch(match)}`, { matcher: "body", match, isWanted: false });
  }
  header(name: string, expected: Expected): this {
    const match = textMatch("header", expected, "exactly", "value");
    nameOf("header", name);
    return this.expect(`header ${name} ${showMatch(match)}`, { matcher: "header", name, match });
  }
  json(path: string, expected: Json | RegExp): this {
    const document = documentAt(path, expected);
    return this.expect(showDocument("json", document), { matcher: "json", document });
  }
  /** Answers with 3xx and this Location. */
  redirects(location: Expected): this {
    const match = textMatch("redirects", location, "exactly", "value");
    return this.expect(`redirects to ${showMatch(match)}`, { matcher: "redirects", match });
  }
  /** Its certificate is valid now and still in so many days. */
  tls(given: { readonly validForDays: number }): this {
    const { validForDays } = options("tls", given, { validForDays: true });
    const days = wholeNumber("validForDays", validForDays);
    return this.expect(`certificate valid for ${days} days`, { matcher: "tls", days });
  }
}

export class LogExpectations extends Expectations<"log"> {
  constructor(context: Context, stream: Stream | undefined) {
    super(context, "log", stream === undefined ? "log" : `log ${stream}`, { stream });
  }

  contains(expected: Expected): this {
    const match = textMatch("contains", expected, "containing");
    return this.expect(`contains ${showMatch(match)}`, { matcher: "contains", match });
  }
  /** Judged last, when everything else of the service has happened; unknown when the container has failed before. */
  lacks(unwanted: Expected): this {
    const match = textMatch("lacks", unwanted, "containing");
    return this.expect(`lacks ${showMatch(match)}`, { matcher: "lacks", match });
  }
  count(expected: Expected, times: number): this {
    const match = textMatch("count", expected, "containing");
    const count = wholeNumber("count", times);
    return this.expect(`has ${showMatch(match)} ${count} times`, { matcher: "count", match, count });
  }
}

/** Of both streams together, or of one of them. */
export class WholeLogExpectations extends LogExpectations {
  readonly #context: Context;

  constructor(context: Context) {
    super(context, undefined);
    this.#context = context;
  }

  get stdout(): LogExpectations {
    return this.#stream("stdout");
  }
  get stderr(): LogExpectations {
    return this.#stream("stderr");
  }

  #stream(stream: Stream): LogExpectations {
    this.replaced();
    return new LogExpectations(this.#context, stream);
  }
}

export class DnsExpectations extends Expectations<"dns"> {
  constructor(context: Context, name: string) {
    super(context, "dns", `dns ${name}`, { name: nameOf("dns", name) });
  }
  resolves(address?: string): this {
    return this.expect(`resolves${address === undefined ? "" : ` to ${address}`}`, {
      matcher: "resolves",
      address: ifGiven(nameOf, "resolves", address),
    });
  }
  resolvesNot(): this {
    return this.expect("does not resolve", { matcher: "resolvesNot" });
  }
}

export class ReachExpectations extends Expectations<"reach"> {
  constructor(context: Context, host: string, port: number) {
    super(context, "reach", `reach ${host}:${port}`, { host: nameOf("reach", host), port: portNumber(port) });
  }
  /** A TCP connection is accepted. */
  open(): this {
    return this.expect("is open", { matcher: "open" });
  }
  /** Refused or unanswered. A name that does not resolve proves nothing and is unknown. */
  closed(): this {
    return this.expect("is closed", { matcher: "closed" });
  }
}

export class ContainerExpectations extends Expectations<"container"> {
  constructor(context: Context) {
    super(context, "container", "container", {});
  }

  running(): this {
    return this.expect("running", { matcher: "running" });
  }
  /** Its HEALTHCHECK says so; without one this is unknown. */
  healthy(): this {
    return this.expect("healthy", { matcher: "healthy" });
  }
  /** It ends by itself, with this code. */
  exitCode(code: number): this {
    return this.expect(`exit code ${code}`, { matcher: "exitCode", code: wholeNumber("exitCode", code) });
  }
  restarts(count: number): this {
    return this.expect(`${count} restarts`, { matcher: "restarts", count: wholeNumber("restarts", count) });
  }
  notOomKilled(): this {
    return this.expect("not killed for memory", { matcher: "notOomKilled" });
  }
  /** It ends by itself that soon after its stop signal: fails for a first process that ignores it. Asked last. */
  stopsWithin(limit: string | number): this {
    return this.expect(`stops within ${limit}`, { matcher: "stopsWithin", ms: parseTime(limit) });
  }
}
