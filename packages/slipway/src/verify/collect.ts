/**
 * Spec files are run once to collect their checks; nothing is read or asked while they run. The collector of the
 * current run is found through a global symbol, because a project may load its own copy of this package.
 */
import { fileURLToPath } from "node:url";
import { SlipwayError } from "@slipway/base";
import type { Check } from "./check.ts";

export interface Collector {
  readonly checks: Check[];
}

const KEY = Symbol.for("slipway.verify.collector");
const holder = globalThis as { [KEY]?: Collector | undefined };

/** Runs `body` with a fresh collector and returns what it collected. */
export async function collect(body: () => unknown): Promise<readonly Check[]> {
  const collector: Collector = { checks: [] };
  if (holder[KEY] !== undefined) throw new TypeError("a collection is already going on");
  holder[KEY] = collector;
  try {
    await body();
    return collector.checks;
  } finally {
    holder[KEY] = undefined;
  }
}

/** The same for a body that is over when it returns. */
export function collectNow(body: () => void): readonly Check[] {
  const collector: Collector = { checks: [] };
  if (holder[KEY] !== undefined) throw new TypeError("a collection is already going on");
  holder[KEY] = collector;
  try {
    body();
    return collector.checks;
  } finally {
    holder[KEY] = undefined;
  }
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

const OWN_FOLDER = fileURLToPath(new URL(".", import.meta.url));

/** `file:line:column` of the first caller outside this folder (type stripping keeps positions). */
export function placeOfCaller(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 30;
  const frames = (new Error("place").stack ?? "").split("\n").slice(1);
  Error.stackTraceLimit = limit;
  for (const frame of frames) {
    const match = /\(?((?:file:\/\/)?\/[^()]+?):(\d+):(\d+)\)?$/.exec(frame.trim());
    if (match === null) continue;
    const [, location, line, column] = match as unknown as [string, string, string, string];
    const bare = location.replace(/\?.*$/, "");
    const path = bare.startsWith("file:") ? fileURLToPath(bare) : bare;
    if (!path.startsWith(OWN_FOLDER) || /\.test\.ts$/.test(path)) return `${path}:${line}:${column}`;
  }
  return "spec";
}
