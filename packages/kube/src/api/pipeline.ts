/**
 * The API: every request runs through here on its way to the store, in the order Kubernetes has:
 *
 *   decode strictly → defaults → managed fields → admission → strategy → addresses → validation → commit
 *
 * Synchronous from end to end, so there is nothing to lock: what a request reads is still true when it commits.
 * With `trusted` (the simulated world, where only our own controllers write) strictness, validation, managed fields
 * and the existence of namespaces are left out, and objects are not copied: that is where the time goes.
 */
import { assert, type Random } from "@slipway/base";
import type { DeleteOptions, ListOptions, ObjectRef, PatchType, TypeRef } from "../client/client.ts";
import { statusError } from "../client/status-error.ts";
import type { ConfigMap } from "../resources/cluster.ts";
import { apiVersionOf, type ResourceType, resourceTypeOf } from "../resources/kinds.ts";
import type { KubeList, KubeObject } from "../resources/meta.ts";
import type { Service } from "../resources/service.ts";
import type { Deployment, ReplicaSet } from "../resources/workload.ts";
import type { Store } from "../store/store.ts";
import { allocateAddresses, isAddressProblem } from "./addresses.ts";
import { admit, checkDeletable, checkNamespace } from "./admission.ts";
import type { Api, ApiWriteOptions } from "./api.ts";
import { isReleased, planDeletion } from "./deletion.ts";
import {
  alreadyExists,
  badRequest,
  conflict,
  invalidOptions,
  methodNotSupported,
  notFound,
  resourceNotFound,
  uidMismatch,
  versionRequired,
} from "./errors.ts";
import { EVENTS_BETWEEN_SWEEPS, outdatedEvents } from "./events.ts";
import { listObjects } from "./list.ts";
import { freeze, isSame, takeIn, timestamp, withMetadata } from "./object.ts";
import {
  applyPatch,
  decode,
  invalidField,
  requireDeclaredFields,
  requireValid,
  requireValidUpdate,
  serverSideApply,
  setDefaults,
  trackManagedFields,
} from "./rules.ts";
import { CONDITIONAL, hasStatus, prepareCreate, prepareUpdate } from "./strategy.ts";
import { bind, evictionOptions, requirePod, scaleOf, takeFromBudget, withScale } from "./subresources.ts";

export interface ApiOptions {
  readonly store: Store;
  /** Wall time in milliseconds since the epoch, for timestamps. */
  readonly now: () => number;
  /** For uids, generated names and addresses. */
  readonly random: Random;
  /** Leaves out what only foreign input needs. For the simulated world. */
  readonly trusted?: boolean;
  /** PEM of the cluster's certificate authority: what every namespace's ConfigMap `kube-root-ca.crt` holds. */
  readonly rootCertificate?: string;
}

/** Who makes the contents of a new namespace, in its managed fields. */
const FURNISHER = { fieldManager: "kube-controller-manager" };

/** The manager that `managedFields` names when a client says nothing. */
const UNKNOWN_MANAGER = "unknown";

export function createApi(options: ApiOptions): Api {
  return new SynchronousApi(options);
}

class SynchronousApi implements Api {
  readonly store: Store;
  readonly #now: () => number;
  readonly #random: Random;
  readonly #isTrusted: boolean;
  readonly #rootCertificate: string | undefined;
  #warnings: readonly string[] = [];
  #eventsSinceSweep = 0;

  constructor(options: ApiOptions) {
    this.store = options.store;
    this.#now = options.now;
    this.#random = options.random;
    this.#isTrusted = options.trusted ?? false;
    this.#rootCertificate = options.rootCertificate;
  }

  get(ref: ObjectRef, options: { readonly subresource?: "scale" | "status" } = {}): KubeObject {
    const object = this.#require(requireType(ref), ref.namespace, ref.name);
    return options.subresource === "scale" ? scaleOf(requireScalable(object)) : object;
  }

  list(ref: TypeRef, options: ListOptions = {}): KubeList {
    const type = requireType(ref);
    const { namespace: _namespace, ...rest } = options;
    return listObjects(this.store, ref, type.namespaced ? options : rest);
  }

  create(object: KubeObject, options: ApiWriteOptions = {}): KubeObject {
    if (options.subresource === "binding") return this.#bind(object, options);
    if (options.subresource === "eviction") return this.#evict(object, options);
    if (options.subresource !== undefined) throw methodNotSupported(object.kind, "create");
    const type = requireType(object);
    const taken = this.#takeIn(object, options, "body");
    if (taken.metadata.resourceVersion) {
      throw statusError(500, "", "resourceVersion should not be set on objects to be created");
    }
    return this.#create(type, taken, options, (draft) => this.#track(undefined, draft, options));
  }

