/**
 * The nouns of a release: what is rendered from the config, what is stored in the clusters, what a run returns.
 *
 * A release is one object across all clusters. Its record is kept in every cluster it goes to, complete, so that
 * any one of them can answer "what ran before" and give it back. All times are milliseconds since the epoch.
 */
import type { Clock, ProcessIdentity, Random } from "@slipway/base";
import type { AnyObject, KubeClient } from "@slipway/kube";
import type { PreflightSeverities } from "../config/preflight-checks.ts";
import type { ReleaseConfig } from "../config/types.ts";
import type { Evidence } from "./evidence/evidence.ts";
import type { GatePorts, GateRecord } from "./gates/gate.ts";
import type { HookRecord } from "./hooks/hook.ts";
import type { Cause } from "./judge/causes.ts";

/** One cluster that a release goes to. The name is the one of the config and is what people read. */
export interface Target {
  readonly name: string;
  readonly client: KubeClient;
  /** How it is reached, for people: `context gke_shop at https://34.84.1.2`. Undefined for a local cluster. */
  readonly place?: string | undefined;
  /** Undefined for a local cluster. */
  readonly written?: WrittenCluster | undefined;
}

/** A cluster as the configuration has it. */
export interface WrittenCluster {
  /** `slipway.config.ts/environments/production/clusters/tokyo` */
  readonly where: string;
  readonly context: string;
  /** The identity it must have, whatever was released there before: the UID of its `kube-system` Namespace. */
  readonly pin: string | undefined;
}

/** Does the registry still hold this image? `reference` is `host/repository:tag@sha256:…`. */
export interface ImageCheck {
  exists(reference: string, signal?: AbortSignal): Promise<"exists" | "missing" | "unknown">;
  /** `linux/amd64`, `linux/arm64/v8`, … of an index or of a single image; undefined when it cannot be asked. */
  platforms?(reference: string): Promise<readonly string[] | undefined>;
}

/** Everything a release needs from outside; the CLI builds it. The process that runs it is the one in its locks. */
export interface ReleaseContext extends ProcessIdentity {
  readonly service: string;
  readonly namespace: string;
  readonly environment: string;
  readonly targets: readonly Target[];
  readonly clock: Clock;
  readonly random: Random;
  /** Who runs it, for people: `aki`. */
  readonly who: string;
  /** Where it runs: `cli`, `ci`, `slack`, with a URL where there is one. */
  readonly from: string;
  readonly release: ReleaseConfig;
  readonly images?: ImageCheck | undefined;
  /** Severities of preflight findings that differ from the checks' own. */
  readonly preflight?: PreflightSeverities | undefined;
  /** False when the process that holds a lock is known to be gone; undefined when unknown. */
  readonly isHolderAlive?: ((holder: ProcessIdentity) => boolean | undefined) | undefined;
  /** A cluster that does not answer for this long is `unknown`. Default 60 s. */
  readonly unreachableAfterMs?: number | undefined;
  /** What gates and hooks need from outside. */
  readonly gates?: GatePorts | undefined;
  /** How a read-only command names a cluster: `kubectl --context gke_…`. Default: `kubectl --context NAME`. */
  readonly kubectl?: ((cluster: string) => string) | undefined;
}

export interface VersionInfo {
  readonly commit: string;
  readonly message: string;
  readonly author: string;
  /** The author's mail address, as git has it; absent in old records. */
  readonly email?: string | undefined;
  readonly dirty: boolean;
}

export interface ReleaseImage {
  readonly name: string;
  readonly digest: string;
  /** `host/repository:tag@sha256:…` */
  readonly reference: string;
}

/** What will be applied, the same in every cluster, in the order of the apply. */
export interface RenderedRelease {
  readonly version: VersionInfo;
  readonly images: readonly ReleaseImage[];
  readonly objects: readonly AnyObject[];
  /** `sha256:…` over the objects: two releases with the same content change nothing when one follows the other. */
  readonly content: string;
  readonly warnings: readonly string[];
  /** Not run yet. */
  readonly hooks?: readonly HookRecord[] | undefined;
}

/** `unknown`: the cluster could not be asked. Never a success, never counted as rolled back. */
export type Verdict = "healthy" | "failed" | "unknown" | "not-started";

export interface ClusterRecord {
  readonly verdict: Verdict;
  /** What it is at while the release runs; `done` at the end. */
  readonly step: "pending" | "applying" | "judging" | "baking" | "restoring" | "done";
  /** The release whose objects are in the cluster now; undefined when this release changed nothing here. */
  readonly runs?: number | undefined;
  readonly startedAt?: number | undefined;
  readonly finishedAt?: number | undefined;
  readonly cause?: Cause | undefined;
  /** Why it is `unknown`; or why it was not started, when it was away at first and then found unfit for the release. */
  readonly reason?: string | undefined;
  /** How going back went, when it was tried. A failure here never hides `cause`. */
  readonly restored?: { readonly to: number; readonly ok: boolean; readonly reason?: string } | undefined;
}

