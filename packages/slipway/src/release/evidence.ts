import type { Cause } from "./causes.ts";

/** What was seen when a cluster failed, kept with the release: taken before anything is rolled back. */
export interface Evidence {
  readonly cluster: string;
  readonly cause: Cause;
  readonly takenAt: number;
  /** At most 10, newest last, equal ones counted. */
  readonly events: readonly {
    readonly reason: string;
    readonly type: string;
    readonly count: number;
    readonly message: string;
    readonly about: string;
  }[];
  readonly exit?:
    | {
        readonly exitCode: number;
        readonly signal?: number | undefined;
        readonly reason?: string | undefined;
        readonly message?: string | undefined;
        readonly memoryLimit?: string | undefined;
      }
    | undefined;
  /** The log of the container that died; `head` and `tail` do not overlap, `omittedLines` lie between. */
  readonly log?:
    | {
        readonly container: string;
        readonly previous: boolean;
        readonly head: readonly string[];
        readonly omittedLines: number;
        readonly tail: readonly string[];
      }
    | undefined;
  /** What could not be had, and why. */
  readonly gaps: readonly string[];
}
