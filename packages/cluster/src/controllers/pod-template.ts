/** A pod of a controller's template, as upstream's GetPodFromTemplate makes it for every controller that has one. */
import type { Job, Pod, ReplicaSet, StringMap } from "@slipway/kube";
import { controllerReference } from "./replicaset/claim.ts";

/** The API server makes its name, from the owner's. `more` are labels beside those of the template. */
export function podFromTemplate(owner: Job | ReplicaSet, more: StringMap = {}): Pod {
  const { template } = owner.spec;
  const { namespace, name } = owner.metadata;
  const { annotations, finalizers } = template.metadata ?? {};
  const labels = { ...template.metadata?.labels, ...more };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "",
      generateName: `${name}-`,
      ...(namespace === undefined ? {} : { namespace }),
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(finalizers === undefined ? {} : { finalizers }),
      ownerReferences: [controllerReference(owner)],
    },
    spec: template.spec,
  };
}
