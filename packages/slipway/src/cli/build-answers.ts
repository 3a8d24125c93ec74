/**
 * What a watching build says to those who ask for the same build beside it. It has all in memory, and may be building the very
 * change. An answer is of what was there when it was asked for: of a round that begins after that, or of one that has begun, if
 * nothing of what is watched changed between the two and git says the same as it did then. One that is over is none: what it
 * pushed or what it failed for may be another since, where nobody watches, and another build may have followed.
 */
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "@slipway/base";
import { failureOf } from "./failure.ts";
import type { Round } from "./run-on-change.ts";

/** What neither is watched nor known to git (a base's tag, a secret) may be so much older than the question. */
const JOINED_WITHIN_MS = 1000;

/** 1: standard output; 2: standard error. */
export type Stream = 1 | 2;

export interface Asker {
  /** Whole lines. */
  say(stream: Stream, text: string): void;
  end(exitCode: number): void;
  /** It has to build by itself. */
  leave(): void;
}

export interface AnswersPorts {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly isJson: boolean;
  /** What git says now, to be compared; undefined where that may not be built. */
  readonly look: () => Promise<unknown>;
  /** Makes another round, whether something changed or not. */
  readonly again: () => void;
}

interface Building {
  readonly round: Round;
  readonly startedAt: number;
  /** What git said; undefined where that may not be built. */
  readonly looked: Promise<unknown>;
  readonly said: { readonly stream: Stream; readonly text: string }[];
  readonly askers: Set<Asker>;
  hasRun: boolean;
  /** Begun in its place, before it ran. */
  next?: Building;
  /** Once it is over; undefined where it was broken off. */
  end?: { readonly exitCode: number | undefined };
}

export class BuildAnswers {
  readonly #ports: AnswersPorts;
  /** For the round that begins next. */
  #waiting: Asker[] = [];
  /** The last round that has begun. */
  #building: Building | undefined;

  constructor(ports: AnswersPorts) {
    this.#ports = ports;
  }

  /** Once all is heard that changed before. */
  async ask(asker: Asker): Promise<void> {
    const building = this.#building;
    if (building !== undefined && (await this.#isOfNow(building))) return join(building, asker);
    this.#waiting.push(asker);
    this.#ports.again();
  }

  /** Whether it is of what is there now. */
  async #isOfNow({ round, startedAt, looked, end }: Building): Promise<boolean> {
    const { clock, look } = this.#ports;
    if (end !== undefined || clock.monotonic() - startedAt > JOINED_WITHIN_MS) return false;
    if (round.isOutdated()) return false;
    const [now, then] = await Promise.all([look(), looked]);
    return now !== undefined && isDeepStrictEqual(now, then);
  }

  /** A round of what is there now, for all who asked until now. It may be begun once more before it runs. `looked`: what git says. */
  begin(round: Round, looked: Promise<unknown>): void {
    const before = this.#building;
    const dropped = before?.hasRun === false && before.end === undefined ? before : undefined;
    const askers = new Set([...(dropped?.askers ?? []), ...this.#waiting]);
    this.#waiting = [];
    const startedAt = this.#ports.clock.monotonic();
    this.#building = { round, startedAt, looked, said: [], askers, hasRun: false };
    if (dropped !== undefined) dropped.next = this.#building;
  }

  /** `body` is the round that has begun; what it says goes to all who asked. */
  async run(body: (say: (stream: Stream, text: string) => void) => Promise<number>): Promise<number> {
    const building = this.#building;
    if (building === undefined) throw new Error("no round has begun");
    building.hasRun = true;
    const say = (stream: Stream, text: string): void => {
      building.said.push({ stream, text });
      for (const asker of building.askers) asker.say(stream, text);
    };
    try {
      const exitCode = await body(say);
      finish(building, exitCode);
      return exitCode;
    } catch (error) {
      const { signal, isJson } = this.#ports;
      const { text, exitCode } = failureOf(error, isJson);
      if (!signal.aborted) say(isJson ? 1 : 2, text);
      finish(building, signal.aborted ? undefined : exitCode);
      throw error;
    }
  }

  /** There was no round to answer with. */
  leave(): void {
    for (const asker of this.#waiting) asker.leave();
    this.#waiting = [];
    if (this.#building?.hasRun === false) finish(this.#building, undefined);
  }
}

function join(begun: Building, asker: Asker): void {
  let building = begun;
  while (building.next !== undefined) building = building.next;
  for (const { stream, text } of building.said) asker.say(stream, text);
  building.askers.add(asker);
  if (building.end !== undefined) finish(building, building.end.exitCode);
}

function finish(building: Building, exitCode: number | undefined): void {
  building.end = { exitCode };
  for (const asker of building.askers) {
    if (exitCode === undefined) asker.leave();
    else asker.end(exitCode);
  }
  building.askers.clear();
}
