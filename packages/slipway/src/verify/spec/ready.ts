/** The words for when a service is ready: `readyWhen: { db: ready.log(/ready to accept/, 2) }`. */
import { placeOfCaller, specError } from "../collect.ts";
import type {
  AllForm,
  CmdForm,
  ExitForm,
  HealthForm,
  HttpForm,
  LogForm,
  PortsForm,
  Readiness,
  ReadyWhen,
} from "../readiness/forms.ts";
import { type Expected, options, parseTime, portNumber, textMatch, wholeNumber, wordList } from "./expect.ts";
import { account, ifGiven, text, textMap } from "./given.ts";
import { methodOf, shellArgv } from "./running.ts";

const REQUEST_MS = 5_000;
const COMMAND_MS = 30_000;

export interface ReadyHttpOptions {
  /** Default: the only TCP port that the service exposes. */
  readonly port?: number;
  /** Default: any below 400. */
  readonly status?: number | readonly number[];
  /** Of the answer. A string: all of it, exactly. An expression: searched. */
  readonly body?: Expected;
  /** Default GET. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Basic authentication. */
  readonly auth?: { readonly user: string; readonly password: string };
  /** The port speaks TLS. Its certificate must be good for 127.0.0.1 unless `insecure`. */
  readonly tls?: boolean;
  /** Certificates are not checked. */
  readonly insecure?: boolean;
  /** How long one request may take. Default 5 s. */
  readonly timeout?: string | number;
}

export interface ReadyCmdOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the container's. */
  readonly user?: string;
  readonly workdir?: string;
  /** How long one attempt may take. Default 30 s. */
  readonly timeout?: string | number;
}

/**
 * Each is tried again until it has been so once. Whatever is waited for, a service that ends meanwhile ends the wait, with
 * its last lines and its exit code.
 */
export const ready = {
  /** Its log has it, so many times since its start, in both streams together. A string is a part of it. */
  log(expected: Expected, times = 1): LogForm {
    const match = textMatch("ready.log", expected, "containing");
    if (match.is === "empty") throw specError("ready.log expects a string or an expression");
    return { form: "log", match, times: wholeNumber("times", times, 1), place: placeOfCaller() };
  },

  /** A request from inside the service's network to itself is answered. Redirects are not followed. */
  http(path: string, given: ReadyHttpOptions = {}): HttpForm {
    if (typeof path !== "string" || !path.startsWith("/"))
      throw specError(`a path begins with a slash, got ${JSON.stringify(path)}`);
    const { port, status, body, method, headers, auth, tls, insecure, timeout } = options(
      "ready.http",
      given,
      HTTP_OPTIONS,
    );
    return {
      form: "http",
      path,
      port: port === undefined ? undefined : portNumber(port),
      method: methodOf(method),
      headers: {
        ...textMap("headers", headers),
        ...(auth === undefined ? {} : { authorization: basic(auth) }),
      },
      statuses: status === undefined ? undefined : [status].flat().map(statusNumber),
      body: body === undefined ? undefined : textMatch("body", body, "exactly"),
      isTls: tls === true,
      isInsecure: insecure === true,
      timeoutMs: timeout === undefined ? REQUEST_MS : parseTime(timeout),
      place: placeOfCaller(),
    };
  },

  /** They listen, on any address. Without any: every TCP port that it exposes or publishes. */
  ports(...ports: readonly number[]): PortsForm {
    const given = ports.length === 0 ? undefined : ports.map(portNumber);
    return { form: "ports", ports: given, place: placeOfCaller() };
  },

  /** Its healthcheck says so: of the Compose file, else of the image. In a cluster its readiness probe. */
  health(): HealthForm {
    return { form: "health", place: placeOfCaller() };
  },

  /** A command in it exits with 0. A list is run without a shell; a string by its `/bin/sh -c`. */
  cmd(command: string | readonly string[], given: ReadyCmdOptions = {}): CmdForm {
    const { env, user, workdir, timeout } = options("ready.cmd", given, CMD_OPTIONS);
    if (command === "") throw specError("ready.cmd expects a command");
    return {
      form: "cmd",
      argv: typeof command === "string" ? shellArgv(command) : wordList("ready.cmd", command),
      environment: textMap("env", env),
      user: ifGiven(account, "user", user),
      workingDir: ifGiven(text, "workdir", workdir),
      timeoutMs: timeout === undefined ? COMMAND_MS : parseTime(timeout),
      place: placeOfCaller(),
    };
  },

  /** It has ended with this code. Not in a cluster, where what ends is started again. */
  exit(code = 0): ExitForm {
    return { form: "exit", code: wholeNumber("ready.exit", code), place: placeOfCaller() };
  },

  /** All of them, in any order. `deadline` counts from the service's start. */
  all(forms: readonly Readiness[], given: { readonly deadline?: string | number } = {}): AllForm {
    const { deadline } = options("ready.all", given, { deadline: true });
    if (!Array.isArray(forms) || forms.length === 0)
      throw specError("ready.all expects a list of what to wait for, like [ready.ports(), ready.log(/up/)]");
    return {
      form: "all",
      forms: forms.map((one) => readinessOf("ready.all", one)),
      deadlineMs: deadline === undefined ? undefined : parseTime(deadline),
      place: placeOfCaller(),
    };
  },
} as const;

const HTTP_OPTIONS = {
  port: true,
  status: true,
  body: true,
  method: true,
  headers: true,
  auth: true,
  tls: true,
  insecure: true,
  timeout: true,
} as const;
const CMD_OPTIONS = { env: true, user: true, workdir: true, timeout: true } as const;

function basic(given: { readonly user: string; readonly password: string }): string {
  const { user, password } = options("auth", given, { user: true, password: true });
  if (typeof user !== "string" || typeof password !== "string" || user.includes(":"))
    throw specError("auth expects a user without a colon, and a password");
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

function statusNumber(status: number): number {
  if (!Number.isInteger(status) || status < 100 || status > 599)
    throw specError(`${status} is not an HTTP status`);
  return status;
}

/** What stands in `readyWhen` of a spec file. */
export function readyWhenOf(given: unknown): ReadyWhen {
  if (given === undefined) return {};
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    const hint = "Write readyWhen: { db: ready.log(/ready to accept/) }.";
    throw specError("readyWhen names services, and when each is ready", hint);
  }
  const services = Object.entries(given);
  if (services.length === 0)
    throw specError("readyWhen names no service", "Leave it out, or name one: { db: ready.health() }.");
  return Object.fromEntries(services.map(([name, form]) => [name, readinessOf(`readyWhen: ${name}`, form)]));
}

function readinessOf(what: string, given: unknown): Readiness {
  const words = Object.keys(ready);
  const hint = `Use one of ${words.map((word) => `ready.${word}(…)`).join(", ")}.`;
  if (typeof given === "function") throw specError(`${what}: a form that is not called says nothing`, hint);
  const form = (given as { readonly form?: unknown } | null | undefined)?.form;
  if (typeof form !== "string" || !words.includes(form))
    throw specError(`${what}: ${JSON.stringify(given) ?? "nothing"} does not say when it is ready`, hint);
  return given as Readiness;
}
