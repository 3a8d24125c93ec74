/**
 * Whose the objects are that a release would change. An apply with force takes over whatever has the same name, and
 * what two look after goes back and forth, until one of them prunes it under the other.
 */
import type { AnyObject } from "@slipway/kube";
import { MANAGED_BY_LABEL, SERVICE_LABEL } from "../manifests/render.ts";
import { isClusterScoped } from "../manifests/scope.ts";
import type { RawFinding } from "./finding.ts";
import type { SeenObject } from "./seen.ts";

/** A namespace is there for many: the first service that came made it, and no release ever prunes it unasked. */
const SHARED_KINDS = new Set(["Namespace"]);
/** Kinds of which two services often bring the very same object: that is worth saying, and no reason to refuse. */
const OFTEN_SHARED = new Set(["ConfigMap", "Secret", "ServiceAccount"]);

/** Objects in the cluster that are not `service`'s so far. Those without any label of an owner are free to take. */
export function checkOwners(seen: readonly SeenObject[], service: string): readonly RawFinding[] {
  return seen.flatMap(({ object, live }) => {
    // What is on its way out has been given up.
    if (live === undefined || live.metadata.deletionTimestamp !== undefined) return [];
    return SHARED_KINDS.has(object.kind) ? [] : ownerProblem(object, live, service);
  });
}

function ownerProblem(object: AnyObject, live: AnyObject, service: string): readonly RawFinding[] {
  const { labels = {}, annotations = {} } = live.metadata;
  const owner = labels[SERVICE_LABEL];
  if (owner === service) return [];
  if (owner !== undefined) {
    const message = `is in the cluster already, as the service "${owner}" released it`;
    const isShared = OFTEN_SHARED.has(object.kind) || isClusterScoped(object.kind);
    return [{ code: isShared ? "OBJECT_OF_ANOTHER_MANAGER" : "OBJECT_OF_ANOTHER_SERVICE", object, message }];
  }
  const manager = labels[MANAGED_BY_LABEL];
  if (manager === undefined || manager === "" || manager === "slipway") return [];
  const helmRelease = annotations["meta.helm.sh/release-name"];
  const by = helmRelease === undefined ? manager : `${manager} (release "${helmRelease}")`;
  const message = `is in the cluster already, managed by ${by}`;
  return [{ code: "OBJECT_OF_ANOTHER_MANAGER", object, message }];
}