/**
 * `healthy` every cluster confirmed · `failed` a cluster failed and at least one still runs it (halt, or nothing to
 * go back to, or going back failed) · `rolled-back` failed and every touched cluster confirmed the release before ·
 * `unknown` no cluster failed but one could not be asked, or came back unfit for it · `interrupted` the process died or was stopped.
 */
export type Outcome = "in-progress" | "healthy" | "failed" | "rolled-back" | "unknown" | "interrupted";

export interface ReleaseRecord {
  readonly number: number;
  readonly service: string;
  readonly namespace: string;
  readonly environment: string;
  readonly kind: "deploy" | "rollback";
  /** For a rollback: the release it restores and the one it leaves. */
  readonly restores?: number | undefined;
  readonly leaves?: number | undefined;
  /** For a rollback of some clusters alone: their names. The others kept what they had. */
  readonly only?: readonly string[] | undefined;
  /** Where it goes back to when it fails, for whoever goes on with it. */
  readonly backTo?: number | undefined;
  readonly outcome: Outcome;
  readonly version: VersionInfo;
  readonly images: readonly ReleaseImage[];
  readonly objects: readonly AnyObject[];
  readonly content: string;
  readonly waves: readonly (readonly string[])[];
  readonly clusters: Readonly<Record<string, ClusterRecord>>;
  readonly who: string;
  readonly from: string;
  readonly startedAt: number;
  readonly finishedAt?: number | undefined;
  /** Digests and contents that this release showed to be bad: not to be deployed or rolled back to again. */
  readonly held: readonly string[];
  /** Which of `held` are not this release's own, but were put there by somebody: `slipway release hold`. */
  readonly heldByHand?: readonly HandHold[] | undefined;
  /** Which of `held` were set by releases that have left the history since: a hold ends when it is lifted, not with its record. */
  readonly heldBefore?: readonly Hold[] | undefined;
  /** Each time it was cut off and somebody went on with it: `slipway deploy --resume`. */
  readonly resumes?: readonly Resumption[] | undefined;
  /** Whose lock was taken for it, one entry for each cluster: the audit of `rollback --steal-lock`. */
  readonly stolenLocks?: readonly StolenLock[] | undefined;
  readonly evidence: readonly Evidence[];
  /** Every gate that was asked, with the values it compared. */
  readonly gates?: readonly GateRecord[] | undefined;
  readonly hooks?: readonly HookRecord[] | undefined;
  /** Waves, bakes, gates and what a failure means, where they were agreed on with a plan: whoever goes on keeps to them. */
  readonly policies?: ReleaseConfig | undefined;
  /** UID of the `kube-system` Namespace of every cluster known then, by the cluster's name; see `identity.ts`. */
  readonly identities?: Readonly<Record<string, string>> | undefined;
  /** Fencing token of the lock it was written under, and the count of writes: the higher pair is the newer copy. */
  readonly fence: number;
  readonly revision: number;
}

export type Hold = {
  /** A digest, or a content. */
  readonly what: string;
  /** Which of both, for people: `image web`, `release 3 as a whole`. Undefined where no record carries it. */
  readonly name?: string | undefined;
  /** The number of the release whose record keeps it. */
  readonly by: number;
  /** Since when. */
  readonly at: number;
} & (
  | { /** It failed and was taken back: nobody had to decide. */ readonly reason: "failed" }
  | { /** Somebody rolled back from it. */ readonly reason: "rolled-back"; readonly who: string }
  | {
      /** Somebody said so. */
      readonly reason: "by-hand";
      /** Undefined where a record does not tell. */
      readonly who: string | undefined;
      readonly message: string;
    }
);

export interface HandHold {
  /** Digests and contents. */
  readonly what: readonly string[];
  readonly at: number;
  readonly who: string;
  /** Why; empty when nobody said. */
  readonly message: string;
}

export interface Resumption {
  readonly at: number;
  readonly who: string;
  readonly from: string;
  /** Where it had been cut off, as a sentence. */
  readonly found: string;
}

export interface StolenLock {
  readonly cluster: string;
  readonly at: number;
  /** `mio@laptop (process 4711)` */
  readonly holder: string;
  readonly message: string;
  readonly since: number;
}

export interface ClusterResult {
  readonly name: string;
  readonly verdict: Verdict;
  readonly cause: Cause | undefined;
  readonly reason: string | undefined;
  readonly restored: ClusterRecord["restored"];
  readonly durationMs: number | undefined;
}

export interface ReleaseResult {
  readonly record: ReleaseRecord;
  readonly clusters: readonly ClusterResult[];
  readonly evidence: readonly Evidence[];
  readonly durationMs: number;
  /** 0 all confirmed · 1 failed or only partly confirmed · 4 only `unknown` · 130 interrupted. */
  readonly exitCode: number;
}
