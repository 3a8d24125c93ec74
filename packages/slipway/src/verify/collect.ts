/**
 * Spec files are run once to collect their checks; nothing is read or asked while they run. The collector of the
 * current run is found through a global symbol, because a project may load its own copy of this package.
 */
import { fileURLToPath } from "node:url";
import { SlipwayError } from "@slipway/base";
import type { Check } from "./check.ts";

export interface Collector {
  readonly checks: Check[];
  /** What a spec file began to speak of; at the end each must have a check. */
  readonly things: Thing[];
}

/** A block (`describeImage`, `t.in`), a thing (`t.file("/etc/passwd")`) or a word on it (`.isFile()`) of a spec file. */
export interface Thing {
  readonly kind: "block" | "thing" | "word";
  readonly what: string;
  readonly place: string;
  /** Of a word: it is called. */
  isChecked: boolean;
}

const KEY = Symbol.for("slipway.verify.collector");
const holder = globalThis as { [KEY]?: Collector | undefined };

/** Runs `body` with a fresh collector and returns what it collected. */
export async function collect(body: () => unknown): Promise<readonly Check[]> {
  const collector: Collector = { checks: [], things: [] };
  if (holder[KEY] !== undefined) throw new TypeError("a collection is already going on");
  holder[KEY] = collector;
  try {
    await body();
    return complete(collector);
  } finally {
    holder[KEY] = undefined;
  }
}

/** The same for a body that is over when it returns. */
export function collectNow(body: () => void): readonly Check[] {
  const collector: Collector = { checks: [], things: [] };
  if (holder[KEY] !== undefined) throw new TypeError("a collection is already going on");
  holder[KEY] = collector;
  try {
    body();
    return complete(collector);
  } finally {
    holder[KEY] = undefined;
  }
}

/** A word that expects nothing looks like a check and is none, so it is a mistake: the first one, by its place. */
function complete({ checks, things }: Collector): readonly Check[] {
  const empty = things.filter(({ isChecked }) => !isChecked);
  // A word that is not called is the reason why its thing and its block are empty.
  const first = KINDS.map((kind) => empty.find((thing) => thing.kind === kind)).find(
    (one) => one !== undefined,
  );
  if (first === undefined) return checks;
  throw new SlipwayError({
    code: "VERIFY_SPEC_INVALID",
    where: first.place,
    message:
      first.kind === "word" ? `${first.what} is not called` : `${first.what}: nothing is expected of it`,
    hint: REMEDIES[first.kind],
    exitCode: 2,
  });
}

const KINDS = ["word", "thing", "block"] as const;
const REMEDIES: Readonly<Record<Thing["kind"], string>> = {
  word: "A word expects something only when it is called, as in t.port(8080).listening().",
  thing: "Add an expectation and call it, as in t.port(8080).listening(), or remove it.",
  block: "Say what to expect in its function, or remove it.",
};

/** Remembers it while spec files are run; the built-in checks are collected without. */
export function begin(what: string, kind: Thing["kind"], place: string = placeOfCaller()): Thing {
  const thing: Thing = { kind, what, place, isChecked: false };
  holder[KEY]?.things.push(thing);
  return thing;
}

export function currentCollector(): Collector {
  const collector = holder[KEY];
  if (collector !== undefined) return collector;
  throw new SlipwayError({
    code: "VERIFY_NOT_COLLECTING",
    where: placeOfCaller(),
    message: "describeImage, describeCompose and describeService only work in spec files that Slipway runs",
    hint: "Run slipway verify, or hand them to checks() of slipway/verify/node-test.",
    exitCode: 2,
  });
}

/** A mistake in a spec file, found while collecting. */
export function specError(message: string, hint?: string): SlipwayError {
  return new SlipwayError({
    code: "VERIFY_SPEC_INVALID",
    where: placeOfCaller(),
    message,
    hint,
    exitCode: 2,
  });
}

/** Of this package's sources, or of the bundle. */
const OWN_FOLDER = fileURLToPath(new URL("..", import.meta.url));

/** `file:line:column` of the first caller outside this program (type stripping keeps positions). */
export function placeOfCaller(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 30;
  const stack = new Error("place").stack ?? "";
  Error.stackTraceLimit = limit;
  return placeIn(stack) ?? "spec";
}

/**
 * The same of an error's stack; undefined when it names no file outside of this program. What Node could not parse stands
 * before the stack's frames, as `file:line` on the first line.
 */
export function placeIn(stack: string): string | undefined {
  for (const [index, line] of stack.split("\n").entries()) {
    const match = index === 0 ? FIRST_LINE.exec(line) : FRAME.exec(line.trim());
    if (match === null) continue;
    const [, location = "", position = ""] = match;
    const bare = location.replace(/\?.*$/, "");
    const path = bare.startsWith("file:") ? fileURLToPath(bare) : bare;
    if (!path.startsWith(OWN_FOLDER) || /\.test\.ts$/.test(path)) return `${path}:${position}`;
  }
  return undefined;
}

const FIRST_LINE = /^((?:file:\/\/)?\/.+?):(\d+)$/;
/** Not `node:internal/…`, in which a path stands too. */
const FRAME = /(?:^|[\s(])((?:file:\/\/)?\/[^()]+?):(\d+:\d+)\)?$/;
