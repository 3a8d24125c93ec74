/** How a release's objects differ from those of the release before, as `slipway plan` writes it. Pure. */

import type { AnyObject } from "@slipway/kube";
import { type KubeObject, schemaOf } from "@slipway/kube";
import { plainNameOf } from "../../../release/manifests/config-names.ts";
import type { ReleaseRecord } from "../../../release/model.ts";
import { configOf, versionKey } from "../../../release/plan/config-versions.ts";
import { creationChanges, describeChanges, withoutBookkeeping } from "../../../release/plan/diff.ts";
import { renderPlannedObjects } from "../../../release/plan/plan-text.ts";
import type { PlannedObject } from "../../../release/plan/planned-object.ts";

/** Values of Secrets are masked: that one changed is all that is told. */
export function releaseDiff(before: ReleaseRecord | undefined, after: ReleaseRecord): string {
  const all = before === undefined ? [after] : [after, before];
  const { plainNames } = configOf(after.objects, all, before);
  const keyOf = (object: AnyObject): string =>
    versionKey(object, plainNameOf(object) ?? object.metadata.name);
  const old = new Map((before?.objects ?? []).map((object) => [keyOf(object), object]));
  const planned = after.objects.map((object): PlannedObject => {
    const was = old.get(keyOf(object));
    old.delete(keyOf(object));
    const about = aboutOf(object);
    if (was === undefined) return { ...about, action: "create", changes: creationChanges(object) };
    const changes = describeChanges(
      withoutBookkeeping(named(was) as KubeObject),
      withoutBookkeeping(named(object) as KubeObject),
      { schema: schemaOf(object.apiVersion, object.kind), masked: object.kind === "Secret", plainNames },
    );
    return { ...about, action: changes.length === 0 ? "unchanged" : "change", changes };
  });
  const going = [...old.values()].map(
    (object): PlannedObject => ({ ...aboutOf(object), action: "prune", changes: [] }),
  );
  return renderPlannedObjects([...planned, ...going], after.namespace).join("\n");
}

/** Under the name of the manifest: two versions of one ConfigMap differ in content, not in a hash. */
function named(object: AnyObject): AnyObject {
  const plain = plainNameOf(object);
  return plain === undefined ? object : { ...object, metadata: { ...object.metadata, name: plain } };
}

function aboutOf(object: AnyObject): Pick<PlannedObject, "kind" | "namespace" | "name"> {
  const { kind, metadata } = object;
  return { kind, namespace: metadata.namespace, name: plainNameOf(object) ?? metadata.name };
}
