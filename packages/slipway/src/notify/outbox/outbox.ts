/**
 * A notifier that loses nothing: what is to be told is written to the store before it is sent, and stays there until it
 * is known to have arrived. When the process dies or Slack is away, the next command, or `slipway serve`, sends what is
 * left (`drain`). `decide.ts` says what to send and when; this file only acts on it.
 */
import type { Clock } from "@slipway/base";
import { type Subject, subjectId } from "../message.ts";
import type { Notifier } from "../notifier.ts";
import { begun, decide, type How, isDone, type Outcome, settled } from "./decide.ts";
import type { OutboxStore } from "./store.ts";
import { type AnyPart, partOf, recovered, type Thread, withDetail, withMessage, withPart } from "./thread.ts";
import type { Transport } from "./transport.ts";

export interface Outbox extends Notifier {
  /** Takes over what others have left; resolves when it is delivered or must wait. `now` ends the waiting of earlier failures. */
  drain(): Promise<void>;
  /** What is known of a message here, delivered or not. */
  known(about: Subject): Promise<Thread | undefined>;
  /** Remembers a message that was found where it was posted, so that `show` edits it. */
  adopt(thread: Thread): Promise<void>;
  /** How many threads wait to be delivered. */
  waiting(): Promise<number>;
}

/** Longer than this, and a message says that it comes late. */
const LATE_AFTER_MS = 2 * 60_000;
/** News of last week is none: it is dropped, with a warning. What was delivered is kept as long, for edits. */
const KEEP_MS = 7 * 24 * 60 * 60_000;
const CLAIM_AGAIN_MS = 250;

type Change = (thread: Thread | undefined) => Thread | undefined;

/** A thread that this process sends. */
interface Held {
  thread: Thread | undefined;
  /** Changes that came before the thread was ours. */
  pending: Change[];
  pump: Promise<void> | undefined;
  saved: Promise<void>;
  saving: Promise<void> | undefined;
  wake: AbortController;
  /** Changed since the pump looked last. */
  isTouched: boolean;
}

