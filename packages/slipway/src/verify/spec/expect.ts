/** What the words of a spec file have in common: adding a check, and turning what people write into plain data. */
import { nearest, parseDuration } from "@slipway/base";
import type { Check, CheckOf, DocumentExpectation, Json, Kind, Kinds, Section, Target } from "../check.ts";
import { begin, placeOfCaller, specError, type Thing } from "../collect.ts";
import { showMatch } from "../text.ts";
import type { TextMatch } from "../text-match.ts";

/** A string, or an expression that is searched for. */
export type Expected = string | RegExp;
/** What a stream should say: exactly a string, an expression, all of several, or nothing (`empty()`). */
export type ExpectedOutput = Expected | Empty | readonly (Expected | Empty)[];

export interface Empty {
  readonly isEmpty: true;
}
/** Nothing at all: `t.command("true").stderr(empty())`. An empty list would say nothing and is an error. */
export const empty = (): Empty => ({ isEmpty: true });

/** Where the checks of one target go, and how long a condition may take. */
export interface Context {
  readonly target: Target;
  readonly deadlineMs: number;
  readonly push: (check: Check) => void;
  /** Undefined: the line of the spec file that says it. */
  readonly place?: string;
}

/** A thing that is checked; each word on it adds a check and returns the thing again. */
export class Expectations<K extends Kind> {
  readonly #context: Context;
  readonly #kind: K;
  readonly #resource: Kinds[K]["resource"];
  readonly #subject: string;
  readonly #thing: Thing;

  constructor(context: Context, kind: K, subject: string, resource: Kinds[K]["resource"]) {
    noticeUncalled(new.target.prototype);
    this.#thing = begin(subject, "thing", context.place);
    this.#context = context;
    this.#kind = kind;
    this.#resource = resource;
    this.#subject = subject;
  }

