/** ConfigMaps, Secrets, Leases, Nodes and Events, as in kubernetes `pkg/apis/{core,coordination}/validation`. */
import { isEqual } from "../patch/value.ts";
import type { ConfigMap, Event, Lease, Node, Secret } from "../resources/cluster.ts";
import { labelKeyProblem, labelValueProblem } from "../selector/labels.ts";
import { validateOneOf } from "./container.ts";
import type { FieldErrors } from "./field-error.ts";
import { configKeyProblem } from "./names.ts";
import type { Sent } from "./sent.ts";

const MAX_CONFIG_BYTES = 1024 * 1024;

export function validateConfigMap(configMap: Sent<ConfigMap>, errors: FieldErrors): void {
  let bytes = 0;
  const data = (configMap.data ?? {}) as Record<string, string>;
  const binaryData = (configMap.binaryData ?? {}) as Record<string, string>;
  for (const [key, value] of Object.entries(data)) {
    errors.check(`data[${key}]`, key, configKeyProblem(key));
    if (Object.hasOwn(binaryData, key))
      errors.invalid(`data[${key}]`, key, "duplicate of key present in binaryData");
    bytes += Buffer.byteLength(value);
  }
  for (const [key, value] of Object.entries(binaryData)) {
    errors.check(`binaryData[${key}]`, key, configKeyProblem(key));
    bytes += Buffer.byteLength(value, "base64");
  }
  // The object as a whole: Go prints the path without a name like this.
  if (bytes > MAX_CONFIG_BYTES) errors.tooLong("[]", MAX_CONFIG_BYTES);
}

/** Keys that a type of Secret promises to its readers. */
const REQUIRED_KEYS: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
};

export function validateSecret(secret: Sent<Secret>, errors: FieldErrors): void {
  const data = (secret.data ?? {}) as Record<string, string>;
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    errors.check(`data[${key}]`, key, configKeyProblem(key));
    bytes += Buffer.byteLength(value, "base64");
  }
  if (bytes > MAX_CONFIG_BYTES) errors.tooLong("data", MAX_CONFIG_BYTES);
  for (const key of REQUIRED_KEYS[secret.type ?? ""] ?? []) {
    if (!Object.hasOwn(data, key)) errors.required(`data[${key}]`);
  }
}

const IS_IMMUTABLE = "field is immutable when `immutable` is set";

/** A ConfigMap or Secret marked immutable can only be deleted. */
export function validateConfigUpdate<T extends ConfigMap | Secret>(
  object: T,
  old: T,
  errors: FieldErrors,
): void {
  if (object.kind === "Secret" && object.type !== (old as Secret).type) {
    errors.invalid("type", object.type ?? "", "field is immutable");
  }
  if (old.immutable !== true) return;
  if (object.immutable !== true) errors.forbidden("immutable", IS_IMMUTABLE);
  if (!isEqual(object.data ?? {}, old.data ?? {})) errors.forbidden("data", IS_IMMUTABLE);
  if (object.kind === "ConfigMap") {
    const before = (old as ConfigMap).binaryData ?? {};
    if (!isEqual(object.binaryData ?? {}, before)) errors.forbidden("binaryData", IS_IMMUTABLE);
  }
}

export function validateLease(lease: Sent<Lease>, errors: FieldErrors): void {
  const { leaseDurationSeconds, leaseTransitions } = lease.spec ?? {};
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0) {
    errors.invalid("spec.leaseDurationSeconds", leaseDurationSeconds, "must be greater than 0");
  }
  if (leaseTransitions !== undefined && leaseTransitions < 0) {
    errors.invalid("spec.leaseTransitions", leaseTransitions, "must be greater than or equal to 0");
  }
}

const TAINT_EFFECTS = ["NoExecute", "NoSchedule", "PreferNoSchedule"];

export function validateNode(node: Sent<Node>, errors: FieldErrors): void {
  const seen = new Set<string>();
  for (const [index, taint] of (node.spec?.taints ?? []).entries()) {
    const at = `spec.taints[${index}]`;
    const { key = "", value = "", effect } = taint;
    errors.check(`${at}.key`, key, labelKeyProblem(key));
    errors.check(`${at}.value`, value, labelValueProblem(value));
    if (!effect) errors.required(`${at}.effect`);
    else validateOneOf(effect, `${at}.effect`, TAINT_EFFECTS, errors);
    const identity = `${key}:${effect}`;
    if (seen.has(identity)) errors.duplicate(at, taint);
    seen.add(identity);
  }
}

export function validateEvent(event: Sent<Event>, errors: FieldErrors): void {
  const involved = event.involvedObject?.namespace ?? "";
  const own = event.metadata?.namespace ?? "";
  // Events about objects without a namespace live in `default`.
  if (involved !== own && !(involved === "" && own === "default")) {
    errors.invalid("involvedObject.namespace", involved, "does not match event.namespace");
  }
}
