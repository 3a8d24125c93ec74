import type { KubeObject } from "../resources/meta.ts";
import type { KubeClient, ObjectRef } from "./client.ts";
import { isReason } from "./status-error.ts";

/** The object, or undefined when there is none. Throws what `get` throws but NotFound. */
export async function findObject<T extends KubeObject = KubeObject>(
  client: Pick<KubeClient, "get">,
  ref: ObjectRef,
): Promise<T | undefined> {
  try {
    return await client.get<T>(ref);
  } catch (error) {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  }
}
