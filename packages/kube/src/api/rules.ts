/**
 * The rules of Kubernetes' data (defaults, validation, patches, managed fields) as the pipeline calls them.
 */
import type { PatchType } from "../client/client.ts";
import { type StatusError, statusError } from "../client/status-error.ts";
import { setDefaults } from "../defaults/defaults.ts";
import { serverSideApply } from "../patch/apply.ts";
import { applyJsonPatch } from "../patch/json.ts";
import { trackManagedFields } from "../patch/managed-fields.ts";
import { applyMergePatch } from "../patch/merge.ts";
import { applyStrategicPatch } from "../patch/strategic.ts";
import type { KubeObject } from "../resources/meta.ts";
import { badRequest, qualifiedKind } from "./errors.ts";

export { serverSideApply, setDefaults, trackManagedFields };

export function validateCreate(_object: KubeObject): void {}
export function validateUpdate(
  _object: KubeObject,
  _old: KubeObject,
  _subresource: string | undefined,
): void {}
export function checkStrictly(
  _object: KubeObject,
  _mode: "Strict" | "Warn" | "Ignore",
  _prefix: string,
): readonly string[] {
  return [];
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
export function invalidField(object: KubeObject, field: string, problem: string): StatusError {
  const { name = "" } = object.metadata;
  const kind = qualifiedKind(object.kind);
  return statusError(422, "Invalid", `${kind} "${name}" is invalid: ${field}: ${problem}`, {
    name,
    kind: object.kind,
    ...(kind.includes(".") ? { group: kind.slice(kind.indexOf(".") + 1) } : {}),
    causes: [
      {
        reason: problem.startsWith("Required") ? "FieldValueRequired" : "FieldValueInvalid",
        message: problem,
        field,
      },
    ],
  });
}
