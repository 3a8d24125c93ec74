/** Pods and the specs in templates, as in kubernetes `pkg/apis/core/validation`. */
import { isEqual } from "../patch/value.ts";
import type { Pod, PodSpec, Toleration, Volume } from "../resources/pod.ts";
import { labelKeyProblem, labelValueProblem } from "../selector/labels.ts";
import { validateContainer, validateOneOf } from "./container.ts";
import type { FieldErrors } from "./field-error.ts";
import { validateLabels, validateSelector } from "./meta.ts";
import { dnsLabelProblem, dnsSubdomainProblem, ipProblem } from "./names.ts";
import type { Sent } from "./sent.ts";

export function validatePodSpec(spec: Sent<PodSpec> | undefined, field: string, errors: FieldErrors): void {
  const { containers = [], initContainers = [], volumes = [] } = spec ?? {};
  const volumeNames = validateVolumes(volumes, `${field}.volumes`, errors);
  if (containers.length === 0) errors.required(`${field}.containers`);
  const context = {
    volumeNames,
    isHostNetwork: spec?.hostNetwork === true,
    takenNames: new Set<string>(),
  };
  for (const [index, container] of containers.entries()) {
    validateContainer(container, `${field}.containers[${index}]`, { ...context, isInit: false }, errors);
  }
  for (const [index, container] of initContainers.entries()) {
    const at = `${field}.initContainers[${index}]`;
    validateContainer(container, at, { ...context, isInit: true }, errors);
    validateOneOf(container.restartPolicy, `${at}.restartPolicy`, ["Always"], errors);
  }
  if (spec === undefined) return;
  validateLife(spec, field, errors);
  validatePlacement(spec, field, errors);
}

function validateLife(spec: Sent<PodSpec>, field: string, errors: FieldErrors): void {
  if (!spec.restartPolicy) errors.required(`${field}.restartPolicy`);
  validateOneOf(spec.restartPolicy, `${field}.restartPolicy`, ["Always", "OnFailure", "Never"], errors);
  const policies = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
  validateOneOf(spec.dnsPolicy, `${field}.dnsPolicy`, policies, errors);
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > 2 ** 31 - 1)) {
    errors.invalid(`${field}.activeDeadlineSeconds`, deadline, "must be between 1 and 2147483647, inclusive");
  }
  if (spec.serviceAccountName) {
    const problem = dnsSubdomainProblem(spec.serviceAccountName);
    errors.check(`${field}.serviceAccountName`, spec.serviceAccountName, problem);
  }
  for (const name of ["hostname", "subdomain"] as const) {
    const value = spec[name];
    if (value) errors.check(`${field}.${name}`, value, dnsLabelProblem(value));
  }
  for (const [index, alias] of (spec.hostAliases ?? []).entries()) {
    errors.check(`${field}.hostAliases[${index}].ip`, alias.ip ?? "", ipProblem(alias.ip ?? ""));
    for (const [position, hostname] of (alias.hostnames ?? []).entries()) {
      const at = `${field}.hostAliases[${index}].hostnames[${position}]`;
      errors.check(at, hostname, dnsSubdomainProblem(hostname));
    }
  }
}

function validatePlacement(spec: Sent<PodSpec>, field: string, errors: FieldErrors): void {
  if (spec.nodeName) errors.check(`${field}.nodeName`, spec.nodeName, dnsSubdomainProblem(spec.nodeName));
  validateLabels(spec.nodeSelector as Record<string, string> | undefined, `${field}.nodeSelector`, errors);
  for (const [index, toleration] of (spec.tolerations ?? []).entries()) {
    validateToleration(toleration, `${field}.tolerations[${index}]`, errors);
  }
  for (const [index, constraint] of (spec.topologySpreadConstraints ?? []).entries()) {
    const at = `${field}.topologySpreadConstraints[${index}]`;
    const { maxSkew = 0, topologyKey, whenUnsatisfiable = "" } = constraint;
    if (maxSkew <= 0) errors.invalid(`${at}.maxSkew`, maxSkew, "must be greater than zero");
    if (!topologyKey) errors.required(`${at}.topologyKey`, "can not be empty");
    validateOneOf(whenUnsatisfiable, `${at}.whenUnsatisfiable`, ["DoNotSchedule", "ScheduleAnyway"], errors);
    validateSelector(constraint.labelSelector, `${at}.labelSelector`, errors);
  }
}

function validateToleration(toleration: Sent<Toleration>, field: string, errors: FieldErrors): void {
  const { key = "", operator, value = "", effect, tolerationSeconds } = toleration;
  if (key !== "") errors.check(`${field}.key`, key, labelKeyProblem(key));
  if (key === "" && operator !== "Exists") {
    errors.invalid(
      `${field}.operator`,
      operator ?? "",
      'operator must be Exists when `key` is empty, which means "match all values and all keys"',
    );
  }
  if (tolerationSeconds !== undefined && effect !== "NoExecute") {
    errors.invalid(
      `${field}.effect`,
      effect ?? "",
      "effect must be 'NoExecute' when `tolerationSeconds` is set",
    );
  }
  if (operator === "Exists" && value !== "") {
    errors.invalid(`${field}.operator`, value, "value must be empty when `operator` is 'Exists'");
  } else if (operator !== "Exists") {
    errors.check(`${field}.operator`, value, labelValueProblem(value));
  }
  if (operator) validateOneOf(operator, `${field}.operator`, ["Equal", "Exists"], errors);
  if (effect)
    validateOneOf(effect, `${field}.effect`, ["NoSchedule", "PreferNoSchedule", "NoExecute"], errors);
}

