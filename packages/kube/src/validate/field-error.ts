/**
 * What is wrong with a field, as data, and its wording as in k8s.io/apimachinery `util/validation/field`. All errors of
 * an object go into one 422 with a cause each: `Deployment.apps "web" is invalid: spec.selector: Required value`.
 */
import { qualifiedKind } from "../api/errors.ts";
import { type StatusError, statusError } from "../client/status-error.ts";
import type { KubeObject } from "../resources/meta.ts";

export type FieldErrorReason =
  | "FieldValueRequired"
  | "FieldValueInvalid"
  | "FieldValueDuplicate"
  | "FieldValueNotSupported"
  | "FieldValueForbidden"
  | "FieldValueTooLong"
  | "FieldValueTooMany"
  | "FieldValueNotFound";

export interface FieldError {
  readonly reason: FieldErrorReason;
  /** `spec.containers[0].image` */
  readonly field: string;
  /** Without the field: `Invalid value: "x": must be …`. */
  readonly message: string;
}

/** Collects the errors of one object in the order in which its fields are looked at. */
export class FieldErrors {
  readonly list: FieldError[] = [];

  required(field: string, detail = ""): void {
    this.#add("FieldValueRequired", field, "Required value", detail);
  }

  invalid(field: string, value: unknown, detail: string): void {
    this.#add("FieldValueInvalid", field, `Invalid value: ${print(value)}`, detail);
  }

  duplicate(field: string, value: unknown): void {
    this.#add("FieldValueDuplicate", field, `Duplicate value: ${print(value)}`, "");
  }

  notSupported(field: string, value: unknown, supported: readonly string[]): void {
    const values = supported.map((item) => JSON.stringify(item)).sort();
    const detail = `supported values: ${values.join(", ")}`;
    this.#add("FieldValueNotSupported", field, `Unsupported value: ${print(value)}`, detail);
  }

  forbidden(field: string, detail: string): void {
    this.#add("FieldValueForbidden", field, "Forbidden", detail);
  }

  tooLong(field: string, maxBytes: number): void {
    this.#add("FieldValueTooLong", field, "Too long", `may not be more than ${maxBytes} bytes`);
  }

  tooMany(field: string, count: number, max: number): void {
    this.#add("FieldValueTooMany", field, `Too many: ${count}`, `must have at most ${max} items`);
  }

  notFound(field: string, value: unknown): void {
    this.#add("FieldValueNotFound", field, `Not found: ${print(value)}`, "");
  }

  /** A problem in words, if there is one. */
  check(field: string, value: unknown, problem: string | undefined): void {
    if (problem !== undefined) this.invalid(field, value, problem);
  }

  #add(reason: FieldErrorReason, field: string, head: string, detail: string): void {
    this.list.push({ reason, field, message: detail === "" ? head : `${head}: ${detail}` });
  }
}

/** Strings in quotes, numbers bare, everything else as JSON, as current servers print it. */
function print(value: unknown): string {
  return value === undefined ? "null" : JSON.stringify(value);
}

/** The one StatusError 422 for all errors of an object. `errors` must not be empty. */
export function invalidError(
  object: Pick<KubeObject, "kind" | "metadata">,
  errors: readonly FieldError[],
): StatusError {
  const kind = qualifiedKind(object.kind);
  const name = object.metadata.name ?? object.metadata.generateName ?? "";
  const lines = errors.map(({ field, message }) => `${field}: ${message}`);
  // The same fact can be found on two ways; it is told once.
  const distinct = [...new Set(lines)];
  const list = distinct.length === 1 ? distinct[0] : `[${distinct.join(", ")}]`;
  const dot = kind.indexOf(".");
  return statusError(422, "Invalid", `${kind} "${name}" is invalid: ${list}`, {
    name,
    ...(dot === -1 ? {} : { group: kind.slice(dot + 1) }),
    kind: object.kind,
    causes: errors.map(({ reason, message, field }) => ({ reason, message, field })),
  });
}
