/** The resolved configuration: what every part of Slipway reads, after defaults, environment and checks. */
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
      }
    | { readonly kind: "ref"; readonly ref: string }
    | { readonly kind: "archive"; readonly archive: string }
    /** A program that leaves an archive (docker save or OCI layout) at `$SLIPWAY_ARCHIVE`. */
    | { readonly kind: "command"; readonly command: readonly string[] };
}

export type ClusterConfig =
  | { readonly kind: "local"; readonly name: string }
  | { readonly kind: "context"; readonly name: string; readonly context: string };

export interface ReleaseConfig {
  readonly waves: readonly (readonly string[])[];
  readonly bakeMs: number;
  readonly onFailure: "rollback-all" | "rollback-wave" | "halt";
  /** Releases kept in the clusters. */
  readonly keep: number;
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

export interface SlackConfig {
  readonly channel?: string;
  /** From SLACK_WEBHOOK_URL / SLACK_BOT_TOKEN; never printed. */
  readonly webhookUrl?: string;
  readonly botToken?: string;
  /** For tests and proxies. */
  readonly apiUrl?: string;
}

export interface Config {
  readonly name: string;
  /** Folder of slipway.config.ts, absolute; relative paths have been resolved against it. */
  readonly root: string;
  readonly environment: string;
  readonly isLocal: boolean;
  readonly namespace: string;
  readonly images: readonly ImageSourceConfig[];
  /** Absolute files or folders. */
  readonly manifests: readonly string[];
  readonly patches: readonly string[];
  readonly clusters: readonly ClusterConfig[];
  /** `host/prefix` to push to; undefined is the embedded registry. */
  readonly registry: string | undefined;
  /** Image named by a FROM line → what is used in its place. */
  readonly bases: Readonly<Record<string, string>>;
  readonly allowHostBases: readonly string[];
  readonly release: ReleaseConfig;
  /** Codes whose severity was changed. */
  readonly preflight: PreflightSeverities;
  readonly edge: EdgeConfig | undefined;
  readonly verify: readonly string[];
  readonly notify: { readonly slack: SlackConfig | undefined };
  readonly egress: Readonly<Record<string, string>>;
}