/** Returns the names that mounts may use. */
function validateVolumes(
  volumes: readonly Sent<Volume>[],
  field: string,
  errors: FieldErrors,
): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [index, volume] of volumes.entries()) {
    const at = `${field}[${index}]`;
    const { name } = volume;
    const before = errors.list.length;
    validateVolumeSource(volume, at, errors);
    if (!name) {
      errors.required(`${at}.name`);
      continue;
    }
    errors.check(`${at}.name`, name, dnsLabelProblem(name));
    if (names.has(name)) errors.duplicate(`${at}.name`, name);
    // A volume that is wrong in itself does not take its name: the server tells one fact at a time.
    if (errors.list.length === before) names.add(name);
  }
  return names;
}

function validateVolumeSource(volume: Sent<Volume>, field: string, errors: FieldErrors): void {
  const [first, ...others] = Object.entries(volume)
    .filter(([name, source]) => name !== "name" && source !== undefined && source !== null)
    .map(([name]) => name);
  if (first === undefined) errors.required(field, "must specify a volume type");
  for (const other of others)
    errors.forbidden(`${field}.${other}`, "may not specify more than 1 volume type");
  if (volume.configMap && !volume.configMap.name) errors.required(`${field}.configMap.name`);
  if (volume.secret && !volume.secret.secretName) errors.required(`${field}.secret.secretName`);
  if (volume.hostPath && !volume.hostPath.path) errors.required(`${field}.hostPath.path`);
  if (volume.persistentVolumeClaim && !volume.persistentVolumeClaim.claimName) {
    errors.required(`${field}.persistentVolumeClaim.claimName`);
  }
  for (const name of ["configMap", "secret"] as const) {
    const mode = volume[name]?.defaultMode;
    if (mode !== undefined && (mode < 0 || mode > 0o777)) {
      const detail = "must be a number between 0 and 0777 (octal), both inclusive";
      errors.invalid(`${field}.${name}.defaultMode`, mode, detail);
    }
  }
}

const MUTABLE =
  "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/** A pod's spec is fixed once made, but for a few fields. Binding (nodeName) goes through its own subresource. */
export function validatePodUpdate(pod: Pod, old: Pod, errors: FieldErrors): void {
  for (const name of ["containers", "initContainers"] as const) {
    if ((pod.spec[name] ?? []).length !== (old.spec[name] ?? []).length) {
      errors.forbidden(`spec.${name}`, "pod updates may not add or remove containers");
      return;
    }
  }
  const kept = (old.spec.tolerations ?? []).every((toleration) =>
    (pod.spec.tolerations ?? []).some((other) => isEqual(other, toleration)),
  );
  if (!kept) {
    errors.forbidden(
      "spec.tolerations",
      "existing toleration can not be modified except its tolerationSeconds",
    );
  }
  if (old.spec.activeDeadlineSeconds !== undefined) {
    const deadline = pod.spec.activeDeadlineSeconds;
    if (deadline === undefined || deadline > old.spec.activeDeadlineSeconds) {
      const detail = `must be less than or equal to previous value`;
      errors.invalid("spec.activeDeadlineSeconds", deadline, detail);
    }
  }
  const changed = fixedFieldsThatDiffer(pod.spec, old.spec);
  if (changed.length === 0) return;
  const detail = `pod updates may not change fields other than ${MUTABLE}\n  changed: ${changed.join(", ")}`;
  errors.forbidden("spec", detail);
}

function fixedFieldsThatDiffer(spec: PodSpec, old: PodSpec): readonly string[] {
  const withOldImages = (
    containers: PodSpec["containers"] = [],
    before: PodSpec["containers"] = [],
  ): unknown => containers.map((container, index) => ({ ...container, image: before[index]?.image }));
  const normalized: PodSpec & Record<string, unknown> = {
    ...spec,
    containers: withOldImages(spec.containers, old.containers) as PodSpec["containers"],
    ...(spec.initContainers === undefined
      ? {}
      : { initContainers: withOldImages(spec.initContainers, old.initContainers) as PodSpec["containers"] }),
  };
  const mutable = new Set(["activeDeadlineSeconds", "tolerations"]);
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1) {
    mutable.add("terminationGracePeriodSeconds");
  }
  const names = new Set([...Object.keys(normalized), ...Object.keys(old)]);
  return [...names].filter(
    (name) =>
      !mutable.has(name) && !isEqual(normalized[name], (old as PodSpec & Record<string, unknown>)[name]),
  );
}
