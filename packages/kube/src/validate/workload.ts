/** Deployments, ReplicaSets and PodDisruptionBudgets, as in kubernetes `pkg/apis/{apps,policy}/validation`. */
import { isEqual } from "../patch/value.ts";
import type { LabelSelector, StringMap } from "../resources/meta.ts";
import type { PodTemplateSpec } from "../resources/pod.ts";
import type { Deployment, Job, PodDisruptionBudget, ReplicaSet } from "../resources/workload.ts";
import { matchesLabels } from "../selector/labels.ts";
import type { FieldErrors } from "./field-error.ts";
import { validateAnnotations, validateLabels, validateSelector } from "./meta.ts";
import { isZero, validateAtMostAll, validateCountOrPercent, validateNonNegative } from "./numbers.ts";
import { validatePodSpec } from "./pod.ts";
import type { Sent } from "./sent.ts";

export function validateDeployment(deployment: Sent<Deployment>, errors: FieldErrors): void {
  const { spec } = deployment;
  validateNonNegative(spec?.replicas, "spec.replicas", errors);
  validateOwnSelector(spec?.selector, errors);
  validateTemplate(spec?.template, spec?.selector, errors);
  validateStrategy(spec?.strategy, errors);
  validateNonNegative(spec?.minReadySeconds, "spec.minReadySeconds", errors);
  validateNonNegative(spec?.revisionHistoryLimit, "spec.revisionHistoryLimit", errors);
  const deadline = spec?.progressDeadlineSeconds;
  if (deadline === undefined) return;
  validateNonNegative(deadline, "spec.progressDeadlineSeconds", errors);
  if (deadline <= (spec?.minReadySeconds ?? 0)) {
    errors.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
  }
}

export function validateReplicaSet(replicaSet: Sent<ReplicaSet>, errors: FieldErrors): void {
  const { spec } = replicaSet;
  validateNonNegative(spec?.replicas, "spec.replicas", errors);
  validateNonNegative(spec?.minReadySeconds, "spec.minReadySeconds", errors);
  validateOwnSelector(spec?.selector, errors);
  validateTemplate(spec?.template, spec?.selector, errors);
}

/** Pods that are always restarted never end, so a Job of them would not either. */
export function validateJob(job: Sent<Job>, errors: FieldErrors): void {
  const { spec } = job;
  validateNonNegative(spec?.parallelism, "spec.parallelism", errors);
  validateNonNegative(spec?.completions, "spec.completions", errors);
  validateNonNegative(spec?.backoffLimit, "spec.backoffLimit", errors);
  validateNonNegative(spec?.activeDeadlineSeconds, "spec.activeDeadlineSeconds", errors);
  validatePodSpec(spec?.template?.spec, "spec.template.spec", errors);
  const policy = spec?.template?.spec?.restartPolicy;
  if (policy === "OnFailure" || policy === "Never") return;
  const detail = 'Required value: valid values: "OnFailure", "Never"';
  errors.invalid("spec.template.spec.restartPolicy", policy ?? "", detail);
}

export function validateJobUpdate(job: Job, old: Job, errors: FieldErrors): void {
  for (const field of ["template", "selector", "completions"] as const) {
    if (!isEqual(job.spec[field], old.spec[field])) {
      errors.invalid(`spec.${field}`, job.spec[field], "field is immutable");
    }
  }
}

function validateOwnSelector(selector: Sent<LabelSelector> | undefined, errors: FieldErrors): void {
  if (selector === undefined || selector === null) {
    errors.required("spec.selector");
    return;
  }
  validateSelector(selector, "spec.selector", errors);
  if (isEmptySelector(selector)) {
    errors.invalid("spec.selector", selector, "empty selector is invalid for deployment");
  }
}

function isEmptySelector(selector: Sent<LabelSelector>): boolean {
  return Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length === 0;
}

function validateTemplate(
  template: Sent<PodTemplateSpec> | undefined,
  selector: Sent<LabelSelector> | undefined,
  errors: FieldErrors,
): void {
  const labels = template?.metadata?.labels as StringMap | undefined;
  if (selector && !isEmptySelector(selector) && !matchesLabels(selector as LabelSelector, labels)) {
    const detail = "`selector` does not match template `labels`";
    errors.invalid("spec.template.metadata.labels", labels ?? null, detail);
  }
  validateLabels(labels, "spec.template.labels", errors);
  validateAnnotations(
    template?.metadata?.annotations as StringMap | undefined,
    "spec.template.annotations",
    errors,
  );
  validatePodSpec(template?.spec, "spec.template.spec", errors);
  const policy = template?.spec?.restartPolicy;
  if (policy !== undefined && policy !== "Always") {
    errors.notSupported("spec.template.spec.restartPolicy", policy, ["Always"]);
  }
  if (template?.spec?.activeDeadlineSeconds !== undefined) {
    errors.forbidden(
      "spec.template.spec.activeDeadlineSeconds",
      "activeDeadlineSeconds in ReplicaSet is not Supported",
    );
  }
}

function validateStrategy(
  strategy: Sent<NonNullable<Deployment["spec"]["strategy"]>> | undefined,
  errors: FieldErrors,
): void {
  const field = "spec.strategy";
  const { type, rollingUpdate } = strategy ?? {};
  if (type === "Recreate") {
    if (rollingUpdate) {
      errors.forbidden(`${field}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'");
    }
    return;
  }
  if (type !== "RollingUpdate") {
    errors.notSupported(`${field}.type`, type ?? "", ["Recreate", "RollingUpdate"]);
    return;
  }
  if (!rollingUpdate) {
    errors.required(`${field}.rollingUpdate`, "this should be defaulted and never be nil");
    return;
  }
  const { maxUnavailable, maxSurge } = rollingUpdate;
  validateCountOrPercent(maxUnavailable, `${field}.rollingUpdate.maxUnavailable`, errors);
  validateCountOrPercent(maxSurge, `${field}.rollingUpdate.maxSurge`, errors);
  // With no pod more and no pod less than wanted, nothing could ever be replaced.
  if (isZero(maxUnavailable) && isZero(maxSurge)) {
    const detail = "may not be 0 when `maxSurge` is 0";
    errors.invalid(`${field}.rollingUpdate.maxUnavailable`, maxUnavailable ?? 0, detail);
  }
  validateAtMostAll(maxUnavailable, `${field}.rollingUpdate.maxUnavailable`, errors);
}

/** The selector decides which pods belong to it; changing it would orphan them. */
export function validateSelectorUpdate<T extends Deployment | ReplicaSet>(
  object: T,
  old: T,
  errors: FieldErrors,
): void {
  if (isEqual(object.spec.selector, old.spec.selector)) return;
  errors.invalid("spec.selector", object.spec.selector, "field is immutable");
}

export function validateDisruptionBudget(budget: Sent<PodDisruptionBudget>, errors: FieldErrors): void {
  const { minAvailable, maxUnavailable, selector } = budget.spec ?? {};
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    errors.invalid("spec", budget.spec, "minAvailable and maxUnavailable cannot be both set");
  }
  for (const [name, value] of [
    ["minAvailable", minAvailable],
    ["maxUnavailable", maxUnavailable],
  ] as const) {
    validateCountOrPercent(value, `spec.${name}`, errors);
    validateAtMostAll(value, `spec.${name}`, errors);
  }
  validateSelector(selector, "spec.selector", errors);
}
