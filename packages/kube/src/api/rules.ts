/**
 * The rules of Kubernetes' data (defaults, validation, patches, managed fields) as the pipeline calls them.
 */
import { SlipwayError } from "@slipway/base";
import type { PatchType } from "../client/client.ts";
import { type StatusError, statusError } from "../client/status-error.ts";
import type { KubeObject } from "../resources/meta.ts";
import { qualifiedKind } from "./errors.ts";

export function setDefaults(object: KubeObject): KubeObject {
  return object;
}
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
export function trackManagedFields(facts: {
  before: KubeObject | undefined;
  after: KubeObject;
  manager: string;
  operation: "Update";
  now: number;
  subresource: string | undefined;
}): KubeObject {
  return facts.after;
}
export function serverSideApply(_facts: {
  live: KubeObject | undefined;
  applied: KubeObject;
  manager: string;
  force: boolean;
  now: number;
  subresource: string | undefined;
}): KubeObject {
  throw new SlipwayError({ code: "KUBE_APPLY_MISSING", message: "server-side apply is not linked in yet" });
}
export function applyPatch<T extends KubeObject>(_object: T, type: PatchType, _body: unknown): T {
  throw new SlipwayError({ code: "KUBE_PATCH_MISSING", message: `patch type ${type} is not linked in yet` });
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
