/**
 * What an API server does with a request before and after the store: names, defaults, admission, validation,
 * generation, managed fields, finalizers, graceful deletion, subresources. One synchronous implementation serves
 * the HTTP server, the memory client, the real-time driver and the simulated world.
 *
 * All methods throw StatusErrors worded as Kubernetes words them. `dryRun` runs everything and stores nothing.
 */
import type {
  DeleteOptions,
  ListOptions,
  ObjectRef,
  PatchType,
  TypeRef,
  WriteOptions,
} from "../client/client.ts";
import type { KubeList, KubeObject } from "../resources/meta.ts";
import type { Store } from "../store/store.ts";

export interface ApiWriteOptions extends WriteOptions {
  readonly subresource?: "status" | "scale" | "binding" | "eviction" | "finalize";
  /** What a Scale is about, when one is replaced: it does not say itself. */
  readonly scaleTarget?: TypeRef;
  /**
   * What strict decoding found in the text that was sent and the parsed object no longer shows, like `duplicate field
   * "spec.replicas"`: an error or a warning by `fieldValidation`, as unknown fields are.
   */
  readonly duplicateFields?: readonly string[];
}

export interface Api {
  readonly store: Store;
  get(ref: ObjectRef, options?: { readonly subresource?: "scale" | "status" }): KubeObject;
  list(type: TypeRef, options?: ListOptions): KubeList;
  /** With subresource `binding` or `eviction` the object is a Binding or Eviction, and the pod is returned. */
  create(object: KubeObject, options?: ApiWriteOptions): KubeObject;
  replace(object: KubeObject, options?: ApiWriteOptions): KubeObject;
  patch(ref: ObjectRef, type: PatchType, body: unknown, options?: ApiWriteOptions): KubeObject;
  apply(
    object: KubeObject,
    options: ApiWriteOptions & { readonly fieldManager: string; readonly force?: boolean },
  ): KubeObject;
  /** The object while its deletion is in progress (grace, finalizers), undefined once it is gone. */
  delete(ref: ObjectRef, options?: DeleteOptions): KubeObject | undefined;
  /** Warnings (fieldValidation=Warn, deprecated fields) of the last call, for the Warning header. */
  takeWarnings(): readonly string[];
}
