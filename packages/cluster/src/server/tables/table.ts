/** Objects and lists as the `Table` that `kubectl get` asks for: it prints what the server says, whatever the kind. */
import type { KubeList, KubeObject } from "@slipway/kube";
import { columnsOf } from "./columns.ts";

/** How much of each object a row carries: kubectl takes the metadata for its own columns (namespace, labels). */
export type IncludeObject = "Metadata" | "Object" | "None";

export interface TableOptions {
  readonly version: "v1" | "v1beta1";
  readonly includeObject: IncludeObject;
  /** Milliseconds since the epoch, for ages. */
  readonly now: number;
  /** False for every frame of a watch but the first. */
  readonly withColumns: boolean;
}

export function tableOfList(kind: string, list: KubeList, options: TableOptions): unknown {
  return table(kind, list.items, list.metadata, options);
}

export function tableOfObject(object: KubeObject, options: TableOptions): unknown {
  const { resourceVersion } = object.metadata;
  return table(object.kind, [object], { resourceVersion }, options);
}

function table(
  kind: string,
  objects: readonly KubeObject[],
  metadata: unknown,
  options: TableOptions,
): unknown {
  const columns = columnsOf(kind);
  return {
    kind: "Table",
    apiVersion: `meta.k8s.io/${options.version}`,
    metadata,
    columnDefinitions: options.withColumns
      ? columns.map(({ name, type, format = "", description, priority = 0 }) => ({
          name,
          type,
          format,
          description,
          priority,
        }))
      : null,
    rows: objects.map((object) => ({
      // A bookmark of a watch has nothing but a resourceVersion; clients read its row's object only.
      cells: columns.map((column) =>
        object.metadata.name === undefined ? "" : column.cell(object, options.now),
      ),
      ...rowObject(object, options),
    })),
  };
}

function rowObject(object: KubeObject, options: TableOptions): { readonly object?: unknown } {
  switch (options.includeObject) {
    case "None":
      return {};
    case "Object":
      return { object };
    case "Metadata":
      return { object: partialMetadata(object, options.version) };
  }
}

export function partialMetadata(object: KubeObject, version: "v1" | "v1beta1"): unknown {
  return {
    kind: "PartialObjectMetadata",
    apiVersion: `meta.k8s.io/${version}`,
    metadata: object.metadata,
  };
}

export function partialMetadataList(list: KubeList, version: "v1" | "v1beta1"): unknown {
  return {
    kind: "PartialObjectMetadataList",
    apiVersion: `meta.k8s.io/${version}`,
    metadata: list.metadata,
    items: list.items.map((object) => partialMetadata(object, version)),
  };
}
