/** The resolved configuration: what every part of Slipway reads, after defaults, environment and checks. */
import type { LocalRegistryConfig } from "./local-registry.ts";
import type { ObserveConfig } from "./observe.ts";
import type { PreflightSeverities } from "./preflight-checks.ts";

export interface ImageSourceConfig {
  readonly name: string;
  readonly from:
    | {
        readonly kind: "context";
        /** `context` and `dockerfile` are absolute. */
        readonly context: string;
        readonly dockerfile: string;
        readonly args: Readonly<Record<string, string>>;
        /** Stage to build; the last one when undefined. */
        readonly target?: string | undefined;
        /** What `RUN --mount=type=secret` may read, by id; files are absolute. */
        readonly secrets?: Readonly<Record<string, BuildSecret>> | undefined;
        /** For commands of the build; the host's when undefined. */
        readonly network?: "host" | "none" | undefined;
      }
    /** A Node service without a Dockerfile. */
    | {
        readonly kind: "node";
        /** With its package.json; absolute. */
        readonly folder: string;
        readonly base: string | undefined;
        readonly command: readonly string[] | undefined;
        readonly env: Readonly<Record<string, string>>;
      }
    | { readonly kind: "ref"; readonly ref: string }
    | { readonly kind: "archive"; readonly archive: string }
    /** A program that leaves an archive (docker save or OCI layout) at `$SLIPWAY_ARCHIVE`. */
    | { readonly kind: "command"; readonly command: readonly string[] };
}

export type BuildSecret = { readonly file: string } | { readonly env: string };

export type ClusterConfig =
  | { readonly kind: "local"; readonly name: string }
  | {
      readonly kind: "context";
      readonly name: string;
      readonly context: string;
      /** Pinned: the UID of the cluster's `kube-system` Namespace. */
      readonly uid?: string | undefined;
    };

export interface ReleaseConfig {
  readonly waves: readonly (readonly string[])[];
  readonly bakeMs: number;
  readonly onFailure: "rollback-all" | "rollback-wave" | "halt";
  /** Releases kept in the clusters. */
  readonly keep: number;
  /** Beside `waves`: what a wave has of its own. Its gates replace `gates`. */
  readonly waveSettings?: readonly WaveConfig[] | undefined;
  /** Asked after the bake of every wave that has none of its own. */
  readonly gates?: readonly GateConfig[] | undefined;
  /** Absent: `fail`. */
  readonly unreachable?: "fail" | "skip" | "requeue" | undefined;
  /** A cluster that does not answer for this long is `unknown`. Absent: 60 s. */
  readonly unreachableAfterMs?: number | undefined;
  readonly requeueForMs?: number | undefined;
  readonly hooks?: readonly HookConfig[] | undefined;
}

export interface WaveConfig {
  readonly bakeMs?: number | undefined;
  /** Clusters of the wave that may be on their way at a time. */
  readonly maxParallel?: number | undefined;
  readonly gates?: readonly GateConfig[] | undefined;
}

interface GateTimes {
  /** Shown, logged and stored; unique within a wave. */
  readonly name: string;
  /** A gate that has not passed by then has failed. */
  readonly timeoutMs: number;
}

/** What must hold after a wave's bake before the next one begins. */
export type GateConfig =
  | (GateTimes & {
      readonly kind: "http";
      readonly url: string;
      readonly status: number;
      /** Text that the body must contain. */
      readonly body?: string | undefined;
      /** Headers that must be there, by name; an empty value asks for the header alone. */
      readonly headers: Readonly<Record<string, string>>;
      /** Good answers in a row that are asked for. */
      readonly attempts: number;
      readonly intervalMs: number;
    })
  | (GateTimes & {
      readonly kind: "error-ratio";
      /** Service of the edge, or the Deployment that collectors name; all that were asked when undefined. */
      readonly service?: string | undefined;
      /** The new release's ratio of 5xx may be this much above that of the release before, 0 to 1. */
      readonly maxIncrease: number;
      /** Requests to the new release below which nothing is concluded. */
      readonly minRequests: number;
      readonly tooFew: "fail" | "pass";
      /** Undefined: response times are not looked at. */
      readonly p95?:
        | {
            /** 0.5: up to one and a half times that of the release before. */
            readonly maxIncrease: number;
            /** What is slower by less than this is no difference. */
            readonly ignoreBelowMs: number;
          }
        | undefined;
    })
  | (GateTimes & {
      readonly kind: "prometheus";
      readonly url: string;
      readonly query: string;
      /** Like `< 0.01`, for every sample of the answer. */
      readonly expect: { readonly operator: "<" | "<=" | ">" | ">=" | "==" | "!="; readonly value: number };
      /** Name of the environment variable with a bearer token. */
      readonly tokenFrom: string;
      readonly noData: "fail" | "pass";
    })
  | (GateTimes & { readonly kind: "command"; readonly command: readonly string[] })
  | (GateTimes & { readonly kind: "approval" });

