/** What the pages say of releases, from the records in the clusters. Pure. */
import { SlipwayError } from "@slipway/base";
import { heldBy, isHeld } from "../../../release/history/history.ts";
import { causeSentence } from "../../../release/judge/causes.ts";
import type { ReleaseRecord } from "../../../release/model.ts";
import { chooseTarget } from "../../../release/rollback.ts";
import type { ReleaseSummary, ReleasesAnswer } from "../../../server/api.ts";

export interface Known {
  /** Newest first, Secrets' values as they are: nothing of `objects` leaves this process but through `diff.ts`. */
  readonly records: readonly ReleaseRecord[];
  /** The clusters of the configuration. */
  readonly clusters: readonly string[];
  readonly unreachable: ReadonlyMap<string, string>;
  /** Of releases that no cluster can read. */
  readonly unreadable: readonly number[];
  /** The newest release is in progress by its record, but nobody is at it. */
  readonly isInterrupted: boolean;
}

export const NOTHING_KNOWN: Known = {
  records: [],
  clusters: [],
  unreachable: new Map(),
  unreadable: [],
  isInterrupted: false,
};

export function summariesOf({ records, isInterrupted }: Known): readonly ReleaseSummary[] {
  const held = heldBy(records);
  return records.map((record, index) => ({
    ...summaryOf(record),
    ...(index === 0 && isInterrupted ? { outcome: "interrupted" } : {}),
    held: isHeld(record, held),
  }));
}

function summaryOf(record: ReleaseRecord): Omit<ReleaseSummary, "held"> {
  const cause = Object.values(record.clusters).find((cluster) => cluster.cause !== undefined)?.cause;
  const reason = Object.entries(record.clusters).find(([, cluster]) => cluster.reason !== undefined);
  return {
    number: record.number,
    kind: record.kind,
    outcome: record.outcome,
    commit: record.version.commit,
    message: record.version.message.split("\n")[0] ?? "",
    who: record.who,
    from: record.from,
    startedAt: record.startedAt,
    finishedAt: record.finishedAt,
    clusters: Object.entries(record.clusters).map(([name, { verdict, step }]) => ({ name, verdict, step })),
    cause:
      cause !== undefined
        ? causeSentence(cause)
        : record.outcome === "unknown" && reason !== undefined
          ? `${reason[0]}: ${reason[1].reason}`
          : undefined,
  };
}

export function releasesAnswer(known: Known): ReleasesAnswer {
  const way = wayBackOf(known);
  return {
    releases: summariesOf(known),
    rollbackTo: way instanceof SlipwayError ? undefined : way.to,
    noRollback: way instanceof SlipwayError ? way.message : undefined,
  };
}

/** Where a rollback would go and what it would leave, or why there is none. */
export function wayBackOf({
  records,
  clusters,
  unreadable,
}: Known): { readonly leaves: number; readonly to: number } | SlipwayError {
  try {
    const { target, leaves } = chooseTarget(records, { clusters, unreadable });
    return { leaves: leaves.number, to: target.number };
  } catch (error) {
    if (error instanceof SlipwayError) return error;
    throw error;
  }
}