export function createOutbox(options: {
  readonly transport: Transport;
  readonly store: OutboxStore;
  readonly clock: Clock;
  /** Told once per problem. */
  readonly onWarning: (message: string) => void;
}): Outbox {
  const { transport, store, clock } = options;
  const { can, to } = transport;
  const index = store.index((thread) => ({
    isOurs: thread.to === to,
    isOpen: !isDone(thread, can),
    createdAt: thread.createdAt,
  }));
  const all = new Map<string, Held>();
  const stop = new AbortController();
  const told = new Set<string>();
  let isClosed = false;
  const warn = (problem: string): void => {
    if (told.has(problem)) return;
    told.add(problem);
    options.onWarning(`${transport.name}: ${problem}`);
  };

  const heldOf = (id: string): Held => {
    const known = all.get(id);
    if (known !== undefined) return known;
    const held: Held = {
      thread: undefined,
      pending: [],
      pump: undefined,
      saved: Promise.resolve(),
      saving: undefined,
      wake: new AbortController(),
      isTouched: false,
    };
    all.set(id, held);
    return held;
  };
  /** Writes the newest state; calls while one write waits for its turn share it. */
  const save = (held: Held): Promise<void> => {
    held.saving ??= held.saved.then(async () => {
      held.saving = undefined;
      // After the end another process may have taken the thread over: what comes late is its to find out.
      if (held.thread === undefined || isClosed) return;
      await store.write(held.thread).catch((error: unknown) => {
        warn(`what is to be sent cannot be kept on disk: ${messageOf(error)}`);
      });
    });
    held.saved = held.saving;
    return held.saved;
  };
  /** Of all threads, until none is written any more: one that waits for its turn must not find the outbox closed. */
  const written = async (): Promise<void> => {
    const saves = new Set([...all.values()].map(({ saved }) => saved));
    await Promise.all(saves);
    if ([...all.values()].some(({ saved }) => !saves.has(saved))) await written();
  };
  const change = (about: Subject, apply: Change): void => {
    const id = subjectId(about);
    const held = heldOf(id);
    if (held.thread === undefined) held.pending.push(apply);
    else {
      const next = apply(held.thread);
      if (next !== undefined && next !== held.thread) {
        held.thread = next;
        void save(held);
      }
    }
    held.isTouched = true;
    held.wake.abort();
    kick(id, held);
  };
  const kick = (id: string, held: Held): void => {
    if (stop.signal.aborted) return;
    held.pump ??= pump(id, held, true)
      .catch((error: unknown) => warn(messageOf(error)))
      .finally(() => {
        held.pump = undefined;
        if (held.isTouched && all.get(id) === held) kick(id, held);
      });
  };
  const pause = async (held: Held, ms: number): Promise<void> => {
    held.wake = new AbortController();
    await clock.sleep(ms, AbortSignal.any([held.wake.signal, stop.signal])).catch(() => undefined);
  };

  /** True once this process may send the thread, with what was stored and what was changed meanwhile in `held.thread`. */
  const own = async (id: string, held: Held): Promise<boolean> => {
    if (!(await store.claim(id))) return false;
    const stored = await store.read(id);
    let thread = stored === undefined ? undefined : recovered(stored);
    for (const apply of held.pending.splice(0)) thread = apply(thread) ?? thread;
    if (thread !== undefined && thread.to === to) {
      held.thread = thread;
      if (thread !== stored) await save(held);
    } else await store.release(id);
    return true;
  };
  /** Until the thread rests. `isOurs`: what this process tells is waited for; what others have left is left again. */
  const pump = async (id: string, held: Held, isOurs: boolean): Promise<void> => {
    while (!stop.signal.aborted) {
      held.isTouched = false;
      if (held.thread === undefined && !(await own(id, held))) {
        if (!isOurs) break;
        await pause(held, CLAIM_AGAIN_MS);
        continue;
      }
      if (held.thread === undefined) break;
      const step = decide(held.thread, clock.now(), can);
      if (step.kind === "send") await send(held, step.key, step.how);
      else if (step.kind === "wait" && isOurs) await pause(held, step.untilMs - clock.now());
      else if (isOurs && held.thread.message.content.state === "running") return;
      else {
        await held.saved;
        if (held.isTouched) continue;
        // From here on a change begins anew, with a claim of its own.
        all.delete(id);
        held.thread = undefined;
        await store.release(id);
        return;
      }
    }
    if (held.thread === undefined && held.pending.length === 0) all.delete(id);
  };

  const send = async (held: Held, key: string, how: How): Promise<void> => {
    const before = held.thread as Thread;
    held.thread = withPart(before, begun(partOf(before, key) as AnyPart, clock.now()));
    await save(held);
    const part = partOf(held.thread, key) as AnyPart;
    const outcome = await attempt(held.thread, part, how);
    // The content may be newer by now; what was sent is in `sending`.
    const now = held.thread;
    const after = settled(partOf(now, key) as AnyPart, how, outcome, clock.now());
    held.thread = withPart(now, after);
    await save(held);
    if (after.problem !== undefined) warn(after.problem);
  };
  /** Of a claimed one. */
  const drop = async (id: string): Promise<void> => {
    const thread = await store.read(id);
    if (thread !== undefined && !isDone(thread, can))
      warn(
        `the message of ${id} was never delivered (${thread.message.problem ?? "no answer"}) and is dropped after a week`,
      );
    await store.remove(id);
  };
  const attempt = async (thread: Thread, part: AnyPart, how: How): Promise<Outcome> => {
    try {
      if (how === "find") return await transport.find(thread, part);
      if (how === "edit") return await transport.edit(thread, part);
      return await transport.post(thread, part, noteFor(part, how, clock.now()));
    } catch (error) {
      return { kind: "unknown", reason: messageOf(error) };
    }
  };

  return {
    name: transport.name,
    show: (about, message, at = clock.now()) =>
      change(about, (thread) => withMessage(thread, about, to, message, at)),
    add: (about, key, detail) =>
      change(about, (thread) =>
        thread === undefined ? undefined : withDetail(thread, key, detail, clock.now()),
      ),
    async settle(atMostMs) {
      const timer = new AbortController();
      let isLate = false;
      const limit = clock.sleep(atMostMs, timer.signal).then(
        () => {
          isLate = true;
        },
        () => undefined,
      );
      await Promise.race([
        limit,
        (async () => {
          for (;;) {
            const pumps = [...all.values()].flatMap(({ pump }) => (pump === undefined ? [] : [pump]));
            if (pumps.length === 0) return;
            await Promise.allSettled(pumps);
          }
        })(),
      ]);
      timer.abort();
      if (isLate)
        warn("not everything was sent in time; the next slipway command, or slipway serve, sends the rest");
      stop.abort();
      await written();
      isClosed = true;
      for (const id of all.keys()) await store.release(id).catch(() => undefined);
      all.clear();
    },
    async drain() {
      for (const [id, { isOurs, isOpen, createdAt }] of await index.look()) {
        if (stop.signal.aborted) return;
        if (!isOurs || all.has(id)) continue;
        if (clock.now() - createdAt > KEEP_MS && (await store.claim(id))) {
          await drop(id);
          continue;
        }
        if (!isOpen) continue;
        const held = heldOf(id);
        held.pump = pump(id, held, false);
        await held.pump.catch((error: unknown) => warn(messageOf(error)));
        held.pump = undefined;
        if (held.isTouched && all.get(id) === held) kick(id, held);
      }
    },
    async known(about) {
      const id = subjectId(about);
      return all.get(id)?.thread ?? (await store.read(id));
    },
    async adopt(thread) {
      if (all.has(thread.id) || !(await store.claim(thread.id))) return;
      if ((await store.read(thread.id)) === undefined) await store.write(thread);
      await store.release(thread.id);
    },
    async waiting() {
      let count = 0;
      for (const [id, { isOurs, isOpen }] of await index.look()) {
        const held = all.get(id)?.thread;
        if (isOurs && (held === undefined ? isOpen : !isDone(held, can))) count += 1;
      }
      return count;
    },
  };
}

function noteFor(part: AnyPart, how: How, now: number): string | undefined {
  const at = new Date(part.saidAt).toISOString().slice(0, 16).replace("T", " ");
  if (how === "repeat")
    return "(repeated: an earlier sending was not confirmed, so this may stand here twice)";
  return now - part.saidAt > LATE_AFTER_MS ? `(late: this was to be told at ${at} UTC)` : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