export interface HookConfig {
  readonly when: "before" | "after";
  readonly name: string;
  readonly timeoutMs: number;
  readonly onRollback: boolean;
  readonly run:
    | {
        readonly kind: "job";
        /** Absolute path of the manifest. */
        readonly file: string;
        readonly in: "first-cluster" | "each";
        /** Finished Jobs of this hook that stay in a cluster. */
        readonly keep: number;
      }
    | { readonly kind: "command"; readonly command: readonly string[] };
}

export type EdgeTarget =
  | {
      readonly kind: "service";
      readonly name: string;
      readonly namespace: string;
      readonly port: number | string;
      /** HTTP path of the edge's active check; a TCP connect when absent. */
      readonly health: string | undefined;
    }
  /** `from` is a folder, absolute after resolution. */
  | { readonly kind: "bucket"; readonly name: string; readonly from: string };

export interface EdgeConfig {
  readonly hosts: readonly string[];
  /** In order of match: longest path first. Path patterns are `/prefix/*` or an exact `/path`. */
  readonly routes: readonly { readonly path: string; readonly target: EdgeTarget }[];
  /** Local port; 0 takes a free one. */
  readonly port: number;
  /** Endpoints to try after the first one failed; 0 turns retries off. */
  readonly retries: number;
  /** How long requests in flight may go on after their endpoint has left. */
  readonly drainMs: number;
}

/** What is set for Slack, in the configuration or the environment; whether that is enough: `notify/notify.ts`. */
export interface SlackConfig {
  readonly channel?: string;
  /** From SLACK_WEBHOOK_URL / SLACK_BOT_TOKEN; never printed. */
  readonly webhookUrl?: string;
  readonly botToken?: string;
  /** From SLACK_SIGNING_SECRET / SLACK_APP_TOKEN: somebody listens to buttons, over HTTP or Socket Mode. */
  readonly signingSecret?: string;
  readonly appToken?: string;
  /** Mail address or git name of an author → Slack user id. */
  readonly mentions?: Readonly<Record<string, string>>;
  /** Who may press buttons: the members of the channel, or these Slack user ids. Absent: the channel. */
  readonly allow?: "channel" | readonly string[];
  /** For tests and proxies. */
  readonly apiUrl?: string;
}

/** A folder with a kustomization; absolute after resolution. */
export interface KustomizeSource {
  readonly kustomize: string;
}

export interface HelmSource {
  readonly helm: {
    /** A folder relative to the root, an archive, `repo/name` or `oci://…`: as `helm template` takes it. */
    readonly chart: string;
    /** Default: the service's name. */
    readonly release?: string | undefined;
    /** Files, as they are written: relative to the root. */
    readonly values?: readonly string[] | undefined;
    readonly set?: Readonly<Record<string, string | number | boolean>> | undefined;
    /** Default: that of the environment. */
    readonly namespace?: string | undefined;
  };
}

/** A text is a file or folder of plain YAML, or a folder with a kustomization; absolute. */
export type ManifestSource = string | KustomizeSource | HelmSource;

export interface Config {
  readonly name: string;
  /** Folder of slipway.config.ts, absolute; relative paths have been resolved against it. */
  readonly root: string;
  readonly environment: string;
  readonly isLocal: boolean;
  readonly namespace: string;
  readonly images: readonly ImageSourceConfig[];
  readonly manifests: readonly ManifestSource[];
  /** Absolute files or folders. */
  readonly patches: readonly string[];
  readonly clusters: readonly ClusterConfig[];
  /** `host/prefix` to push to; undefined is the embedded registry. */
  readonly registry: string | undefined;
  /** Image named by a FROM line → what is used in its place. */
  readonly bases: Readonly<Record<string, string>>;
  readonly allowHostBases: readonly string[];
  /** `linux/arm64`: what images are built for; undefined: for this machine. */
  readonly platforms: readonly string[] | undefined;
  readonly release: ReleaseConfig;
  /** Codes whose severity was changed. */
  readonly preflight: PreflightSeverities;
  readonly edge: EdgeConfig | undefined;
  readonly verify: readonly string[];
  readonly notify: { readonly slack: SlackConfig | undefined };
  readonly egress: Readonly<Record<string, string>>;
  readonly localRegistry: LocalRegistryConfig;
  /** Undefined when it is turned off. */
  readonly observe: ObserveConfig | undefined;
}
