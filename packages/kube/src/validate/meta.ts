/** Metadata and label selectors, as in k8s.io/apimachinery `api/validation`. */
import { Buffer } from "node:buffer";
import { resourceTypeOf } from "../resources/kinds.ts";
import type { KubeObject, LabelSelector, ObjectMeta, StringMap } from "../resources/meta.ts";
import { labelKeyProblem, labelValueProblem } from "../selector/labels.ts";
import type { FieldErrors } from "./field-error.ts";
import { dns1035LabelProblem, dnsLabelProblem, dnsSubdomainProblem } from "./names.ts";
import type { Sent } from "./sent.ts";

const STANDARD_FINALIZERS = ["kubernetes", "orphan", "foregroundDeletion"];
const MAX_ANNOTATION_BYTES = 256 * 1024;

const NAME_RULES: Readonly<Record<string, (name: string) => string | undefined>> = {
  Namespace: dnsLabelProblem,
  Service: dns1035LabelProblem,
};

export function validateMeta(object: KubeObject, errors: FieldErrors): void {
  const metadata = object.metadata as Sent<ObjectMeta>;
  validateName(object.kind, metadata, errors);
  const isNamespaced = resourceTypeOf(object.kind)?.namespaced ?? metadata.namespace !== undefined;
  if (!isNamespaced) {
    if (metadata.namespace) errors.forbidden("metadata.namespace", "not allowed on this type");
  } else if (!metadata.namespace) {
    errors.required("metadata.namespace");
  } else {
    errors.check("metadata.namespace", metadata.namespace, dnsLabelProblem(metadata.namespace));
  }
  validateLabels(metadata.labels as StringMap | undefined, "metadata.labels", errors);
  validateAnnotations(metadata.annotations as StringMap | undefined, "metadata.annotations", errors);
  validateOwners(metadata.ownerReferences ?? [], errors);
  for (const [index, finalizer] of (metadata.finalizers ?? []).entries()) {
    errors.check("metadata.finalizers", finalizer, labelKeyProblem(finalizer));
    if (finalizer.includes("/") || STANDARD_FINALIZERS.includes(finalizer)) continue;
    const detail = "name is neither a standard finalizer name nor is it fully qualified";
    errors.invalid(`metadata.finalizers[${index}]`, finalizer, detail);
  }
}

function validateName(kind: string, metadata: Sent<ObjectMeta>, errors: FieldErrors): void {
  if (!metadata.name) {
    errors.required("metadata.name", "name or generateName is required");
    return;
  }
  const rule = NAME_RULES[kind] ?? dnsSubdomainProblem;
  errors.check("metadata.name", metadata.name, rule(metadata.name));
}

export function validateLabels(labels: StringMap | undefined, field: string, errors: FieldErrors): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    errors.check(field, key, labelKeyProblem(key));
    errors.check(field, value, labelValueProblem(value));
  }
}

export function validateAnnotations(
  annotations: StringMap | undefined,
  field: string,
  errors: FieldErrors,
): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    // The rule for names is applied to the lower-case key: annotations may use capitals in the prefix too.
    errors.check(field, key, labelKeyProblem(key.toLowerCase()));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > MAX_ANNOTATION_BYTES) errors.tooLong(field, MAX_ANNOTATION_BYTES);
}

function validateOwners(owners: Sent<NonNullable<ObjectMeta["ownerReferences"]>>, errors: FieldErrors): void {
  const field = "metadata.ownerReferences";
  for (const owner of owners) {
    if (!owner.apiVersion)
      errors.invalid(`${field}.apiVersion`, owner.apiVersion ?? "", "version must not be empty");
    if (!owner.kind) errors.invalid(`${field}.kind`, owner.kind ?? "", "kind must not be empty");
    if (!owner.name) errors.invalid(`${field}.name`, owner.name ?? "", "name must not be empty");
    if (!owner.uid) errors.invalid(`${field}.uid`, owner.uid ?? "", "uid must not be empty");
  }
  const controllers = owners.filter(({ controller }) => controller === true);
  if (controllers.length > 1) {
    errors.invalid(
      field,
      owners,
      `Only one reference can have Controller set to true. Found "true" in references for ${controllers[0]?.kind}/${controllers[0]?.name} and ${controllers[1]?.kind}/${controllers[1]?.name}`,
    );
  }
}

const IMMUTABLE = ["name", "namespace", "uid", "creationTimestamp"] as const;

export function validateMetaUpdate(object: KubeObject, old: KubeObject, errors: FieldErrors): void {
  for (const name of IMMUTABLE) {
    const value = object.metadata[name] ?? undefined;
    if (value !== (old.metadata[name] ?? undefined)) {
      errors.invalid(`metadata.${name}`, value ?? "", "field is immutable");
    }
  }
  if (old.metadata.deletionTimestamp === undefined) return;
  // An object on its way out cannot be given new reasons to stay.
  const added = (object.metadata.finalizers ?? []).filter(
    (finalizer) => !(old.metadata.finalizers ?? []).includes(finalizer),
  );
  if (added.length > 0) {
    errors.forbidden(
      "metadata.finalizers",
      `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((item) => JSON.stringify(item)).join(", ")}}`,
    );
  }
}

export function validateSelector(
  selector: Sent<LabelSelector> | undefined,
  field: string,
  errors: FieldErrors,
): void {
  validateLabels(selector?.matchLabels as StringMap | undefined, `${field}.matchLabels`, errors);
  for (const [index, expression] of (selector?.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${index}]`;
    const { operator = "", key = "", values = [] } = expression;
    if (operator === "In" || operator === "NotIn") {
      if (values.length === 0) {
        errors.required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
      }
    } else if (operator === "Exists" || operator === "DoesNotExist") {
      if (values.length > 0) {
        errors.forbidden(
          `${at}.values`,
          "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        );
      }
    } else {
      errors.invalid(`${at}.operator`, operator, "not a valid selector operator");
    }
    errors.check(`${at}.key`, key, labelKeyProblem(key));
    for (const [position, value] of values.entries()) {
      errors.check(`${at}.values[${position}]`, value, labelValueProblem(value));
    }
  }
}
