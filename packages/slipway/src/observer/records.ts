/** Slipway's history in the clusters, followed: read again when one of its Secrets changes, and never polled. */
import type { Clock } from "@slipway/base";
import { isReason } from "@slipway/kube";
import type { ReleaseFact } from "../observe/collect/pod-labels.ts";
import type { ReleaseRow } from "../observe/warehouse/warehouse.ts";
import { mergeRecords, RECORD_LABEL, readRecords } from "../release/history/records.ts";
import { SERVICE_LABEL } from "../release/manifests/render.ts";
import type { ReleaseRecord, Target } from "../release/model.ts";

export interface RecordsOptions {
  readonly service: string;
  readonly namespace: string;
  readonly targets: readonly Target[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onRecords: (records: readonly ReleaseRecord[]) => void;
  readonly onProblem: (cluster: string, error: unknown) => void;
}

const secrets = { apiVersion: "v1", kind: "Secret" } as const;
const AGAIN_MS = { first: 100, most: 5000 } as const;

/** Until `signal` aborts. What a cluster that is away had said last still counts. */
export async function followRecords(options: RecordsOptions): Promise<void> {
  const copies = new Map<string, readonly ReleaseRecord[]>();
  await Promise.all(
    options.targets.map((target) =>
      followCluster(target, options, (records) => {
        copies.set(target.name, records);
        options.onRecords(mergeRecords([...copies.values()]));
      }),
    ),
  );
}

async function followCluster(
  { name, client }: Target,
  options: RecordsOptions,
  onRecords: (records: readonly ReleaseRecord[]) => void,
): Promise<void> {
  const { service, namespace, clock, signal, onProblem } = options;
  const place = { service, namespace };
  const scope = { namespace, labelSelector: `${SERVICE_LABEL}=${service},${RECORD_LABEL}=main` };
  const onDamaged = (error: unknown): void => onProblem(name, error);
  let wait = 0;
  while (!signal.aborted) {
    try {
      // From before the read on, so that no change falls between.
      const { resourceVersion } = (await client.list(secrets, { ...scope, limit: 1 })).metadata;
      onRecords(await readRecords(client, place, onDamaged));
      wait = 0;
      for await (const { type } of client.watch(secrets, { ...scope, resourceVersion, signal }))
        if (type !== "BOOKMARK") onRecords(await readRecords(client, place, onDamaged));
    } catch (error) {
      if (signal.aborted) return;
      if (!isReason(error, "Expired")) onProblem(name, error);
    }
    wait = Math.min(AGAIN_MS.most, Math.max(AGAIN_MS.first, wait * 2));
    await clock.sleep(wait, signal).catch(() => {});
  }
}

export function releaseFactsOf(records: readonly ReleaseRecord[]): readonly ReleaseFact[] {
  return records.map(({ number, version, startedAt, images, clusters }) => ({
    number,
    commit: version.commit,
    startedAt,
    digests: images.map(({ digest }) => digest),
    clusters: Object.keys(clusters),
  }));
}

export function releaseRowsOf(records: readonly ReleaseRecord[]): readonly ReleaseRow[] {
  return records.map(({ number, version, kind, outcome, startedAt, finishedAt }) => ({
    number,
    commit: version.commit,
    kind,
    outcome,
    startedAt,
    finishedAt,
  }));
}
