/**
 * The port to a cluster's API: what release, edge and verify speak, whatever stands behind it. Adapters: `memory`
 * (over the store, in this process), `http` (any API server). Every adapter runs the cases of `cases.ts`.
 *
 * All methods reject with a StatusError carrying the server's Status; a server that cannot be reached rejects with
 * SlipwayError code CLUSTER_UNREACHABLE.
 */
import type { Duplex } from "node:stream";
import type { KubeList, KubeObject } from "../resources/meta.ts";

/** What a request is about; the plural is found by discovery. */
export interface TypeRef {
  readonly apiVersion: string;
  readonly kind: string;
}

export interface ObjectRef extends TypeRef {
  readonly name: string;
  /** Absent for cluster-scoped objects. */
  readonly namespace?: string | undefined;
}

export interface ListOptions {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: "Exact" | "NotOlderThan";
}

export interface WatchOptions extends Omit<ListOptions, "limit" | "continue"> {
  readonly signal?: AbortSignal;
  readonly allowBookmarks?: boolean;
  readonly timeoutSeconds?: number;
}

export interface ClientWatchEvent<T extends KubeObject = KubeObject> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: T;
}

export interface WriteOptions {
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  readonly fieldValidation?: "Strict" | "Warn" | "Ignore";
}

export type PatchType = "json" | "merge" | "strategic";

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: boolean;
}

export interface LogOptions {
  readonly container?: string;
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly tailLines?: number;
  readonly sinceSeconds?: number;
  readonly sinceTime?: string;
  readonly timestamps?: boolean;
  readonly limitBytes?: number;
  readonly signal?: AbortSignal;
}

export interface ExecOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface KubeClient {
  /** Name for messages: the configured cluster. */
  readonly name: string;
  version(): Promise<{ readonly gitVersion: string; readonly major: string; readonly minor: string }>;
  /** Whether the API server has this kind in this version, by its own discovery. */
  serves(type: TypeRef): Promise<boolean>;
  /** Throws NotFound. */
  get<T extends KubeObject = KubeObject>(ref: ObjectRef): Promise<T>;
  list<T extends KubeObject = KubeObject>(type: TypeRef, options?: ListOptions): Promise<KubeList<T>>;
  /**
   * Events after `resourceVersion` (from a list). Ends when the server closes the stream or `signal` aborts;
   * throws a StatusError 410 when the version is too old: list again.
   */
  watch<T extends KubeObject = KubeObject>(
    type: TypeRef,
    options?: WatchOptions,
  ): AsyncIterable<ClientWatchEvent<T>>;
  create<T extends KubeObject>(object: T, options?: WriteOptions): Promise<T>;
  /** PUT; `subresource: "status"` changes the status alone. */
  replace<T extends KubeObject>(
    object: T,
    options?: WriteOptions & { readonly subresource?: string },
  ): Promise<T>;
  patch<T extends KubeObject = KubeObject>(
    ref: ObjectRef,
    type: PatchType,
    body: unknown,
    options?: WriteOptions & { readonly subresource?: string },
  ): Promise<T>;
  /** Server-side apply. Conflicts reject with 409 and causes of reason FieldManagerConflict unless `force`. */
  apply<T extends KubeObject>(
    object: T,
    options: WriteOptions & { readonly fieldManager: string; readonly force?: boolean },
  ): Promise<T>;
  delete(ref: ObjectRef, options?: DeleteOptions): Promise<void>;
  /** Raw log bytes as they come. */
  logs(
    pod: { readonly namespace: string; readonly name: string },
    options?: LogOptions,
  ): AsyncIterable<Uint8Array>;
  exec(
    pod: { readonly namespace: string; readonly name: string },
    options: {
      readonly container?: string;
      readonly command: readonly string[];
      readonly stdin?: string;
      readonly signal?: AbortSignal;
    },
  ): Promise<ExecOutcome>;
  /**
   * A connection to a port that something in the pod listens on. That nothing does is told by the stream, which then
   * ends with CLUSTER_PORT_FORWARD_FAILED.
   */
  portForward(
    pod: { readonly namespace: string; readonly name: string },
    port: number,
    options?: { readonly signal?: AbortSignal },
  ): Promise<Duplex>;
  close(): Promise<void>;
}
