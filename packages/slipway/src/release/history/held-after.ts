/** What a failed release puts on hold, so that it is not deployed again until somebody allows it. */
import type { Cause } from "../judge/causes.ts";
import { podSpecOf } from "../manifests/workload.ts";
import type { ClusterRecord, ReleaseRecord } from "../model.ts";

const IMAGE_FAULTS: ReadonlySet<string> = new Set([
  "ContainerCrash",
  "ImageArchitecture",
  "ContainerCompleted",
  "ContainerStartFailed",
  "LivenessFailed",
  "StartupFailed",
  "ReadinessFailed",
  "RestartedWhileBaking",
]);

/**
 * What a failed release that was taken back holds: its content, when the release itself is to blame, and the digest
 * of the container's image when its program is. A registry that was away holds nothing: the same release may work
 * later.
 */
export function heldAfter(
  record: ReleaseRecord,
  clusters: Readonly<Record<string, ClusterRecord>>,
  backTo: ReleaseRecord | undefined,
): readonly string[] {
  const held = new Set<string>();
  for (const { cause, restored } of Object.values(clusters)) {
    if (cause === undefined || restored === undefined || cause.blame !== "release") continue;
    if (record.content !== backTo?.content) held.add(record.content);
    if (!IMAGE_FAULTS.has(cause.code)) continue;
    const digest = digestOf(record, cause);
    const isOld = backTo?.images.some((image) => image.digest === digest) ?? false;
    if (digest !== undefined && !isOld) held.add(digest);
  }
  return [...held];
}

function digestOf(record: ReleaseRecord, cause: Cause): string | undefined {
  const { namespace, deployment, kind, name, container } = cause.object;
  for (const object of record.objects) {
    if (object.kind !== (kind ?? "Deployment")) continue;
    if ((object.metadata.namespace ?? record.namespace) !== namespace) continue;
    const wanted = kind === undefined ? deployment : name;
    if (wanted !== undefined && object.metadata.name !== wanted) continue;
    const spec = podSpecOf(object);
    const found = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].find(
      (one) => one.name === container,
    );
    const digest = found?.image?.split("@")[1];
    if (digest !== undefined) return digest;
  }
  return undefined;
}
