/**
 * What to send next for a thread, and what an answer means. Pure; the courier acts on it. The rules:
 *
 * - The message comes first, then its details in their order; nothing overtakes.
 * - While a release runs its message is edited at most once a second; what it says last is sent at once.
 * - The message of an incident is edited at most every 30 seconds, the last time too: nobody reads faster, and what must be
 *   heard at once is a detail, which does not wait for an edit.
 * - After a 429 nothing is sent before Slack's Retry-After; after other failures the pause doubles from 1 s to 60 s.
 *   A refusal that a person must lift (token, channel, scope) is tried again every five minutes.
 * - A post whose answer was lost (the connection broke, the process died) is in doubt. A transport that can look does so
 *   before it posts again, so nothing is doubled; another posts again and says so, so nothing is lost.
 * - An edit may be made twice without harm.
 */
import { isIncident, type Message } from "../message.ts";
import type { AnyPart, Part, Thread } from "./thread.ts";

export interface Abilities {
  /** Can it change what it posted, and put a post below another? Otherwise a message is posted once, when it is final. */
  readonly edits: boolean;
  /** Can it find a post by our id? */
  readonly finds: boolean;
}

export type Step =
  | { readonly kind: "send"; readonly key: string; readonly how: How }
  | { readonly kind: "wait"; readonly untilMs: number }
  /** Nothing to do until the thread changes. */
  | { readonly kind: "rest" };

export type How =
  | "post"
  /** Look for it, and post only if it is not there. */
  | "find"
  /** Post again what may be there already, and say so. */
  | "repeat"
  | "edit";

/** What became of a request. */
export type Outcome =
  | { readonly kind: "shown"; readonly channel: string; readonly ts: string }
  /** Found by our id, showing this version. */
  | { readonly kind: "found"; readonly channel: string; readonly ts: string; readonly version: number }
  | { readonly kind: "not-found" }
  /** It could not be looked for: a missing scope, say. */
  | { readonly kind: "cannot-find"; readonly reason: string }
  /** 429: certainly not taken. */
  | { readonly kind: "limited"; readonly retryAfterMs: number }
  /** Certainly not taken: no connection was made. */
  | { readonly kind: "unsent"; readonly reason: string }
  /** It may have been taken. */
  | { readonly kind: "unknown"; readonly reason: string }
  /** Slack's own word, like `channel_not_found`, and what it is about. */
  | { readonly kind: "refused"; readonly because: Refusal; readonly reason: string };

/**
 * `person`: somebody must change something first · `content`: the blocks are not accepted · `gone`: what it belongs to
 * was deleted · `frozen`: it can no longer be edited.
 */
export type Refusal = "person" | "content" | "gone" | "frozen";

const EDIT_EVERY_MS = 1_000;
export const INCIDENT_EDIT_EVERY_MS = 30_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
const PERSON_PAUSE_MS = 5 * 60_000;

export function decide(thread: Thread, now: number, can: Abilities): Step {
  const { message } = thread;
  const first = stepFor(message, now, can, isReady(message, can));
  const isOnlyPaced = first.kind === "wait" && isIncident(message.content) && now >= message.notBefore;
  if (first.kind !== "rest" && !isOnlyPaced) return first;
  // Details hang below a message: without one there is nothing to hang them from.
  if (message.shown === undefined) return first;
  for (const detail of thread.details) {
    const step = stepFor(detail, now, can, true);
    if (step.kind !== "rest") return step;
  }
  return first;
}

function isReady(message: Part<Message>, can: Abilities): boolean {
  // What cannot be edited is said once, when it is final: a start would stay there uncorrected.
  return can.edits || message.content.state !== "running";
}

function stepFor(part: AnyPart, now: number, can: Abilities, isReady: boolean): Step {
  if (part.givenUp !== undefined || part.sending !== undefined || !isReady) return { kind: "rest" };
  const how = howToSend(part, can);
  if (how === undefined) return { kind: "rest" };
  const from = Math.max(part.notBefore, paced(part, how));
  return now < from ? { kind: "wait", untilMs: from } : { kind: "send", key: part.key, how };
}

