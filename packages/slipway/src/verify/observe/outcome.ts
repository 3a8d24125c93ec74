/** What came of a check: the judgement, and how and how long it was looked for. */
import { SlipwayError } from "@slipway/base";
import { type Check, type Judgement, unknown } from "../check.ts";
import type { Unseen } from "../engines/engine.ts";
import { Blind } from "../packages/database.ts";
import type { Source } from "../plan.ts";

export interface Outcome {
  readonly judgement: Judgement;
  readonly from: Source | "nothing";
  readonly attempts: number;
  /** From the first look to the last, in milliseconds. */
  readonly durationMs: number;
  /** Digest of the image it was seen in. */
  readonly digest?: string | undefined;
  /** For people: what it was observed in, `exec in web`. */
  readonly where?: string;
  /** Sentences about the cause, nearest first. */
  readonly why?: readonly string[];
  /** How long a command took itself, with its exit code: `exit 0 · 38 ms`. */
  readonly cost?: string;
}

export type Outcomes = Map<Check, Outcome>;

/** Thrown by observers for what an engine cannot show. */
export class NotSeen extends Blind {
  readonly remedy: string | undefined;
  constructor({ unseen, remedy }: Unseen) {
    super(unseen);
    this.remedy = remedy;
  }
}

/** A judge that throws could not see: damaged layer, unreadable file. That is unknown, not a crash of the run. */
export async function judgeSafely(judge: () => Judgement | Promise<Judgement>): Promise<Judgement> {
  try {
    return await judge();
  } catch (error) {
    if (error instanceof NotSeen) return unknown(error.message, error.remedy);
    if (error instanceof Blind) return unknown(error.message);
    // An engine that fails is one error for the whole run (exit 3).
    if (error instanceof SlipwayError && !/^ENGINE_/.test(error.code)) return unknown(error.message);
    throw error;
  }
}
