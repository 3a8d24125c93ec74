/**
 * What is to be told about one release or incident, and how far that has got: the message on top and the details below. This is
 * the unit of the outbox: one file for each, written before anything is sent and after anything is answered.
 *
 * A part is not a queue of posts and edits but the wanted content with its version, and the version that is known to
 * be shown. Edits that pile up while Slack does not answer are thereby one edit, to the newest.
 */
import type { DetailMessage, Message, Subject } from "../message.ts";
import { subjectId } from "../message.ts";

export interface Part<Content> {
  /** `message`, or the detail's own key. With the thread's id it is what a resend looks for. */
  readonly key: string;
  readonly content: Content;
  /** Counts changes of the content, from 1. */
  readonly version: number;
  /** When the content became this, ms since the epoch. */
  readonly saidAt: number;
  /** Set once it is known to be there: where, and which version. */
  readonly shown?:
    | { readonly channel: string; readonly ts: string; readonly version: number; readonly at: number }
    | undefined;
  /** Set while a request is under way. Found set in a file, it says that the process died in the send window. */
  readonly sending?: { readonly version: number; readonly at: number } | undefined;
  /** A post may or may not have arrived: the time of the first such. A resend looks first, or is marked as repeated. */
  readonly doubtSince?: number | undefined;
  /** Looking for it is not possible (a scope is missing): a resend is marked instead. */
  readonly blind?: boolean | undefined;
  /** Without blocks: Slack refused them. */
  readonly plain?: boolean | undefined;
  readonly failures: number;
  /** Not to be tried before, ms since the epoch. */
  readonly notBefore: number;
  /** The last problem, for people. */
  readonly problem?: string | undefined;
  /** Why it will not be tried again. */
  readonly givenUp?: string | undefined;
}

export interface Thread {
  readonly id: string;
  /** The kind of transport and the channel as configured: another one leaves it alone. */
  readonly to: string;
  readonly createdAt: number;
  readonly message: Part<Message>;
  readonly details: readonly Part<DetailMessage>[];
}

export type AnyPart = Part<Message> | Part<DetailMessage>;

/** The thread with this message wanted; the same thread when nothing changes. */
export function withMessage(
  thread: Thread | undefined,
  about: Subject,
  to: string,
  content: Message,
  now: number,
): Thread {
  if (thread === undefined) {
    const message = { key: "message", content, version: 1, saidAt: now, failures: 0, notBefore: 0 };
    return { id: subjectId(about), to, createdAt: now, message, details: [] };
  }
  const { message } = thread;
  if (JSON.stringify(message.content) === JSON.stringify(content)) return thread;
  return { ...thread, message: { ...message, content, version: message.version + 1, saidAt: now } };
}

/** The thread with this detail; the same thread when one of that key is there. */
export function withDetail(thread: Thread, key: string, content: DetailMessage, now: number): Thread {
  if (thread.details.some((detail) => detail.key === key)) return thread;
  const detail = { key, content, version: 1, saidAt: now, failures: 0, notBefore: 0 };
  return { ...thread, details: [...thread.details, detail] };
}

/** As read from a file that no living process owns: a post that was under way is in doubt, an edit is simply made again. */
export function recovered(thread: Thread): Thread {
  const settle = <P extends AnyPart>(part: P): P => {
    if (part.sending === undefined) return part;
    const { sending, ...rest } = part;
    return (part.shown === undefined ? { ...rest, doubtSince: part.doubtSince ?? sending.at } : rest) as P;
  };
  return { ...thread, message: settle(thread.message), details: thread.details.map(settle) };
}

/** Replaces the part of the same key. */
export function withPart(thread: Thread, part: AnyPart): Thread {
  if (part.key === "message") return { ...thread, message: part as Part<Message> };
  return {
    ...thread,
    details: thread.details.map((one) => (one.key === part.key ? (part as Part<DetailMessage>) : one)),
  };
}

export function partOf(thread: Thread, key: string): AnyPart | undefined {
  return key === "message" ? thread.message : thread.details.find((detail) => detail.key === key);
}
