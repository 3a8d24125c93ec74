export type * from "./api/api.ts";
export { type BootstrapOptions, bootstrapCluster } from "./api/bootstrap.ts";
export * from "./api/errors.ts";
export { parseResourceVersion } from "./api/list.ts";
export { type ApiOptions, createApi } from "./api/pipeline.ts";
export { type Selection, selectorOf, watchSelected } from "./api/selection.ts";
export { type Scale, scaleOf } from "./api/subresources.ts";
export type * from "./client/client.ts";
export type * from "./client/credentials.ts";
export { findObject } from "./client/find.ts";
export { createHttpClient, type HttpClientOptions } from "./client/http.ts";
export { createMemoryClient, type MemoryClientOptions, type PodAccess } from "./client/memory.ts";
export { type Failure, RETRIES, retryAfterMs } from "./client/retry.ts";
export { isReason, StatusError, statusError } from "./client/status-error.ts";
export { setDefaults } from "./defaults/defaults.ts";
export { type Apply, serverSideApply } from "./patch/apply.ts";
export { type DriftOptions, type FieldDifference, type FieldOwner, fieldDrift } from "./patch/drift.ts";
export { applyJsonPatch, type JsonPatchOperation } from "./patch/json.ts";
export { trackManagedFields, type Write as ManagedWrite } from "./patch/managed-fields.ts";
export { applyMergePatch, createMergePatch } from "./patch/merge.ts";
export { applyStrategicPatch } from "./patch/strategic.ts";
export { isEqual, isObject, type JsonObject } from "./patch/value.ts";
export {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  type ParsedQuantity,
  parseQuantity,
  type QuantityFormat,
  quantityMillis,
  quantityProblem,
  quantityValue,
  subtractQuantities,
} from "./quantity.ts";
export type * from "./resources/cluster.ts";
export * from "./resources/kinds.ts";
export type * from "./resources/meta.ts";
export type * from "./resources/pod.ts";
export type * from "./resources/service.ts";
export type * from "./resources/workload.ts";
export {
  anySchema,
  definitionNameOf,
  type FieldSchema,
  type FieldType,
  schemaOf,
  schemaTable,
  walkSchema,
} from "./schema/schema.ts";
export type * from "./schema/types.ts";
export {
  type FieldRequirement,
  type FieldSelector,
  fieldSelectorKeys,
  matchesFields,
  parseFieldSelector,
} from "./selector/fields.ts";
export {
  formatLabelSelector,
  type LabelOperator,
  type LabelRequirement,
  labelKeyProblem,
  labelValueProblem,
  matchesLabels,
  matchesRequirements,
  parseLabelSelector,
  requirementsOf,
} from "./selector/labels.ts";
export { type JournaledStore, type JournalOptions, openStore } from "./store/journal.ts";
export { createStore, type MemoryStore, type StoreOptions, type StoreSnapshot } from "./store/memory.ts";
export type * from "./store/store.ts";
export { duplicateFields } from "./validate/duplicates.ts";
export { type FieldError, type FieldErrorReason, FieldErrors, invalidError } from "./validate/field-error.ts";
export { dns1035LabelProblem, dnsLabelProblem, dnsSubdomainProblem } from "./validate/names.ts";
export { decodeProblem, pruneUnknown, strictProblems } from "./validate/strict.ts";
export { validateCreate, validateUpdate } from "./validate/validate.ts";
export { KUBERNETES_VERSION } from "./version.ts";
