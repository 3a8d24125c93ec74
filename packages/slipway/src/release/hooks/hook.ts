/** Hooks as data: a Job in a cluster or a program here, before the first change or after the last wave. */
import type { AnyObject } from "@slipway/kube";
import type { Cause } from "../judge/causes.ts";

/** Rendered: with the release's images, and stored with it, so that a rollback needs no file. */
export interface Hook {
  readonly name: string;
  readonly when: "before" | "after";
  readonly timeoutMs: number;
  readonly onRollback: boolean;
  readonly run:
    | {
        readonly kind: "job";
        /** Its name gets the release's number when it is created. */
        readonly job: AnyObject;
        /** Where its manifest was, relative to the configuration; absent in old records. */
        readonly file?: string | undefined;
        readonly in: "first-cluster" | "each";
        readonly keep: number;
      }
    | { readonly kind: "command"; readonly command: readonly string[] };
}

/** One run of a hook; `cluster` is absent for a program. */
export interface HookRun {
  readonly cluster?: string | undefined;
  readonly outcome: "running" | "succeeded" | "failed" | "timed-out" | "cancelled";
  readonly job?: string | undefined;
  readonly cause?: Cause | undefined;
  readonly startedAt: number;
  readonly finishedAt?: number | undefined;
}

/** As stored with the release. */
export interface HookRecord {
  readonly hook: Hook;
  readonly runs: readonly HookRun[];
}
