/**
 * Which streams nobody needs to know any more. How far a stream is stored is what keeps its lines from being stored twice,
 * so it may go only when its file cannot come back:
 *
 * - nothing of it was stored for longer than lines are kept, and for a week at least: whoever was cut off for a while still
 *   has bytes of deleted files to send; and
 * - its pod is gone, and with it the pod's folder of logs; or a hundred newer files of the same container were stored.
 *   kubelet keeps five of them (containerLogMaxFiles) and those of one attempt before, the edge five.
 *
 * Imported files are no logs that rotate. Somebody may import one again in a year, and they are known for ever.
 */
import type { HeardStream, Warehouse } from "../warehouse/warehouse.ts";

/** Whether nothing more can come of a pod; false where that is not known. */
export type IsGone = (cluster: string, podUid: string) => boolean;

const WEEK_MS = 7 * 86_400_000;
const NEWER_FILES = 100;

export async function retireStreams(
  warehouse: Pick<Warehouse, "streams" | "forgetStreams">,
  { now, keepForMs, isGone }: { readonly now: number; readonly keepForMs: number; readonly isGone: IsGone },
): Promise<void> {
  const before = now - Math.max(keepForMs, WEEK_MS);
  const retired = streamsToRetire(await warehouse.streams(), before, isGone);
  if (retired.length > 0) await warehouse.forgetStreams(retired, before);
}

export function streamsToRetire(
  streams: readonly HeardStream[],
  before: number,
  isGone: IsGone,
): readonly string[] {
  const logs = streams.flatMap((one) => {
    const place = placeOf(one.stream);
    return place === undefined ? [] : [{ ...one, ...place }];
  });
  const containers = Map.groupBy(logs, (one) => `${one.cluster}/${one.podUid}/${one.container}`);
  return [...containers.values()].flatMap((all) =>
    all
      .toSorted((a, b) => b.heardMs - a.heardMs)
      .filter(
        ({ cluster, podUid, heardMs }, newer) =>
          heardMs < before && (newer >= NEWER_FILES || isGone(cluster, podUid)),
      )
      .map(({ stream }) => stream),
  );
}

/** Of `CLUSTER/POD-UID/CONTAINER/ATTEMPT/FINGERPRINT` and `CLUSTER/POD-UID/CONTAINER/ATTEMPT#` (passage.ts); else undefined. */
function placeOf(
  stream: string,
): { readonly cluster: string; readonly podUid: string; readonly container: string } | undefined {
  const match = /^(.*)\/([^/]+)\/([^/]+)\/\d+(?:\/[0-9a-f]{16}|#)$/.exec(stream);
  if (match === null) return undefined;
  const [, cluster = "", podUid = "", container = ""] = match;
  return { cluster, podUid, container };
}
