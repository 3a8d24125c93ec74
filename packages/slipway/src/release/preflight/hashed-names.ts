/** ConfigMaps and Secrets that nobody will find: they get another name, and nothing in the release follows it. Pure. */
import type { AnyObject } from "@slipway/kube";
import { plainNameOf } from "../manifests/config-names.ts";
import type { RawFinding } from "./finding.ts";

/**
 * @param objects of the release, with the names that they get in the cluster
 * @param jobs of its hooks, which may be all that reads one
 */
export function checkHashedNames(
  objects: readonly AnyObject[],
  jobs: readonly AnyObject[],
): readonly RawFinding[] {
  const texts = new Map([...objects, ...jobs].map((object) => [object, JSON.stringify(object)]));
  return objects.flatMap((object): readonly RawFinding[] => {
    const plain = plainNameOf(object);
    if (plain === undefined) return [];
    const { name } = object.metadata;
    // A reference is a name of its own, and a name with a hash is like no other text.
    const isNamed = [...texts].some(([other, text]) => other !== object && text.includes(`"${name}"`));
    if (isNamed) return [];
    return [
      {
        code: "HASHED_NAME_UNUSED",
        object: { ...object, metadata: { ...object.metadata, name: plain } },
        message: `is "${name}" in the cluster, and nothing in the release refers to it: who asks for "${plain}" does not find it`,
      },
    ];
  });
}
