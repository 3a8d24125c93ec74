/** The verbs on stored objects, between HTTP and the synchronous API. */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type ApiWriteOptions,
  badRequest,
  type KubeList,
  type KubeObject,
  type ObjectRef,
  type PatchType,
  qualifiedResource,
  type Status,
  statusError,
} from "@slipway/kube";
import { type Form, resourceForm } from "./accept.ts";
import { answerJson } from "./answer.ts";
import {
  contentType,
  decodeObject,
  type JsonObject,
  parseJson,
  parseYaml,
  readBody,
  requireObject,
  unsupported,
} from "./body.ts";
import {
  deleteOptions,
  isForced,
  isWatch,
  listOptions,
  type ResourcePath,
  watchOptions,
  writeOptions,
} from "./request.ts";
import {
  type IncludeObject,
  partialMetadata,
  partialMetadataList,
  tableOfList,
  tableOfObject,
} from "./tables/table.ts";
import { serveWatch, type WatchContext } from "./watch.ts";

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
}

export async function serveResource(
  context: WatchContext,
  exchange: Exchange,
  path: ResourcePath,
): Promise<void> {
  switch (exchange.request.method) {
    case "GET":
    case "HEAD":
      return read(context, exchange, path);
    case "POST":
      return create(context, exchange, path);
    case "PUT":
      return replace(context, exchange, path);
    case "PATCH":
      return patch(context, exchange, path);
    case "DELETE":
      return remove(context, exchange, path);
    default:
      throw methodNotAllowed();
  }
}

export function methodNotAllowed(): Error {
  const message = "the server does not allow this method on the requested resource";
  return statusError(405, "MethodNotAllowed", message);
}

// --- reading ---

function read(context: WatchContext, exchange: Exchange, path: ResourcePath): void {
  const { request, response, query } = exchange;
  const { api } = context;
  const encoder = encoderOf(context, exchange, path);
  const isCollection = path.name === undefined;
  if (isWatch(query) && path.subresource === undefined) {
    serveWatch(context, request, response, path, watchOptions(query), encoder.object);
    return;
  }
  if (isCollection) {
    const namespace = path.namespace === undefined ? {} : { namespace: path.namespace };
    answerJson(request, response, encoder.list(api.list(path.ref, { ...listOptions(query), ...namespace })));
    return;
  }
  const { subresource } = path;
  if (subresource !== undefined && subresource !== "status" && subresource !== "scale") {
    throw methodNotAllowed();
  }
  const object = api.get(refOf(path), subresource === undefined ? {} : { subresource });
  answerJson(request, response, subresource === "scale" ? object : encoder.object(object, true));
}

interface Encoder {
  object(object: KubeObject, withColumns: boolean): unknown;
  list(list: KubeList): unknown;
}

function encoderOf(context: WatchContext, { request, query }: Exchange, path: ResourcePath): Encoder {
  const form: Form = resourceForm(request.headers.accept);
  switch (form.kind) {
    case "object":
      return { object: (object) => object, list: (list) => list };
    case "metadata":
      return {
        object: (object) => partialMetadata(object, form.version),
        list: (list) => partialMetadataList(list, form.version),
      };
    case "table": {
      const includeObject = includeObjectOf(query);
      const options = { version: form.version, includeObject };
      return {
        object: (object, withColumns) =>
          tableOfObject(object, { ...options, now: context.clock.now(), withColumns }),
        list: (list) =>
          tableOfList(path.type.kind, list, { ...options, now: context.clock.now(), withColumns: true }),
      };
    }
  }
}

function includeObjectOf(query: URLSearchParams): IncludeObject {
  const value = query.get("includeObject") || "Metadata";
  if (value === "Metadata" || value === "Object" || value === "None") return value;
  throw badRequest(`unrecognized includeObject value: ${JSON.stringify(value)}`);
}

// --- writing ---

