/**
 * Whether an object may be stored, with Kubernetes' own messages. Runs after defaulting. Rules are per kind in the
 * files beside this one; errors come back as a list, and `invalidError` makes the one 422 of them.
 *
 * @example
 * const errors = validateCreate(setDefaults(object));
 * if (errors.length > 0) throw invalidError(object, errors);
 */
import type { ConfigMap, Secret } from "../resources/cluster.ts";
import type { Kind, KindMap } from "../resources/kinds.ts";
import type { KubeObject } from "../resources/meta.ts";
import type { Deployment, ReplicaSet } from "../resources/workload.ts";
import {
  validateConfigMap,
  validateConfigUpdate,
  validateEvent,
  validateLease,
  validateNode,
  validateSecret,
} from "./cluster.ts";
import { type FieldError, FieldErrors } from "./field-error.ts";
import { validateMeta, validateMetaUpdate } from "./meta.ts";
import { validatePodSpec, validatePodUpdate } from "./pod.ts";
import type { Sent } from "./sent.ts";
import {
  validateEndpointSlice,
  validateEndpointSliceUpdate,
  validateEndpoints,
  validateService,
  validateServiceUpdate,
} from "./service.ts";
import {
  validateDeployment,
  validateDisruptionBudget,
  validateJob,
  validateJobUpdate,
  validateReplicaSet,
  validateSelectorUpdate,
} from "./workload.ts";

type Rules = { readonly [K in Kind]?: (object: Sent<KindMap[K]>, errors: FieldErrors) => void };
type UpdateRules = {
  readonly [K in Kind]?: (object: KindMap[K], old: KindMap[K], errors: FieldErrors) => void;
};

const RULES: Rules = {
  ConfigMap: validateConfigMap,
  Deployment: validateDeployment,
  EndpointSlice: validateEndpointSlice,
  Endpoints: validateEndpoints,
  Event: validateEvent,
  Job: validateJob,
  Lease: validateLease,
  Node: validateNode,
  Pod: (pod, errors) => validatePodSpec(pod.spec, "spec", errors),
  PodDisruptionBudget: validateDisruptionBudget,
  ReplicaSet: validateReplicaSet,
  Secret: validateSecret,
  Service: validateService,
};

const UPDATE_RULES: UpdateRules = {
  ConfigMap: (object, old, errors) => validateConfigUpdate<ConfigMap>(object, old, errors),
  Deployment: validateSelectorUpdate<Deployment>,
  EndpointSlice: validateEndpointSliceUpdate,
  Job: validateJobUpdate,
  Pod: validatePodUpdate,
  ReplicaSet: validateSelectorUpdate<ReplicaSet>,
  Secret: (object, old, errors) => validateConfigUpdate<Secret>(object, old, errors),
  Service: validateServiceUpdate,
};

/** What is wrong with a new object; empty when it may be stored. */
export function validateCreate(object: KubeObject): readonly FieldError[] {
  const errors = new FieldErrors();
  validateMeta(object, errors);
  validateBody(object, errors);
  return errors.list;
}

/**
 * What is wrong with a changed object. A body that is the very same value as before was validated when it came in and
 * is not looked at again, which makes writes to the status cheap.
 */
export function validateUpdate(object: KubeObject, old: KubeObject): readonly FieldError[] {
  const errors = new FieldErrors();
  validateMetaUpdate(object, old, errors);
  if (object.metadata !== old.metadata) validateMeta(object, errors);
  const spec = (object as { spec?: unknown }).spec;
  if (spec !== undefined && spec === (old as { spec?: unknown }).spec) return errors.list;
  const rule = UPDATE_RULES[object.kind as Kind] as
    | ((object: KubeObject, old: KubeObject, errors: FieldErrors) => void)
    | undefined;
  rule?.(object, old, errors);
  validateBody(object, errors);
  return errors.list;
}

function validateBody(object: KubeObject, errors: FieldErrors): void {
  const rule = RULES[object.kind as Kind] as ((object: unknown, errors: FieldErrors) => void) | undefined;
  rule?.(object, errors);
}
