/**
 * Gates: what must hold after the bake of a wave before the next one begins. Each kind is a file of its own, its
 * decision pure; what it needs from outside comes through `GatePorts`. A gate says in one sentence what it found and
 * keeps the values that it compared, because a gate that let a bad release through has to be explained later.
 */
import type { Clock } from "@slipway/base";
import type { GateConfig } from "../../config/types.ts";

/** What a wave has of its own; by position beside the release's waves. */
export interface WaveSettings {
  readonly bakeMs: number | undefined;
  readonly maxParallel: number | undefined;
  readonly gates: readonly GateConfig[];
}

/**
 * `undecided`: it could not conclude (no data, too little traffic, nobody there to ask) and that counts as a failure;
 * `cancelled`: the wave failed, or the release was stopped, while it was asked.
 */
export type GateOutcome = "passed" | "failed" | "undecided" | "timed-out" | "cancelled";

export interface GateFinding {
  readonly outcome: GateOutcome;
  /** One sentence with the values compared. */
  readonly said: string;
  readonly values: Readonly<Record<string, string | number>>;
  /** What a command printed. */
  readonly lines?: readonly string[] | undefined;
  /** Who answered. */
  readonly by?: string | undefined;
}

/** As stored with the release. */
export interface GateRecord {
  readonly wave: number;
  readonly clusters: readonly string[];
  readonly name: string;
  readonly kind: GateConfig["kind"];
  readonly outcome: "waiting" | GateOutcome;
  readonly said: string;
  readonly values: Readonly<Record<string, string | number>>;
  readonly by?: string | undefined;
  readonly startedAt: number;
  readonly finishedAt?: number | undefined;
}

/** Requests that the pods of one ReplicaSet answered, since a moment that stays the same for a whole release. */
export interface ServedCount {
  readonly cluster: string;
  readonly service: string;
  readonly replicaSet: string;
  readonly requests: number;
  /** Answers of 500 and above; of the edge also its own, for those that never came. */
  readonly errors: number;
  /** Response times as a histogram (`observe/counts/histogram.ts`); absent where nobody measures them. */
  readonly times?: readonly number[] | undefined;
}

/** Who counts what the pods answer. */
export interface RequestCounter {
  /**
   * `edge`: since it started. What it had counted when a release begins has to be asked then.
   * `collectors`: of the clusters, since some time before the release began; they tell afterwards what came earlier.
   */
  readonly by: "edge" | "collectors";
  /** Rejects when nothing can be told at the moment, and when `signal` aborts. */
  readonly count: (question: {
    /** When the release began, ms. */
    readonly startedAt: number;
    readonly signal: AbortSignal;
  }) => Promise<CountedRequests>;
}

export interface CountedRequests {
  readonly counts: readonly ServedCount[];
  /** What of `counts` came before the release began; undefined where that cannot be told afterwards. */
  readonly before?: readonly ServedCount[] | undefined;
  /** Clusters of which nothing is in `counts`. */
  readonly missing: readonly MissingCluster[];
}

export interface MissingCluster {
  readonly cluster: string;
  /** A collector is there, and does not answer. */
  readonly isInstalled: boolean;
  readonly reason: string;
}

/** What gates and hooks need from outside. The CLI builds it; a part that is missing makes its gate undecided. */
export interface GatePorts {
  /** GET; rejects when nothing answers. Header names are in lower case. */
  readonly get: (
    url: string,
    options: { readonly headers?: Readonly<Record<string, string>>; readonly signal: AbortSignal },
  ) => Promise<HttpAnswer>;
  /** Runs a program to its end; rejects only when it cannot be started. */
  readonly run: (
    command: readonly string[],
    options: {
      readonly env: Readonly<Record<string, string>>;
      readonly signal: AbortSignal;
      readonly onLine: (line: string) => void;
    },
  ) => Promise<{ readonly exitCode: number }>;
  readonly variable: (name: string) => string | undefined;
  readonly served?: RequestCounter | undefined;
  /** Asks whoever sits at the terminal; undefined when the question was withdrawn. */
  readonly ask?:
    | ((question: string, signal: AbortSignal) => Promise<{ readonly approved: boolean } | undefined>)
    | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What every kind of gate is given while it is asked. */
export interface Asking {
  readonly clock: Clock;
  readonly ports: GatePorts;
  /** Aborts when the time is over or the answer is not wanted any more. */
  readonly signal: AbortSignal;
  /** Tells what is waited for; the last one is the sentence when the time is over. */
  readonly waiting: (said: string, values?: GateFinding["values"]) => void;
}
