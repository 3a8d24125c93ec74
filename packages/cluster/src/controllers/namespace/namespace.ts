/**
 * namespace-controller: empties a namespace that is being deleted, then lets it go by removing its finalizer
 * `kubernetes`. Pods keep their grace period, so a namespace with running pods takes as long as they do.
 */
import { type KubeObject, resourceTypes } from "@slipway/kube";
import type { Command, Controller, Decision, Key, Snapshot } from "../controller.ts";

const contentKinds = resourceTypes.filter(({ namespaced }) => namespaced).map(({ kind }) => kind);

export const namespaceController: Controller = {
  name: "namespace-controller",
  watches: [
    {
      kind: "Namespace",
      keys: ({ metadata }) => (metadata.deletionTimestamp === undefined ? [] : [metadata.name]),
    },
    ...contentKinds.map((kind) => ({ kind, keys: terminatingNamespaceOf })),
  ],
  decide,
};

function terminatingNamespaceOf(
  object: KubeObject,
  _previous: KubeObject | undefined,
  snapshot: Snapshot,
): readonly Key[] {
  const name = object.metadata.namespace ?? "";
  const namespace = snapshot.get("Namespace", "", name);
  return namespace?.metadata.deletionTimestamp === undefined ? [] : [name];
}

function decide(snapshot: Snapshot, key: Key): Decision {
  const namespace = snapshot.get("Namespace", "", key);
  if (namespace === undefined || namespace.metadata.deletionTimestamp === undefined) return { commands: [] };
  const content = contentKinds.flatMap((kind): readonly KubeObject[] => snapshot.list(kind, key));
  if (content.length > 0) {
    const commands = content
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(
        (object): Command => ({
          do: "delete",
          kind: object.kind,
          namespace: key,
          name: object.metadata.name,
          propagationPolicy: "Background",
        }),
      );
    return { commands };
  }
  const finalizers = namespace.spec?.finalizers ?? [];
  if (!finalizers.includes("kubernetes")) return { commands: [] };
  const object = {
    ...namespace,
    spec: { ...namespace.spec, finalizers: finalizers.filter((other) => other !== "kubernetes") },
  };
  return { commands: [{ do: "update", object, subresource: "finalize" }] };
}
