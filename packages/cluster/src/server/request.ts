/**
 * A request's URL as data: which resource, which verb, which options. Everything is checked here, once; what a
 * client asks for and this server would not do is refused, because an option that is silently ignored (a dry run,
 * the initial events of a watch) does harm that nobody sees.
 */
import {
  apiVersionOf,
  badRequest,
  type DeleteOptions,
  parseResourceVersion,
  type ResourceType,
  resourceNotFound,
  resourceTypes,
  statusError,
  type TypeRef,
  type WriteOptions,
} from "@slipway/kube";
import { ACCESS_REVIEW } from "./discovery.ts";

export type Subresource = ResourceType["subresources"][number];

export interface ResourcePath {
  readonly kind: "resource";
  readonly type: ResourceType;
  readonly ref: TypeRef;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: Subresource | undefined;
}

export type ApiPath = ResourcePath | { readonly kind: "access-review" };

/** The resource a path names; undefined when the path is not one of a resource. Throws 404 for unknown ones. */
export function parsePath(pathname: string): ApiPath | undefined {
  const segments = pathname.split("/").slice(1).map(decodeSegment);
  const [root, ...afterRoot] = segments;
  if (root !== "api" && root !== "apis") return undefined;
  const [group, version, ...rest] = root === "api" ? ["", ...afterRoot] : afterRoot;
  if (group === undefined || version === undefined || rest.length === 0 || rest[0] === "") return undefined;

  if (group === ACCESS_REVIEW.group && version === ACCESS_REVIEW.version) {
    if (rest.length === 1 && rest[0] === "selfsubjectaccessreviews") return { kind: "access-review" };
    throw resourceNotFound();
  }
  // `namespaces/x/pods` is in a namespace; `namespaces/x` and `namespaces/x/status` are about the namespace.
  const isNamespaceItself = rest[2] === undefined || rest[2] === "status" || rest[2] === "finalize";
  const isInNamespace = rest[0] === "namespaces" && !isNamespaceItself;
  const [plural, name, subresource, ...tooMuch] = isInNamespace ? rest.slice(2) : rest;
  const type = resourceTypes.find(
    (each) => each.group === group && each.version === version && each.plural === plural,
  );
  if (type === undefined || tooMuch.length > 0) throw resourceNotFound();
  if (isInNamespace !== type.namespaced && (isInNamespace || name !== undefined)) throw resourceNotFound();
  const known = type.subresources.find((each) => each === subresource);
  if (subresource !== undefined && known === undefined) throw resourceNotFound();
  return {
    kind: "resource",
    type,
    ref: { apiVersion: apiVersionOf(type), kind: type.kind },
    namespace: isInNamespace ? rest[1] : undefined,
    name,
    subresource: known,
  };
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badRequest(`invalid URL escape in the path: "${segment}"`);
  }
}

export interface ReadOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: "Exact" | "NotOlderThan";
}

export function listOptions(query: URLSearchParams): ReadOptions {
  const limit = integer(query, "limit");
  const match = oneOf(query, "resourceVersionMatch", ["Exact", "NotOlderThan"]);
  parseResourceVersion(query.get("resourceVersion") ?? "");
  return {
    ...text(query, "labelSelector"),
    ...text(query, "fieldSelector"),
    ...text(query, "continue"),
    ...text(query, "resourceVersion"),
    ...(limit === undefined ? {} : { limit }),
    ...(match === undefined ? {} : { resourceVersionMatch: match }),
  };
}

export interface WatchRequest {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Undefined and 0 both mean: what is there now, then what changes. */
  readonly from: number | undefined;
  readonly timeoutSeconds: number | undefined;
  readonly allowBookmarks: boolean;
  /** `synthetic`: the present state first, as ADDED. `marked`: the same, with a bookmark where it ends (WatchList). */
  readonly initialEvents: "none" | "synthetic" | "marked";
}

export function isWatch(query: URLSearchParams): boolean {
  return boolean(query, "watch");
}