/** Progress comes many times a second, Slack allows about one edit in that time. The last word waits for none. */
function paced(part: AnyPart, how: How): number {
  if (isIncident(part.content)) {
    return how === "edit" && part.shown !== undefined ? part.shown.at + INCIDENT_EDIT_EVERY_MS : 0;
  }
  const isRunning = "state" in part.content && part.content.state === "running";
  return how === "edit" && isRunning && part.shown !== undefined ? part.shown.at + EDIT_EVERY_MS : 0;
}

function howToSend(part: AnyPart, can: Abilities): How | undefined {
  if (part.shown !== undefined) {
    const isCurrent = part.shown.version >= part.version;
    return isCurrent || !can.edits || part.key !== "message" ? undefined : "edit";
  }
  if (part.doubtSince === undefined) return "post";
  return can.finds && part.blind !== true ? "find" : "repeat";
}

/** The part as it is written down before the request goes out. */
export function begun<P extends AnyPart>(part: P, now: number): P {
  return { ...part, sending: { version: part.version, at: now } };
}

/** The part after the answer. */
export function settled<P extends AnyPart>(part: P, how: How, outcome: Outcome, now: number): P {
  const { sending, problem: _, ...rest } = part;
  const sent = sending?.version ?? part.version;
  const calm = { ...rest, failures: 0 } as P;
  const failed = (reason: string, pauseMs: number, more: Partial<AnyPart> = {}): P =>
    ({ ...rest, ...more, failures: part.failures + 1, notBefore: now + pauseMs, problem: reason }) as P;
  const inDoubt = { doubtSince: part.doubtSince ?? sending?.at ?? now };
  switch (outcome.kind) {
    case "shown": {
      const { channel, ts } = outcome;
      return { ...withoutDoubt(calm), shown: { channel, ts, version: sent, at: now }, notBefore: 0 } as P;
    }
    case "found": {
      const { channel, ts, version } = outcome;
      return { ...withoutDoubt(calm), shown: { channel, ts, version, at: 0 }, notBefore: 0 } as P;
    }
    case "not-found":
      // An ordinary first post again; but that Slack can be read does not end the failures of what is to be posted.
      return { ...withoutDoubt(rest as P), notBefore: 0 } as P;
    case "cannot-find":
      return failed(outcome.reason, 0, { ...inDoubt, blind: true });
    case "limited":
      return { ...rest, notBefore: now + outcome.retryAfterMs, problem: "Slack asks to wait (429)" } as P;
    case "unsent":
      return failed(outcome.reason, pauseAfter(part.failures));
    case "unknown":
      return failed(outcome.reason, pauseAfter(part.failures), how === "edit" ? {} : inDoubt);
    case "refused":
      return refused(part, how, outcome, failed);
  }
}

function refused<P extends AnyPart>(
  part: P,
  how: How,
  { because, reason }: Extract<Outcome, { kind: "refused" }>,
  failed: (reason: string, pauseMs: number, more?: Partial<AnyPart>) => P,
): P {
  switch (because) {
    case "person":
      return failed(reason, PERSON_PAUSE_MS);
    case "content":
      return part.plain === true
        ? failed(reason, 0, { givenUp: reason })
        : failed(reason, 0, { plain: true });
    case "gone":
      return failed(reason, 0, { givenUp: how === "edit" ? `somebody deleted it (${reason})` : reason });
    case "frozen":
      // Said anew, so that the end of a release is not kept to ourselves.
      return failed(reason, 0, { shown: undefined });
  }
}

function pauseAfter(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 10));
}

function withoutDoubt<P extends AnyPart>(part: P): P {
  const { doubtSince: _, ...rest } = part;
  return rest as P;
}

/** Has everything been delivered that will be? */
export function isDone(thread: Thread, can: Abilities): boolean {
  const open = (part: AnyPart): boolean =>
    part.givenUp === undefined && (part.sending !== undefined || howToSend(part, can) !== undefined);
  if (open(thread.message)) return false;
  return thread.message.shown === undefined || !thread.details.some(open);
}
