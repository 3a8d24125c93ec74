/**
 * The rules of Kubernetes' data (defaults, validation, patches, managed fields) as the pipeline calls them.
 */
import type { PatchType } from "../client/client.ts";
import { type StatusError, statusError } from "../client/status-error.ts";
import { setDefaults } from "../defaults/defaults.ts";
import { serverSideApply, untypedPatch } from "../patch/apply.ts";
import { applyJsonPatch } from "../patch/json.ts";
import { trackManagedFields } from "../patch/managed-fields.ts";
import { applyMergePatch } from "../patch/merge.ts";
import { applyStrategicPatch } from "../patch/strategic.ts";
import type { KubeObject } from "../resources/meta.ts";
import { invalidError } from "../validate/field-error.ts";
import { decodeProblem, pruneUnknown, strictProblems } from "../validate/strict.ts";
import { validateCreate, validateUpdate } from "../validate/validate.ts";
import { badRequest } from "./errors.ts";

export { serverSideApply, setDefaults, trackManagedFields };

/** Throws one 422 with everything that is wrong with a new object. */
export function requireValid(object: KubeObject): void {
  const errors = validateCreate(object);
  if (errors.length > 0) throw invalidError(object, errors);
}

/** Throws one 422 with everything that is wrong with a changed object. */
export function requireValidUpdate(object: KubeObject, old: KubeObject): void {
  const errors = validateUpdate(object, old);
  if (errors.length > 0) throw invalidError(object, errors);
}

/**
 * Throws what the server says of unknown fields in an apply, whatever the field validation: the merge is typed, so
 * they cannot be dropped.
 */
export function requireDeclaredFields(object: KubeObject): void {
  const [problem] = strictProblems(object);
  if (problem === undefined) return;
  const path = problem.replace(/^unknown field "(.*)"$/, ".$1");
  throw untypedPatch(object, `${path}: field not declared in schema`);
}

/**
 * The object as a typed server reads it, with the warnings that go to the client. Throws for a value of the wrong
 * type, and for unknown fields under Strict; else they are dropped. What was sent whole is refused with 400; what a
 * patch has led to with 422, as if it were a field `patch`.
 */
export function decode(
  object: KubeObject,
  {
    mode,
    from,
    duplicates,
  }: {
    readonly mode: "Strict" | "Warn" | "Ignore";
    readonly from: "body" | "patch";
    /** Fields that the text gave twice; the object holds the last of each. */
    readonly duplicates: readonly string[];
  },
): { readonly object: KubeObject; readonly warnings: readonly string[] } {
  const prefix = `${object.kind} in version "${object.apiVersion.split("/").at(-1)}" cannot be handled as a ${object.kind}: `;
  const mismatch = decodeProblem(object);
  if (mismatch !== undefined) {
    throw from === "body" ? badRequest(mismatch) : invalidPatch(object, mismatch.replace(prefix, ""));
  }
  const problems = [...duplicates, ...strictProblems(object)];
  if (problems.length === 0) return { object, warnings: [] };
  if (mode === "Strict") {
    throw badRequest(`${from === "body" ? prefix : ""}strict decoding error: ${problems.join(", ")}`);
  }
  return { object: pruneUnknown(object), warnings: mode === "Warn" ? problems : [] };
}

function invalidPatch(object: KubeObject, problem: string): StatusError {
  const field = "patch";
  const message = `Invalid value: ${JSON.stringify(JSON.stringify(object))}: ${problem}`;
  const causes = [{ reason: "FieldValueInvalid", message, field }];
  return statusError(422, "Invalid", ` "" is invalid: ${field}: ${message}`, { causes });
}

export function applyPatch(object: KubeObject, type: PatchType, body: unknown): KubeObject {
  const patched = patch(object, type, body);
  if (patched.kind === object.kind && patched.apiVersion === object.apiVersion && patched.metadata)
    return patched;
  throw badRequest("a patch cannot change apiVersion, kind or the whole of metadata");
}

function patch(object: KubeObject, type: PatchType, body: unknown): KubeObject {
  switch (type) {
    case "json":
      return applyJsonPatch<KubeObject>(object, body);
    case "merge":
      return applyMergePatch<KubeObject>(object, body);
    case "strategic":
      return applyStrategicPatch<KubeObject>(object, body, object.apiVersion, object.kind);
  }
}

/** A 422 about one field: `Service "x" is invalid: spec.clusterIPs: Invalid value: …`. */
export function invalidField(object: KubeObject, field: string, message: string): StatusError {
  const reason = message.startsWith("Required") ? "FieldValueRequired" : "FieldValueInvalid";
  return invalidError(object, [{ reason, field, message }]);
}