  /** Somebody has written this word; until it is called it expects nothing. */
  wrote(name: string): Thing {
    return begin(`${this.#subject}: ${name}`, "word", this.#context.place);
  }

  protected expect(says: string, expectation: Kinds[K]["expectation"]): this {
    const { target, deadlineMs, push, place } = this.#context;
    const check: CheckOf<K> = {
      kind: this.#kind,
      target,
      resource: this.#resource,
      expectation,
      subject: this.#subject,
      says,
      place: place ?? placeOfCaller(),
      deadlineMs,
    };
    push(check as unknown as Check);
    this.replaced();
    return this;
  }

  /** It has its check, or another object has taken its place. */
  protected replaced(): void {
    this.#thing.isChecked = true;
  }
}

const NOTICED = new WeakSet<object>();

/** Turns the words of a class into ones that are remembered when they are written, and not only when they are called. */
function noticeUncalled(prototype: object): void {
  if (prototype === Expectations.prototype || NOTICED.has(prototype)) return;
  NOTICED.add(prototype);
  for (const [name, { value: word }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (name === "constructor" || typeof word !== "function") continue;
    Object.defineProperty(prototype, name, {
      configurable: true,
      get(this: Expectations<Kind>) {
        const written = this.wrote(name);
        return (...given: readonly unknown[]) => {
          written.isChecked = true;
          return word.apply(this, given);
        };
      },
    });
  }
  noticeUncalled(Object.getPrototypeOf(prototype));
}

/** The words of a `t`, remembered in the same way: `t.user;` looks like a check and is none. */
export function noticed<T extends object>(words: T, place?: string): T {
  const descriptors = Object.entries(Object.getOwnPropertyDescriptors(words));
  const properties = descriptors.map(([name, descriptor]): [string, PropertyDescriptor] => {
    const { value: word, enumerable } = descriptor;
    if (typeof word !== "function") return [name, descriptor];
    const get = () => {
      const written = begin(`t.${name}`, "word", place);
      return (...given: readonly unknown[]) => {
        written.isChecked = true;
        return word.apply(words, given);
      };
    };
    return [name, { get, enumerable }];
  });
  return Object.defineProperties({} as T, Object.fromEntries(properties));
}

/** The same context, in which every check counts for `what` too. */
export function inBlock(what: string, push: (check: Check) => void): (check: Check) => void {
  const block = begin(what, "block");
  return (check) => {
    block.isChecked = true;
    push(check);
  };
}

/** Spec files are run without their types, so that a misspelt option would be ignored. `known` names every key of `T`. */
export function options<T extends object>(
  what: string,
  given: T,
  known: { readonly [K in keyof Required<T>]: true },
): T {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw specError(`the options of ${what} are an object, got ${JSON.stringify(given) ?? typeof given}`);
  }
  const names = Object.keys(known);
  for (const key of Object.keys(given)) {
    if (names.includes(key)) continue;
    const near = nearest(key, names);
    throw specError(
      `${what} has no option "${key}"`,
      near === undefined ? `There are ${names.join(", ")}.` : `Did you mean "${near}"?`,
    );
  }
  return given;
}

/**
 * `string` is what a plain string means here: the whole text, or a part of it. Of a text, `^` and `$` of an expression
 * are those of each line, as in Ruby and grep: else `lacks(/^evil:/)` would look at the first line alone. Of a single
 * value (a variable, a header) they are its own, because there the weaker meaning would let more pass.
 */
export function textMatch(
  what: string,
  expected: unknown,
  string: "exactly" | "containing",
  of: "text" | "value" = "text",
): TextMatch {
  if (expected instanceof RegExp) {
    // A flag like `g` would make the second test of an expression start where the first ended.
    const flags = expected.flags.replaceAll(/[gy]/g, "");
    const isByLine = of === "text" && /[\^$]/.test(expected.source) && !expected.multiline;
    return { is: "matching", source: expected.source, flags: isByLine ? `${flags}m` : flags };
  }
  if (typeof expected === "object" && expected !== null && "isEmpty" in expected) return { is: "empty" };
  if (typeof expected !== "string") {
    throw specError(
      `${what} expects a string or an expression, got ${JSON.stringify(expected) ?? "nothing"}`,
    );
  }
  if (expected === "" && string === "containing") {
    throw specError(`${what} expects a string or an expression; an empty one says nothing`);
  }
  return { is: string, text: expected };
}

export function textMatches(what: string, expected: unknown): readonly TextMatch[] {
  if (!Array.isArray(expected)) return [textMatch(what, expected, "exactly")];
  if (expected.length === 0) {
    throw specError(
      `${what} expects something; an empty list says nothing`,
      "Write empty() for no output at all.",
    );
  }
  return expected.map((one) => textMatch(what, one, "exactly"));
}

export function section(
  what: string,
  where: { readonly from?: Expected; readonly to?: Expected },
): Section | undefined {
  const { from, to } = options(what, where, { from: true, to: true });
  if (from === undefined && to === undefined) return undefined;
  return {
    from: from === undefined ? undefined : textMatch("from", from, "containing"),
    to: to === undefined ? undefined : textMatch("to", to, "containing"),
  };
}

/** A value, or for texts an expression. */
export function documentAt(path: string, expected: Json | RegExp): DocumentExpectation {
  if (expected === undefined) throw specError(`json ${path} expects a value or an expression`);
  return expected instanceof RegExp
    ? { path, value: undefined, match: textMatch("json", expected, "exactly", "value") }
    : { path, value: expected, match: undefined };
}

export const showDocument = (what: string, { path, value, match }: DocumentExpectation): string =>
  `${what} ${path === "" ? "" : `${path} `}is ${match === undefined ? JSON.stringify(value) : showMatch(match)}`;

/** Of people who forgot the `0o`. As numbers none of these is a mode that anyone means. */
const WRITTEN_DECIMAL: readonly number[] = [
  400, 440, 444, 500, 550, 555, 600, 640, 644, 660, 664, 666, 700, 711, 750, 751, 755, 770, 775, 777, 1777,
  2755, 2775,
];

/** `"0644"`, or the number 0o644. */
export function parseMode(expected: string | number): number {
  const wanted =
    typeof expected === "number"
      ? expected
      : typeof expected === "string" && /^[0-7]+$/.test(expected)
        ? Number.parseInt(expected, 8)
        : Number.NaN;
  const isDecimal = typeof expected === "number" && WRITTEN_DECIMAL.includes(expected);
  if (isDecimal || !Number.isInteger(wanted) || wanted < 0 || wanted > 0o7777) {
    const isNumber = typeof expected === "number" && /^[0-7]+$/.test(String(expected));
    const hint = isNumber ? `Write 0o${expected} or "0${expected}".` : 'Write 0o644 or "0644".';
    throw specError(`${JSON.stringify(expected)} is not a mode`, hint);
  }
  return wanted;
}

/** `"root"`, `"node:node"`, `"1000:1000"`. */
export function parseOwner(expected: string): readonly [user: string, group: string | undefined] {
  const [user = "", group, more] = typeof expected === "string" ? expected.split(":") : [];
  if (user === "" || group === "" || more !== undefined)
    throw specError(`${JSON.stringify(expected)} is not an owner, like "node:node" or "1000"`);
  return [user, group];
}

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
};

/** `"250MB"`, `"1GiB"`, or bytes. */
export function parseSize(text: string | number): number {
  if (typeof text === "number" && Number.isFinite(text) && text >= 0) return text;
  const match = /^(\d+(?:\.\d+)?)\s*([KMG]?i?B)$/i.exec(String(text));
  if (match === null) throw specError(`"${text}" is not a size, like "250MB" or "1GiB"`);
  return Number(match[1]) * (UNITS[(match[2] as string).toUpperCase()] as number);
}

/** `"5s"`, `"2m"`, or milliseconds. */
export function parseTime(text: string | number): number {
  if (typeof text === "number" && Number.isFinite(text) && text >= 0) return text;
  const ms = typeof text === "string" ? safely(() => parseDuration(text, "time")) : undefined;
  if (ms === undefined) throw specError(`"${text}" is not a duration, like "5s" or "500ms"`);
  return ms;
}

export function safely<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

export const showMode = (mode: number): string => mode.toString(8).padStart(4, "0");

export function wordList(what: string, words: unknown): readonly string[] {
  if (!Array.isArray(words) || words.length === 0 || words.some((word) => typeof word !== "string")) {
    throw specError(`${what} expects a list of words, like ["node", "server.js"]`);
  }
  return words as readonly string[];
}

export function wholeNumber(what: string, value: number, least = 0): number {
  if (!Number.isInteger(value) || value < least)
    throw specError(
      `${what} expects a whole number from ${least}, got ${JSON.stringify(value) ?? "nothing"}`,
    );
  return value;
}

export function portNumber(port: number): number {
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw specError(`${JSON.stringify(port) ?? "nothing"} is not a port, like 8080`);
  return port;
}
