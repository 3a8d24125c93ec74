/**
 * The errors of an API server in Kubernetes' own words (k8s.io/apimachinery `api/errors`), since people and tools
 * parse them: `deployments.apps "web" not found`. In `details`, `kind` holds the plural, as upstream does.
 */
import { type StatusError, statusError } from "../client/status-error.ts";
import { resourceTypeOf } from "../resources/kinds.ts";
import type { ObjectMeta, Status } from "../resources/meta.ts";

type Details = NonNullable<Status["details"]>;

/** `deployments.apps`, `pods`: how messages name a kind. A kind that the table lacks is named by its own word. */
export function qualifiedResource(kind: string): string {
  const { group, kind: plural } = detailsOf(kind);
  return group === undefined ? (plural as string) : `${plural}.${group}`;
}

/** `Deployment.apps`, `Pod`: how the messages of Invalid name a kind. */
export function qualifiedKind(kind: string): string {
  const { group } = detailsOf(kind);
  return group === undefined ? kind : `${kind}.${group}`;
}

function detailsOf(kind: string): Details {
  const type = resourceTypeOf(kind);
  if (type === undefined) return { kind: kind.toLowerCase() };
  return type.group === "" ? { kind: type.plural } : { group: type.group, kind: type.plural };
}

export function notFound(kind: string, name: string): StatusError {
  return statusError(404, "NotFound", `${qualifiedResource(kind)} "${name}" not found`, {
    name,
    ...detailsOf(kind),
  });
}

/** For a path, group or kind that nobody serves. */
export function resourceNotFound(): StatusError {
  // Empty details are better than none: kubectl debug reads them without asking whether they are there.
  return statusError(404, "NotFound", "the server could not find the requested resource", {});
}

export function alreadyExists(kind: string, name: string): StatusError {
  return statusError(409, "AlreadyExists", `${qualifiedResource(kind)} "${name}" already exists`, {
    name,
    ...detailsOf(kind),
  });
}

const OBJECT_MODIFIED =
  "the object has been modified; please apply your changes to the latest version and try again";

export function conflict(kind: string, name: string, why: string = OBJECT_MODIFIED): StatusError {
  const message = `Operation cannot be fulfilled on ${qualifiedResource(kind)} "${name}": ${why}`;
  return statusError(409, "Conflict", message, { name, ...detailsOf(kind) });
}

/** A precondition of a delete. It names the kind, where every other conflict names the resource. */
export function preconditionFailed(kind: string, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualifiedKind(kind)} "${name}": ${why}`;
  return statusError(409, "Conflict", message, { name, ...detailsOf(kind), kind });
}

/** For kinds that are never overwritten blindly. */
export function versionRequired(kind: string, name: string): StatusError {
  const field = "metadata.resourceVersion";
  const message = "Invalid value: 0: must be specified for an update";
  return statusError(
    422,
    "Invalid",
    `${qualifiedResource(kind)} "${name}" is invalid: ${field}: ${message}`,
    {
      name,
      ...detailsOf(kind),
      causes: [{ reason: "FieldValueInvalid", message, field }],
    },
  );
}

/** An update of an object that has another uid by now, as the storage layer words it. */
export function uidMismatch(kind: string, metadata: ObjectMeta, uid: string): StatusError {
  const { namespace, name } = metadata;
  const { kind: plural } = detailsOf(kind);
  const key = ["/registry", plural, namespace, name].filter((part) => part !== undefined).join("/");
  const failure = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid ?? ""}`;
  const why = `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${failure}`;
  return conflict(kind, name, why);
}

export function forbidden(kind: string, name: string, why: string, causes?: Details["causes"]): StatusError {
  return statusError(403, "Forbidden", `${qualifiedResource(kind)} "${name}" is forbidden: ${why}`, {
    name,
    ...detailsOf(kind),
    ...(causes === undefined ? {} : { causes }),
  });
}

export function badRequest(message: string): StatusError {
  return statusError(400, "BadRequest", message);
}

export function methodNotSupported(kind: string, action: string): StatusError {
  const message = `${action} is not supported on resources of kind "${qualifiedResource(kind)}"`;
  return statusError(405, "MethodNotAllowed", message, detailsOf(kind));
}

export function tooManyRequests(message: string, causes: Details["causes"]): StatusError {
  return statusError(429, "TooManyRequests", message, { ...(causes === undefined ? {} : { causes }) });
}

/** A watch or list from a version that is no longer retained. */
export function expired(requested: number, oldest: number): StatusError {
  return statusError(410, "Expired", `too old resource version: ${requested} (${oldest})`);
}

/** A version that was not given out yet. */
export function tooLargeResourceVersion(requested: number, current: number): StatusError {
  return statusError(
    504,
    "Timeout",
    `Timeout: Too large resource version: ${requested}, current: ${current}`,
    {
      retryAfterSeconds: 1,
      causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    },
  );
}

/** What is wrong with the parameters of a request: `ListOptions.meta.k8s.io "" is invalid: …`. */
export function invalidOptions(
  kind: "ListOptions" | "PatchOptions",
  field: string,
  reason: "FieldValueForbidden" | "FieldValueRequired",
  message: string,
): StatusError {
  return statusError(422, "Invalid", `${kind}.meta.k8s.io "" is invalid: ${field}: ${message}`, {
    group: "meta.k8s.io",
    kind,
    causes: [{ reason, message, field }],
  });
}

export function internalError(message: string): StatusError {
  return statusError(500, "InternalError", `Internal error occurred: ${message}`, { causes: [{ message }] });
}
