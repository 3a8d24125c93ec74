/**
 * Objects in an API version that a cluster serves, asked by discovery and never by trying. PodDisruptionBudget is
 * policy/v1beta1 up to 1.20 and policy/v1 from 1.25 on: one manifest goes to both, and a release that was stored
 * before an upgrade can be gone back to after it.
 */
import type { AnyObject, KubeClient, ObjectRef, TypeRef } from "@slipway/kube";
import { convertTo, versionsOf } from "./api-versions.ts";

/** One question for each version of a group, however many objects ask it. */
export interface Discovery {
  serves(type: TypeRef): Promise<boolean>;
}

export function discoveryOf(client: KubeClient): Discovery {
  const asked = new Map<string, Promise<boolean>>();
  return {
    serves(type) {
      const key = `${type.apiVersion} ${type.kind}`;
      const known = asked.get(key) ?? client.serves(type);
      asked.set(key, known);
      // A failure is not remembered: whoever tries again asks again.
      known.catch(() => asked.delete(key));
      return known;
    },
  };
}

/** `reason`: the cluster serves another version, in which the object would mean something else. */
export interface ServedObject {
  readonly object: AnyObject;
  readonly reason?: string | undefined;
}

/** The object as it is written where that is served, or where nothing else is: then its apply says so. */
export async function servedObject(discovery: Discovery, object: AnyObject): Promise<ServedObject> {
  const versions = versionsOf(object);
  if (versions.length === 0 || (await discovery.serves(object))) return { object };
  let reason: string | undefined;
  for (const apiVersion of versions) {
    if (apiVersion === object.apiVersion) continue;
    if (!(await discovery.serves({ apiVersion, kind: object.kind }))) continue;
    const conversion = convertTo(object, apiVersion);
    if ("object" in conversion) return conversion;
    reason ??= `it serves ${apiVersion}, but ${conversion.reason}`;
  }
  return reason === undefined ? { object } : { object, reason };
}

/** The same object by a version that the cluster serves, for reading and deleting it. */
export async function servedRef(discovery: Discovery, ref: ObjectRef): Promise<ObjectRef> {
  const versions = versionsOf(ref);
  if (versions.length === 0 || (await discovery.serves(ref))) return ref;
  for (const apiVersion of versions) {
    if (await discovery.serves({ apiVersion, kind: ref.kind })) return { ...ref, apiVersion };
  }
  return ref;
}