  replace(object: KubeObject, options: ApiWriteOptions = {}): KubeObject {
    this.#warnings = [];
    if (options.subresource === "scale") return this.#replaceScale(object, options);
    const type = requireType(object);
    const taken = this.#takeIn(object, options, "body");
    const old = this.#require(type, taken.metadata.namespace, taken.metadata.name);
    if (CONDITIONAL.has(type.kind) && !taken.metadata.resourceVersion && !this.#isTrusted) {
      throw versionRequired(type.kind, taken.metadata.name);
    }
    return this.#update(type, old, taken, options);
  }

  patch(ref: ObjectRef, patchType: PatchType, body: unknown, options: ApiWriteOptions = {}): KubeObject {
    this.#warnings = [];
    const type = requireType(ref);
    const old = this.#require(type, ref.namespace, ref.name);
    if (options.subresource === "scale") {
      const scale = applyPatch(scaleOf(requireScalable(old)), patchType, body);
      return scaleOf(
        requireScalable(this.#update(type, old, withScale(requireScalable(old), scale), options, "scale")),
      );
    }
    const patched = applyPatch(old, patchType, body);
    const { name, namespace } = patched.metadata;
    if (name !== old.metadata.name || namespace !== old.metadata.namespace) {
      const [wrong, right] = name === old.metadata.name ? [namespace, ref.namespace] : [name, ref.name];
      const part = name === old.metadata.name ? "namespace" : "name";
      throw badRequest(
        `the ${part} of the object (${wrong}) does not match the ${part} on the URL (${right})`,
      );
    }
    return this.#update(type, old, this.#takeIn(patched, options, "patch"), options);
  }

  apply(
    object: KubeObject,
    options: ApiWriteOptions & { readonly fieldManager: string; readonly force?: boolean },
  ): KubeObject {
    const type = requireType(object);
    if (options.fieldManager === "") {
      const message = "Required value: is required for apply patch";
      throw invalidOptions("PatchOptions", "fieldManager", "FieldValueRequired", message);
    }
    if (!this.#isTrusted) requireDeclaredFields(object);
    const applied = this.#takeIn(object, options, "apply");
    const live = this.#find(type, applied.metadata.namespace, applied.metadata.name);
    // Before anything exists, a version is as little a precondition as it is upstream.
    const { resourceVersion, uid } = applied.metadata;
    if (resourceVersion && live !== undefined && resourceVersion !== live.metadata.resourceVersion) {
      throw conflict(type.kind, applied.metadata.name);
    }
    if (uid && live === undefined) {
      const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
      throw conflict(type.kind, applied.metadata.name, why);
    }
    const merged = serverSideApply({
      live,
      applied,
      manager: options.fieldManager,
      force: options.force ?? false,
      now: this.#now(),
      subresource: options.subresource,
    });
    if (live !== undefined) return this.#update(type, live, merged, options, options.subresource, "applied");
    if (options.subresource !== undefined) throw notFound(type.kind, applied.metadata.name);
    return this.#create(type, merged, options, (draft) => draft);
  }

  delete(ref: ObjectRef, options: DeleteOptions = {}): KubeObject | undefined {
    this.#warnings = [];
    const type = requireType(ref);
    const object = this.#require(type, ref.namespace, ref.name);
    if (!this.#isTrusted) checkDeletable(object);
    const deletion = planDeletion(object, options, this.#now());
    switch (deletion.kind) {
      case "pending":
        return object;
      case "remove":
        if (options.dryRun !== true) this.#remove(object);
        return undefined;
      case "update":
        return options.dryRun === true
          ? deletion.object
          : this.store.commit({ op: "update", object: this.#seal(deletion.object) });
    }
  }

  takeWarnings(): readonly string[] {
    const warnings = this.#warnings;
    this.#warnings = [];
    return warnings;
  }

  // --- the two ways to write ---

  #create(
    type: ResourceType,
    taken: KubeObject,
    options: ApiWriteOptions,
    track: (draft: KubeObject) => KubeObject,
  ): KubeObject {
    if (type.namespaced && !taken.metadata.namespace) {
      throw badRequest("an empty namespace may not be set during creation");
    }
    const named = this.#named(type, taken);
    checkNamespace(this.store, type, named, !this.#isTrusted);
    const admitted = admit(this.store, track(setDefaults(named)));
    const prepared = prepareCreate(type, admitted, {
      name: named.metadata.name,
      uid: this.#random.uuid(),
      creationTimestamp: timestamp(this.#now()),
    });
    const object = this.#allocate(prepared, undefined);
    if (!this.#isTrusted) requireValid(object);
    if (options.dryRun === true) {
      if (this.#find(type, object.metadata.namespace, object.metadata.name) !== undefined) {
        throw alreadyExists(type.kind, object.metadata.name);
      }
      return freeze(object);
    }
    const created = this.store.commit({ op: "create", object: this.#seal(object) });
    if (type.kind === "Namespace" && !this.#isTrusted) this.#furnish(created.metadata.name);
    if (type.kind === "Event") this.#sweepEvents();
    return created;
  }

  #update(
    type: ResourceType,
    old: KubeObject,
    sent: KubeObject,
    options: ApiWriteOptions,
    subresource: string | undefined = options.subresource,
    tracking: "updated" | "applied" = "updated",
  ): KubeObject {
    if (subresource === "status" && !hasStatus(type)) throw resourceNotFound();
    checkPreconditions(old, sent);
    const defaulted = subresource === "status" ? sent : setDefaults(sent);
    const prepared = this.#allocate(prepareUpdate(type, old, defaulted, subresource), old);
    const tracked = tracking === "applied" ? prepared : this.#track(old, prepared, options, subresource);
    const object = withMetadata(tracked, { resourceVersion: old.metadata.resourceVersion as string });
    if (!this.#isTrusted) requireValidUpdate(object, old);
    if (isSameButForTimes(old, object)) return old;
    if (options.dryRun === true) return freeze(object);
    if (isReleased(object)) {
      this.#remove(old);
      return object;
    }
    const expect = old.metadata.resourceVersion;
    return this.store.commit({ op: "update", object: this.#seal(object), expect });
  }

  #remove(object: KubeObject): void {
    const { name, namespace = "", resourceVersion } = object.metadata;
    this.store.commit({ op: "delete", kind: object.kind, namespace, name, expect: resourceVersion });
    assert(this.store.get(object.kind, namespace, name) === undefined, "what was removed is gone");
  }

  // --- steps ---

  /** What is applied keeps its nulls: there they mean something. */
  #takeIn(object: KubeObject, options: ApiWriteOptions, from: "body" | "patch" | "apply"): KubeObject {
    if (this.#isTrusted) return object;
    const { fieldValidation: mode = "Warn", duplicateFields: duplicates = [] } = options;
    const taken = takeIn(object, from === "apply");
    const decoded = decode(taken, { mode, from: from === "patch" ? "patch" : "body", duplicates });
    this.#warnings = decoded.warnings;
    return decoded.object;
  }

  #seal(object: KubeObject): KubeObject {
    return this.#isTrusted ? object : freeze(object);
  }

  /** Fills in a name from `generateName`; one that is taken is drawn again. */
  #named(type: ResourceType, object: KubeObject): KubeObject {
    const { name, generateName, namespace } = object.metadata;
    if (name !== undefined && name !== "") return object;
    if (generateName === undefined || generateName === "") {
      throw invalidField(object, "metadata.name", "Required value: name or generateName is required");
    }
    for (let attempt = 0; ; attempt += 1) {
      // 63 characters at most, five of them drawn.
      const generated = `${generateName.slice(0, 58)}${this.#random.name(5)}`;
      if (attempt < 8 && this.#find(type, namespace, generated) !== undefined) continue;
      return withMetadata(object, { name: generated });
    }
  }

  #allocate(object: KubeObject, old: KubeObject | undefined): KubeObject {
    if (object.kind !== "Service" || !("spec" in object)) return object;
    const result = allocateAddresses(this.store, this.#random, object as Service, old as Service | undefined);
    if (!isAddressProblem(result)) return result;
    throw invalidField(object, result.field, `Invalid value: ${result.message}`);
  }

  #track(
    before: KubeObject | undefined,
    after: KubeObject,
    options: ApiWriteOptions,
    subresource?: string,
  ): KubeObject {
    if (this.#isTrusted) return after;
    return trackManagedFields({
      before,
      after,
      manager: options.fieldManager ?? UNKNOWN_MANAGER,
      operation: "Update",
      now: this.#now(),
      subresource: subresource === "status" || subresource === "scale" ? subresource : undefined,
    });
  }

  /** A new namespace comes with its default account and the cluster's certificate, as the controllers would make. */
  #furnish(namespace: string): void {
    const warnings = this.#warnings; // these belong to the namespace that was asked for
    this.create(
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace } },
      FURNISHER,
    );
    if (this.#rootCertificate !== undefined) {
      const certificate: ConfigMap = {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "kube-root-ca.crt", namespace },
        data: { "ca.crt": this.#rootCertificate },
      };
      this.create(certificate, FURNISHER);
    }
    this.#warnings = warnings;
  }

  #sweepEvents(): void {
    this.#eventsSinceSweep += 1;
    if (this.#eventsSinceSweep < EVENTS_BETWEEN_SWEEPS) return;
    this.#eventsSinceSweep = 0;
    for (const event of outdatedEvents(this.store, this.#now())) this.#remove(event);
  }

  // --- subresources ---

  #bind(binding: KubeObject, options: ApiWriteOptions): KubeObject {
    const pod = requirePod(this.store, binding);
    const bound = bind(pod, binding, this.#now());
    if (options.dryRun === true) return bound;
    return this.store.commit({
      op: "update",
      object: this.#seal(bound),
      expect: pod.metadata.resourceVersion,
    });
  }

  #evict(eviction: KubeObject, options: ApiWriteOptions): KubeObject {
    const pod = requirePod(this.store, eviction);
    const budget = takeFromBudget(this.store, pod, this.#now());
    if (budget !== undefined && options.dryRun !== true) {
      this.store.commit({
        op: "update",
        object: this.#seal(budget),
        expect: budget.metadata.resourceVersion,
      });
    }
    const deleteOptions = {
      ...evictionOptions(eviction),
      ...(options.dryRun === true ? { dryRun: true } : {}),
    };
    const { name, namespace } = pod.metadata;
    return this.delete({ apiVersion: "v1", kind: "Pod", name, namespace }, deleteOptions) ?? pod;
  }

  #replaceScale(scale: KubeObject, options: ApiWriteOptions): KubeObject {
    if (options.scaleTarget === undefined)
      throw badRequest("scale: the kind that is to be scaled must be named");
    const type = requireType(options.scaleTarget);
    const old = requireScalable(this.#require(type, scale.metadata.namespace, scale.metadata.name));
    return scaleOf(requireScalable(this.#update(type, old, withScale(old, scale), options, "scale")));
  }

  // --- look-ups ---

  #find(type: ResourceType, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.store.get(type.kind, type.namespaced ? (namespace ?? "") : "", name);
  }

  #require(type: ResourceType, namespace: string | undefined, name: string): KubeObject {
    if (type.namespaced && !namespace) {
      throw badRequest("an empty namespace may not be set when a resource name is provided");
    }
    const object = this.#find(type, namespace, name);
    if (object === undefined) throw notFound(type.kind, name);
    return object;
  }
}

/** The table's row of a kind; 404 for a kind or version that is not served. */
function requireType(ref: TypeRef): ResourceType {
  const type = resourceTypeOf(ref.kind);
  if (type === undefined || apiVersionOf(type) !== ref.apiVersion) throw resourceNotFound();
  return type;
}

function requireScalable(object: KubeObject): Deployment | ReplicaSet {
  if (object.kind === "Deployment" || object.kind === "ReplicaSet") return object as Deployment | ReplicaSet;
  throw resourceNotFound();
}

/** A uid or resourceVersion in what was sent must be the current one. */
function checkPreconditions(old: KubeObject, sent: KubeObject): void {
  const { uid, resourceVersion } = sent.metadata;
  const { kind, metadata } = old;
  if (resourceVersion && resourceVersion !== metadata.resourceVersion) throw conflict(kind, metadata.name);
  if (uid && uid !== metadata.uid) throw uidMismatch(kind, metadata, uid);
}

/** Nothing to store: as in Kubernetes, newer times in managed fields alone do not make a new version. */
function isSameButForTimes(old: KubeObject, object: KubeObject): boolean {
  return isSame(withoutTimes(old), withoutTimes(object));
}

function withoutTimes(object: KubeObject): KubeObject {
  const { managedFields } = object.metadata;
  if (managedFields === undefined) return object;
  const timeless = managedFields.map(({ time: _time, ...entry }) => entry);
  return { ...object, metadata: { ...object.metadata, managedFields: timeless } };
}