async function create(context: WatchContext, exchange: Exchange, path: ResourcePath): Promise<void> {
  const { request, query } = exchange;
  const { value: body, duplicateFields } = decodeObject(await readBody(request), contentType(request));
  const options = { ...writeOptions(query, request.headers["user-agent"]), duplicateFields };
  const { subresource } = path;
  if (subresource === "binding" || subresource === "eviction") {
    const action = subresource === "binding" ? "Binding" : "Eviction";
    if (body["kind"] !== undefined && body["kind"] !== action) throw wrongKind(body, action);
    const object = completed(body, { apiVersion: "v1", kind: action }, path, path.name);
    context.api.create(object, { ...options, subresource });
    answerJson(request, exchange.response, success(), { status: 201 });
    return;
  }
  if (subresource !== undefined || path.name !== undefined) throw methodNotAllowed();
  if (path.type.namespaced && path.namespace === undefined) throw methodNotAllowed();
  requireKind(body, path);
  const created = context.api.create(completed(body, path.ref, path, undefined), options);
  answerObject(context, exchange, path, created, 201);
}

async function replace(context: WatchContext, exchange: Exchange, path: ResourcePath): Promise<void> {
  const { request, query } = exchange;
  if (path.name === undefined) throw methodNotAllowed();
  const { value: body, duplicateFields } = decodeObject(await readBody(request), contentType(request));
  const options = { ...writeOptions(query, request.headers["user-agent"]), duplicateFields };
  if (path.subresource === "scale") {
    const scale = completed(body, { apiVersion: "autoscaling/v1", kind: "Scale" }, path, path.name);
    const result = context.api.replace(scale, { ...options, subresource: "scale", scaleTarget: path.ref });
    answerJson(request, exchange.response, result, { warnings: context.api.takeWarnings() });
    return;
  }
  requireKind(body, path);
  const object = completed(body, path.ref, path, path.name);
  const replaced = context.api.replace(object, { ...options, ...subresourceOf(path) });
  answerObject(context, exchange, path, replaced, 200);
}

const PATCH_TYPES: Readonly<Record<string, PatchType>> = {
  "application/json-patch+json": "json",
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
};
const APPLY_PATCH = "application/apply-patch+yaml";

async function patch(context: WatchContext, exchange: Exchange, path: ResourcePath): Promise<void> {
  const { request, query } = exchange;
  if (path.name === undefined) throw methodNotAllowed();
  const type = contentType(request);
  const raw = await readBody(request);
  const options = { ...writeOptions(query, request.headers["user-agent"]), ...subresourceOf(path) };
  if (type === APPLY_PATCH) return apply(context, exchange, path, raw, options);
  const patchType = PATCH_TYPES[type];
  if (patchType === undefined) throw unsupported([...Object.keys(PATCH_TYPES), APPLY_PATCH]);
  const { value, duplicateFields } = parseJson(raw);
  const patched = context.api.patch(refOf(path), patchType, value, { ...options, duplicateFields });
  answerObject(context, exchange, path, patched, 200);
}

function apply(
  context: WatchContext,
  exchange: Exchange,
  path: ResourcePath,
  raw: Buffer,
  options: ApiWriteOptions,
): void {
  const { query } = exchange;
  const fieldManager = query.get("fieldManager") ?? "";
  if (fieldManager === "") {
    const problem = "Required value: is required for apply patch";
    throw statusError(422, "Invalid", `PatchOptions.meta.k8s.io "" is invalid: fieldManager: ${problem}`, {
      group: "meta.k8s.io",
      kind: "PatchOptions",
      causes: [{ reason: "FieldValueRequired", message: problem, field: "fieldManager" }],
    });
  }
  const { value: body, duplicateFields } = requireObject(parseYaml(raw));
  requireKind(body, path);
  const object = completed(body, path.ref, path, path.name);
  const isNew =
    context.api.store.get(path.type.kind, path.namespace ?? "", path.name as string) === undefined;
  const applied = context.api.apply(object, {
    ...options,
    duplicateFields,
    fieldManager,
    force: isForced(query),
  });
  answerObject(context, exchange, path, applied, isNew ? 201 : 200);
}