export function watchOptions(query: URLSearchParams): WatchRequest {
  const version = query.get("resourceVersion") ?? "";
  const match = oneOf(query, "resourceVersionMatch", ["Exact", "NotOlderThan"]);
  const send = query.has("sendInitialEvents") ? boolean(query, "sendInitialEvents") : undefined;
  const asked = parseResourceVersion(version);
  if (send === undefined && match !== undefined) {
    throw invalidListOptions(
      "resourceVersionMatch",
      "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    );
  }
  if (send !== undefined && match !== "NotOlderThan") {
    throw invalidListOptions(
      "resourceVersionMatch",
      "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    );
  }
  const allowBookmarks = boolean(query, "allowWatchBookmarks");
  const isFromNow = asked === 0;
  return {
    ...text(query, "labelSelector"),
    ...text(query, "fieldSelector"),
    from: isFromNow || send === true ? undefined : asked,
    timeoutSeconds: integer(query, "timeoutSeconds"),
    allowBookmarks,
    initialEvents: send === true ? "marked" : send === undefined && isFromNow ? "synthetic" : "none",
  };
}

function invalidListOptions(field: string, problem: string): Error {
  return statusError(422, "Invalid", `ListOptions.meta.k8s.io "" is invalid: ${field}: ${problem}`, {
    group: "meta.k8s.io",
    kind: "ListOptions",
    causes: [{ reason: "FieldValueForbidden", message: problem, field }],
  });
}

/** `userAgent` names the field manager when the client does not. */
export function writeOptions(query: URLSearchParams, userAgent: string | undefined): WriteOptions {
  const validation = oneOf(query, "fieldValidation", ["Strict", "Warn", "Ignore"]);
  const fieldManager = query.get("fieldManager") || (userAgent ?? "").split("/", 1)[0]?.slice(0, 128) || "";
  return {
    ...(isDryRun(query) ? { dryRun: true } : {}),
    ...(fieldManager === "" ? {} : { fieldManager }),
    ...(validation === undefined ? {} : { fieldValidation: validation }),
  };
}

export function isForced(query: URLSearchParams): boolean {
  return boolean(query, "force");
}

function isDryRun(query: URLSearchParams): boolean {
  return query.getAll("dryRun").map(checkDryRun).length > 0;
}

function checkDryRun(value: unknown): void {
  if (value === "All") return;
  const problem = `Unsupported value: ${JSON.stringify(value)}: supported values: "All"`;
  throw statusError(422, "Invalid", `Options.meta.k8s.io "" is invalid: dryRun: ${problem}`, {
    causes: [{ reason: "FieldValueNotSupported", message: problem, field: "dryRun" }],
  });
}

/** Options of a deletion come in the body, in the query, or in both; the body wins. */
export function deleteOptions(
  query: URLSearchParams,
  body: Readonly<Record<string, unknown>> | undefined,
): DeleteOptions {
  const grace = body?.["gracePeriodSeconds"] ?? integer(query, "gracePeriodSeconds");
  const orphan = body?.["orphanDependents"] ?? (query.has("orphanDependents") || undefined);
  const policy =
    body?.["propagationPolicy"] ??
    query.get("propagationPolicy") ??
    (orphan === undefined ? undefined : orphan === true ? "Orphan" : "Background");
  if (policy !== undefined && policy !== "Background" && policy !== "Foreground" && policy !== "Orphan") {
    throw badRequest(
      `invalid propagationPolicy ${JSON.stringify(policy)}: must be Background, Foreground or Orphan`,
    );
  }
  if (grace !== undefined && typeof grace !== "number")
    throw badRequest("gracePeriodSeconds must be a number");
  const inBody = body?.["dryRun"];
  if (Array.isArray(inBody)) inBody.forEach(checkDryRun);
  const dryRun = isDryRun(query) || (Array.isArray(inBody) && inBody.length > 0);
  const preconditions = body?.["preconditions"] as DeleteOptions["preconditions"];
  return {
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
    ...(policy === undefined ? {} : { propagationPolicy: policy }),
    ...(preconditions === undefined ? {} : { preconditions }),
    ...(dryRun ? { dryRun: true } : {}),
  };
}

export function integer(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  if (value === null || value === "") return undefined;
  if (!/^-?\d{1,15}$/.test(value)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  return Number(value);
}

/** Kubernetes takes every value but `false` and `0` for true, the empty one too. */
export function boolean(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== "false" && value !== "0";
}

function text<K extends string>(query: URLSearchParams, name: K): { readonly [P in K]?: string } {
  const value = query.get(name);
  return (value === null || value === "" ? {} : { [name]: value }) as { readonly [P in K]?: string };
}

function oneOf<T extends string>(query: URLSearchParams, name: string, allowed: readonly T[]): T | undefined {
  const value = query.get(name);
  if (value === null || value === "") return undefined;
  const known = allowed.find((each) => each === value);
  if (known !== undefined) return known;
  throw badRequest(
    `invalid ${name} ${JSON.stringify(value)}: supported values: ${allowed.map((each) => `"${each}"`).join(", ")}`,
  );
}
