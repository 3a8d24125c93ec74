/**
 * ConfigMaps and Secrets have a hash of their content in their names, so a change of content is another object. This finds
 * which is a new version of which. Pure.
 */
import type { AnyObject } from "@slipway/kube";
import type { PastRelease } from "../history/history.ts";
import { plainNameOf } from "../manifests/config-names.ts";

export interface ConfigVersions {
  /** `settings-4k8f2b9c7d` → `ConfigMap settings`. */
  readonly plainNames: ReadonlyMap<string, string>;
  /** By kind, namespace and plain name: what the running release has. */
  readonly before: ReadonlyMap<string, AnyObject>;
}

export function configOf(
  objects: readonly AnyObject[],
  records: readonly PastRelease[],
  running: PastRelease | undefined,
): ConfigVersions {
  const plainNames = new Map<string, string>();
  for (const object of [...objects, ...records.flatMap((record) => record.objects)]) {
    const plain = plainNameOf(object);
    if (plain !== undefined) plainNames.set(object.metadata.name, `${object.kind} ${plain}`);
  }
  const before = new Map<string, AnyObject>();
  for (const object of running?.objects ?? []) {
    const plain = plainNameOf(object);
    if (plain !== undefined) before.set(versionKey(object, plain), object);
  }
  return { plainNames, before };
}

export const versionKey = ({ kind, metadata }: AnyObject, plain: string): string =>
  `${kind} ${metadata.namespace ?? ""}/${plain}`;
