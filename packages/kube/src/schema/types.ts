/**
 * The shape of `table.json`: facts about Kubernetes types, made by `scripts/schema/generate.ts` from the OpenAPI
 * document of Kubernetes 1.20 plus the fields that came later. Two kinds of list keys stand side by side because
 * Kubernetes has two: `mergeKey` is for strategic merge patch, `listKeys` for server-side apply, and they differ
 * (a container's ports: `containerPort` against `containerPort` + `protocol`).
 */
export interface SchemaTable {
  readonly definitions: Readonly<Record<string, Definition>>;
}

export type SchemaType = "string" | "integer" | "number" | "boolean" | "object" | "array";

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** A named type: an object with properties, or a scalar like Quantity, Time and IntOrString. */
export interface Definition {
  readonly gvk?: readonly GroupVersionKind[];
  readonly type: SchemaType;
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Property>>;
  readonly required?: readonly string[];
  readonly mapType?: "atomic" | "granular";
}

/** One property, list element or map value. Exactly one of `type` and `ref` is set. */
export interface Property {
  readonly type?: SchemaType;
  /** `int32`, `int64`, `byte`, `double`. */
  readonly format?: string;
  /** Name of a definition. */
  readonly ref?: string;
  /** Element of a list. */
  readonly items?: Property;
  /** Value of a map with free keys. */
  readonly map?: Property;
  readonly default?: string | number | boolean;
  /** Strategic merge patch: `merge`, `replace`, `retainKeys`. */
  readonly strategy?: readonly string[];
  readonly mergeKey?: string;
  readonly listType?: "atomic" | "set" | "map";
  readonly listKeys?: readonly string[];
  readonly mapType?: "atomic" | "granular";
}
