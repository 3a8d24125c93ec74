/**
 * The client over HTTP: any API server, ours or a real one.
 *
 * @example
 * const client = createHttpClient({ name: "tokyo", url: "https://127.0.0.1:6443", token, ca });
 * const pods = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace: "default" });
 */
import type { KubeList, KubeObject } from "../resources/meta.ts";
import type {
  DeleteOptions,
  KubeClient,
  ListOptions,
  ObjectRef,
  PatchType,
  TypeRef,
  WatchOptions,
} from "./client.ts";
import { execInPod } from "./exec.ts";
import { portForward } from "./port-forward.ts";
import { listQuery, writeQuery } from "./queries.ts";
import { ResourcePaths } from "./resource-paths.ts";
import { isReason } from "./status-error.ts";
import { logStream, watchStream } from "./streams.ts";
import { Transport, type TransportOptions } from "./transport.ts";

export type HttpClientOptions = TransportOptions;

const PATCH_CONTENT_TYPES: Readonly<Record<PatchType, string>> = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
};

export function createHttpClient(options: HttpClientOptions): KubeClient {
  const transport = new Transport(options);
  const where = `clusters/${options.name}`;
  const paths = new ResourcePaths(transport);
  return {
    name: options.name,
    version: () => transport.json({ method: "GET", path: "/version", repeatable: "idempotent" }),
    serves: (type) => paths.serves(type),
    get: async (ref) =>
      transport.json({ method: "GET", path: await paths.objectPath(ref), repeatable: "idempotent" }),
    list: async <T extends KubeObject>(type: TypeRef, listOptions: ListOptions = {}) => {
      const path = await paths.listPath(type, listOptions.namespace);
      const query = listQuery(listOptions);
      const list = await transport.json<KubeList<T>>({
        method: "GET",
        path,
        query,
        repeatable: "idempotent",
      });
      return withTypes(type, list);
    },
    watch: <T extends KubeObject>(type: TypeRef, watchOptions: WatchOptions = {}) =>
      watchStream<T>(transport, paths, type, watchOptions, where),
    create: async (object, write = {}) =>
      transport.json({
        method: "POST",
        path: await paths.createPath(object),
        // After a lost answer the object may exist: a second POST would be AlreadyExists, or with generateName a twin.
        repeatable: write.dryRun === true ? "idempotent" : "once",
        query: writeQuery(write),
        body: object,
      }),
    replace: async (object, write = {}) => replaceObject(transport, paths, object, write),
    patch: async (ref, type, body, write = {}) =>
      transport.json({
        method: "PATCH",
        path: await paths.objectPath(ref, write.subresource),
        // A JSON patch may append to a list, and any of them may overwrite what came in between.
        repeatable: write.dryRun === true ? "idempotent" : "once",
        query: writeQuery(write),
        body,
        contentType: PATCH_CONTENT_TYPES[type],
      }),
    apply: async (object, write) => {
      const query = writeQuery(write);
      if (write.force === true) query.set("force", "true");
      const path = await paths.objectPath(ofObject(object));
      return transport.json({
        method: "PATCH",
        path,
        // Applying the same configuration twice is applying it once (KEP-555); that is what apply is for.
        repeatable: "idempotent",
        query,
        body: object, // JSON is YAML
        contentType: "application/apply-patch+yaml",
      });
    },
    delete: async (ref, deleteOptions = {}) => deleteObject(transport, paths, ref, deleteOptions),
    logs: (pod, logOptions = {}) => logStream(transport, pod, logOptions),
    exec: (pod, execOptions) => execInPod(transport, pod, execOptions, where),
    portForward: (pod, port, forwardOptions = {}) => portForward(transport, pod, port, forwardOptions, where),
    close: async () => transport.close(),
  };
}

function ofObject({ apiVersion, kind, metadata: { name, namespace } }: KubeObject): ObjectRef {
  return { apiVersion, kind, name, namespace };
}

/**
 * With a resourceVersion a PUT happens at most once: the version that a second one names is gone. But then the second
 * one is answered with Conflict although it was our own first that won. So when an answer was lost, a Conflict is
 * looked into: if what is stored is what was sent, the write is in place.
 */
async function replaceObject<T extends KubeObject>(
  transport: Transport,
  paths: ResourcePaths,
  object: T,
  write: Parameters<KubeClient["replace"]>[1] & object,
): Promise<T> {
  const isVersioned = object.metadata.resourceVersion !== undefined;
  const path = await paths.objectPath(ofObject(object), write.subresource);
  let wasLost = false;
  try {
    return await transport.json<T>({
      method: "PUT",
      path,
      repeatable: isVersioned || write.dryRun === true ? "idempotent" : "once",
      query: writeQuery(write),
      body: object,
      onLost: () => {
        wasLost = true;
      },
    });
  } catch (error) {
    if (!wasLost || !isReason(error, "Conflict")) throw error;
    const stored = await transport.json<T>({ method: "GET", path, repeatable: "idempotent" });
    if (!holds(stored, withoutVersion(object))) throw error;
    return stored;
  }
}

function withoutVersion<T extends KubeObject>({ metadata, ...rest }: T): unknown {
  const { resourceVersion: _version, generation: _generation, managedFields: _fields, ...own } = metadata;
  return { ...rest, metadata: own };
}

/** Does `stored` say everything that `sent` says? Defaults and bookkeeping of the server come on top. */
function holds(stored: unknown, sent: unknown): boolean {
  if (Array.isArray(sent)) {
    return (
      Array.isArray(stored) &&
      stored.length === sent.length &&
      sent.every((item, index) => holds(stored[index], item))
    );
  }
  if (typeof sent !== "object" || sent === null) return stored === sent;
  if (typeof stored !== "object" || stored === null) return false;
  return Object.entries(sent).every(
    ([key, value]) => value === undefined || holds((stored as Record<string, unknown>)[key], value),
  );
}

/** With a uid as its precondition a second DELETE can only hit the same object; it may find it gone, by the first. */
async function deleteObject(
  transport: Transport,
  paths: ResourcePaths,
  ref: ObjectRef,
  options: DeleteOptions,
): Promise<void> {
  const isBound = options.preconditions?.uid !== undefined || options.dryRun === true;
  let wasLost = false;
  try {
    await transport.json({
      method: "DELETE",
      path: await paths.objectPath(ref),
      repeatable: isBound ? "idempotent" : "once",
      body: deleteBody(options),
      onLost: () => {
        wasLost = true;
      },
    });
  } catch (error) {
    if (wasLost && isReason(error, "NotFound")) return;
    throw error;
  }
}

function deleteBody({ dryRun, ...options }: DeleteOptions): unknown {
  return {
    apiVersion: "v1",
    kind: "DeleteOptions",
    ...options,
    ...(dryRun === true ? { dryRun: ["All"] } : {}),
  };
}

/** Kubernetes leaves kind and apiVersion out of the items of a list; they are the list's own. */
function withTypes<T extends KubeObject>({ apiVersion, kind }: TypeRef, list: KubeList<T>): KubeList<T> {
  const items = (list.items ?? []).map((item) =>
    item.kind === undefined ? { ...item, apiVersion, kind } : item,
  );
  return { ...list, items };
}
