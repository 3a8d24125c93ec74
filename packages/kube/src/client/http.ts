/**
 * The client over HTTP: any API server, ours or a real one.
 *
 * @example
 * const client = createHttpClient({ name: "tokyo", url: "https://127.0.0.1:6443", token, ca });
 * const pods = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace: "default" });
 */
import { badRequest, resourceNotFound } from "../api/errors.ts";
import { apiVersionOf, resourceTypeOf } from "../resources/kinds.ts";
import type { KubeList, KubeObject, Status } from "../resources/meta.ts";
import type {
  ClientWatchEvent,
  DeleteOptions,
  KubeClient,
  ListOptions,
  LogOptions,
  ObjectRef,
  PatchType,
  TypeRef,
  WatchOptions,
  WriteOptions,
} from "./client.ts";
import { execInPod } from "./exec.ts";
import { portForward } from "./port-forward.ts";
import { isReason, StatusError } from "./status-error.ts";
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
  const resources = new Resources(transport);
  return {
    name: options.name,
    version: () => transport.json({ method: "GET", path: "/version", repeatable: "idempotent" }),
    serves: (type) => resources.serves(type),
    get: async (ref) =>
      transport.json({ method: "GET", path: await resources.objectPath(ref), repeatable: "idempotent" }),
    list: async <T extends KubeObject>(type: TypeRef, listOptions: ListOptions = {}) => {
      const path = await resources.listPath(type, listOptions.namespace);
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
      watchStream<T>(transport, resources, type, watchOptions, where),
    create: async (object, write = {}) =>
      transport.json({
        method: "POST",
        path: await resources.createPath(object),
        // After a lost answer the object may exist: a second POST would be AlreadyExists, or with generateName a twin.
        repeatable: write.dryRun === true ? "idempotent" : "once",
        query: writeQuery(write),
        body: object,
      }),
    replace: async (object, write = {}) => replaceObject(transport, resources, object, write),
    patch: async (ref, type, body, write = {}) =>
      transport.json({
        method: "PATCH",
        path: await resources.objectPath(ref, write.subresource),
        // A JSON patch may append to a list, and any of them may overwrite what came in between.
        repeatable: write.dryRun === true ? "idempotent" : "once",
        query: writeQuery(write),
        body,
        contentType: PATCH_CONTENT_TYPES[type],
      }),
    apply: async (object, write) => {
      const query = writeQuery(write);
      if (write.force === true) query.set("force", "true");
      const path = await resources.objectPath(ofObject(object));
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
    delete: async (ref, deleteOptions = {}) => deleteObject(transport, resources, ref, deleteOptions),
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
  resources: Resources,
  object: T,
  write: Parameters<KubeClient["replace"]>[1] & object,
): Promise<T> {
  const isVersioned = object.metadata.resourceVersion !== undefined;
  const path = await resources.objectPath(ofObject(object), write.subresource);
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
  resources: Resources,
  ref: ObjectRef,
  options: DeleteOptions,
): Promise<void> {
  const isBound = options.preconditions?.uid !== undefined || options.dryRun === true;
  let wasLost = false;
  try {
    await transport.json({
      method: "DELETE",
      path: await resources.objectPath(ref),
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

/** Where each kind lives: the static table first, the server's own discovery for everything else. */
class Resources {
  readonly #transport: Transport;
  readonly #discovered = new Map<string, Promise<ResourceList>>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async listPath(type: TypeRef, namespace: string | undefined): Promise<string> {
    const { plural, namespaced } = await this.#resource(type);
    const within =
      namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
    return `${groupPath(type.apiVersion)}${within}/${plural}`;
  }

  async createPath(object: KubeObject): Promise<string> {
    const { namespaced } = await this.#resource(object);
    if (namespaced && !object.metadata.namespace) {
      throw badRequest("an empty namespace may not be set during creation");
    }
    return this.listPath(object, object.metadata.namespace);
  }

  async objectPath(ref: ObjectRef, subresource?: string): Promise<string> {
    const { namespaced } = await this.#resource(ref);
    if (namespaced && !ref.namespace) {
      throw badRequest("an empty namespace may not be set when a resource name is provided");
    }
    const path = `${await this.listPath(ref, ref.namespace)}/${encodeURIComponent(ref.name)}`;
    return subresource === undefined ? path : `${path}/${subresource}`;
  }

  async #resource(type: TypeRef): Promise<{ plural: string; namespaced: boolean }> {
    const known = resourceTypeOf(type.kind);
    if (known !== undefined && apiVersionOf(known) === type.apiVersion) return known;
    const { resources } = await this.#discover(type.apiVersion);
    const found = resources.find(({ kind, name }) => kind === type.kind && !name.includes("/"));
    if (found === undefined) {
      // Its definition may be installed later.
      this.#discovered.delete(type.apiVersion);
      throw resourceNotFound();
    }
    return { plural: found.name, namespaced: found.namespaced };
  }

  async serves(type: TypeRef): Promise<boolean> {
    try {
      const { resources } = await this.#discover(type.apiVersion);
      return resources.some(({ kind, name }) => kind === type.kind && !name.includes("/"));
    } catch (error) {
      if (error instanceof StatusError && error.httpCode === 404) return false;
      throw error;
    }
  }

  #discover(apiVersion: string): Promise<ResourceList> {
    let list = this.#discovered.get(apiVersion);
    if (list === undefined) {
      list = this.#transport.json<ResourceList>({
        method: "GET",
        path: groupPath(apiVersion),
        repeatable: "idempotent",
      });
      this.#discovered.set(apiVersion, list);
      // A failure is not remembered; a kind may be installed later.
      list.catch(() => this.#discovered.delete(apiVersion));
    }
    return list;
  }
}

interface ResourceList {
  readonly resources: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
  }[];
}

function groupPath(apiVersion: string): string {
  return apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

function listQuery(options: ListOptions): URLSearchParams {
  return query({
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
    limit: options.limit,
    continue: options.continue,
    resourceVersion: options.resourceVersion,
    resourceVersionMatch: options.resourceVersionMatch,
  });
}

function writeQuery(options: WriteOptions): URLSearchParams {
  return query({
    dryRun: options.dryRun === true ? "All" : undefined,
    fieldManager: options.fieldManager,
    fieldValidation: options.fieldValidation,
  });
}

function query(parameters: Readonly<Record<string, string | number | boolean | undefined>>): URLSearchParams {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  return new URLSearchParams(given.map(([key, value]): [string, string] => [key, String(value)]));
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

/**
 * A watch whose connection died without a word (a NAT that forgot it, a machine that slept) looks like one where
 * nothing happens. So the server is asked to end every watch after a while, and when it does not, we do.
 */
const WATCH_SECONDS = 300;
const WATCH_GRACE_MS = 30_000;
/** A log that is not followed is read to its end; a server that stops in the middle is given up on. */
const LOG_SILENCE_MS = 30_000;

async function* watchStream<T extends KubeObject>(
  transport: Transport,
  resources: Resources,
  type: TypeRef,
  options: WatchOptions,
  where: string,
): AsyncGenerator<ClientWatchEvent<T>> {
  if (options.signal?.aborted) return;
  const parameters = listQuery(options);
  parameters.set("watch", "true");
  if (options.allowBookmarks === true) parameters.set("allowWatchBookmarks", "true");
  const lastsSeconds = options.timeoutSeconds ?? WATCH_SECONDS;
  parameters.set("timeoutSeconds", String(lastsSeconds));
  const path = await resources.listPath(type, options.namespace);
  const chunks = transport.stream(
    { method: "GET", path, query: parameters, signal: options.signal, repeatable: "idempotent" },
    { lastsAtMostMs: lastsSeconds * 1000 + WATCH_GRACE_MS },
  );
  try {
    for await (const line of linesOf(chunks)) {
      const event = JSON.parse(line) as ClientWatchEvent<T> | { type: "ERROR"; object: Status };
      if (event.type === "ERROR") throw new StatusError(event.object, where);
      if (options.signal?.aborted) return;
      yield event;
    }
  } catch (error) {
    // To be told to stop before the first byte came is no failure either.
    if (options.signal?.aborted) return;
    throw error;
  }
}

async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  // Bytes are split, not text: a character may be cut in two by a chunk's end, a line feed never is part of one.
  let parts: Buffer[] = [];
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      parts.push(chunk.subarray(start, end));
      const line = Buffer.concat(parts).toString("utf8");
      parts = [];
      start = end + 1;
      if (line !== "") yield line;
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
  }
}

function logStream(
  transport: Transport,
  pod: { readonly namespace: string; readonly name: string },
  options: LogOptions,
): AsyncIterable<Uint8Array> {
  const { signal, ...parameters } = options;
  const path = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}/log`;
  return transport.stream(
    { method: "GET", path, query: query(parameters), signal, repeatable: "idempotent" },
    options.follow === true ? {} : { silentAtMostMs: LOG_SILENCE_MS },
  );
}