async function remove(context: WatchContext, exchange: Exchange, path: ResourcePath): Promise<void> {
  const { request, response, query } = exchange;
  if (path.subresource !== undefined) throw methodNotAllowed();
  const raw = await readBody(request);
  const body = raw.length === 0 ? undefined : decodeObject(raw, contentType(request)).value;
  const options = deleteOptions(query, body);
  if (path.name === undefined) {
    if (path.type.namespaced && path.namespace === undefined) throw methodNotAllowed();
    const namespace = path.namespace === undefined ? {} : { namespace: path.namespace };
    const list = context.api.list(path.ref, { ...listOptions(query), ...namespace });
    for (const { metadata } of list.items) context.api.delete(objectRef(path, metadata.name), options);
    answerJson(request, response, list);
    return;
  }
  const before = context.api.get(refOf(path));
  const left = context.api.delete(refOf(path), options);
  if (left !== undefined) {
    answerObject(context, exchange, path, left, 200);
    return;
  }
  const { group, plural } = path.type;
  const { name, uid } = before.metadata;
  const details = {
    name,
    ...(group === "" ? {} : { group }),
    kind: plural,
    ...(uid === undefined ? {} : { uid }),
  };
  answerJson(request, response, success(details));
}

function success(details?: NonNullable<Status["details"]>): Status {
  return {
    apiVersion: "v1",
    kind: "Status",
    metadata: {},
    status: "Success",
    ...(details === undefined ? {} : { details }),
  };
}

function answerObject(
  context: WatchContext,
  exchange: Exchange,
  path: ResourcePath,
  object: KubeObject,
  status: number,
): void {
  const encoded =
    path.subresource === "scale" ? object : encoderOf(context, exchange, path).object(object, true);
  answerJson(exchange.request, exchange.response, encoded, {
    status,
    warnings: context.api.takeWarnings(),
  });
}

/** What the body leaves out because the URL says it: apiVersion, kind, namespace, name. What they say twice must agree. */
function completed(
  body: JsonObject,
  ref: { readonly apiVersion: string; readonly kind: string },
  path: ResourcePath,
  name: string | undefined,
): KubeObject {
  const metadata = (body["metadata"] ?? {}) as JsonObject;
  const { namespace } = metadata;
  if (path.namespace !== undefined && namespace && namespace !== path.namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  if (name !== undefined && metadata["name"] && metadata["name"] !== name) {
    throw badRequest(
      `the name of the object (${String(metadata["name"])}) does not match the name on the URL (${name})`,
    );
  }
  return {
    ...body,
    apiVersion: (body["apiVersion"] as string | undefined) ?? ref.apiVersion,
    kind: (body["kind"] as string | undefined) ?? ref.kind,
    metadata: {
      ...metadata,
      ...(name === undefined ? {} : { name }),
      ...(path.namespace === undefined ? {} : { namespace: path.namespace }),
    },
  } as unknown as KubeObject;
}

function requireKind(body: JsonObject, { ref }: ResourcePath): void {
  const { apiVersion = ref.apiVersion, kind = ref.kind } = body;
  if (apiVersion !== ref.apiVersion || kind !== ref.kind) throw wrongKind(body, ref.kind);
}

function wrongKind(body: JsonObject, wanted: string): Error {
  const { apiVersion = "", kind = "" } = body;
  return badRequest(
    `${String(kind)} in version "${String(apiVersion)}" cannot be handled as a ${wanted}: no kind "${String(kind)}" is registered for ${qualifiedResource(wanted)}`,
  );
}

function subresourceOf(path: ResourcePath): Pick<ApiWriteOptions, "subresource"> {
  switch (path.subresource) {
    case undefined:
      return {};
    case "status":
    case "scale":
    case "finalize":
      return { subresource: path.subresource };
    default:
      throw methodNotAllowed();
  }
}

function refOf(path: ResourcePath): ObjectRef {
  return objectRef(path, path.name as string);
}

function objectRef(path: ResourcePath, name: string): ObjectRef {
  return { ...path.ref, name, ...(path.namespace === undefined ? {} : { namespace: path.namespace }) };
}
