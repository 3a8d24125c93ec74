/**
 * namespace-controller: empties a namespace that is being deleted, then lets it go by removing its finalizer
 * `kubernetes`. Pods keep their grace period, so a namespace with running pods takes as long as they do. What it
 * waits for stands in the namespace's conditions (`remaining.ts`).
 */
import { type KubeObject, resourceTypes } from "@slipway/kube";
import type { Command, Controller, Decision, Key, Snapshot } from "../controller.ts";
import { withRemaining } from "./remaining.ts";

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

function decide(snapshot: Snapshot, key: Key, now: number): Decision {
  const namespace = snapshot.get("Namespace", "", key);
  if (namespace === undefined || namespace.metadata.deletionTimestamp === undefined) return { commands: [] };
  const content = contentKinds.flatMap((kind): readonly KubeObject[] => snapshot.list(kind, key));
  if (content.length > 0) {
    const deletions = content
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
    // What goes at once is not worth a word: the conditions are written when there is nothing left to delete.
    if (deletions.length > 0) return { commands: deletions };
    const told = withRemaining(namespace, content, now);
    return { commands: told === undefined ? [] : [{ do: "update-status", object: told }] };
  }
  const finalizers = namespace.spec?.finalizers ?? [];
  if (!finalizers.includes("kubernetes")) return { commands: [] };
  const object = {
    ...namespace,
    spec: { ...namespace.spec, finalizers: finalizers.filter((other) => other !== "kubernetes") },
  };
  return { commands: [{ do: "update", object, subresource: "finalize" }] };
}
