/** The message of a release, made from its record alone: at its end, and of everything that is told later. */
import type {
  Author,
  CheckLine,
  DetailMessage,
  ReleaseAction,
  ReleaseMessage,
  ReleaseRef,
} from "../../notify/message.ts";
import { showCommit } from "../commit.ts";
import type { Evidence } from "../evidence/evidence.ts";
import { heldBy } from "../history/history.ts";
import { type Cause, causeSentence } from "../judge/causes.ts";
import type { ClusterRecord, ReleaseRecord, VersionInfo } from "../model.ts";
import { chooseTarget } from "../rollback.ts";
import { outcomeText, renderCause, renderEvidence } from "../text.ts";
import { gateLine, gateName, hookLine, hookName, type Line, restoredLine, verdictLine } from "./lines.ts";
import { paceText } from "./pace.ts";

/**
 * The message of a release as its record tells it. `records`: all that is known, for the usual duration and for what
 * can still be done about it. `cause`: what stood on top so far, kept there.
 */
export function messageOf(
  record: ReleaseRecord,
  records: readonly ReleaseRecord[],
  known: {
    readonly durationMs?: number;
    readonly cause?: string | undefined;
    /** A release that has begun since, though no record of it is at hand. */
    readonly newest?: number | undefined;
  } = {},
): ReleaseMessage {
  const isOver = record.outcome !== "in-progress";
  const title =
    record.outcome === "healthy" && record.kind === "rollback"
      ? `${record.service}: release ${record.leaves} was taken back to ${record.restores} (release ${record.number})`
      : `${record.service}: release ${record.number} ${outcomeText(record)}`;
  const durationMs =
    known.durationMs ?? (record.finishedAt === undefined ? undefined : record.finishedAt - record.startedAt);
  const cause = firstCause(record);
  const checks = checksOf(record);
  return {
    state: record.outcome === "in-progress" ? "running" : record.outcome,
    title,
    cause: known.cause ?? (cause === undefined ? undefined : causeSentence(cause)),
    facts: [
      ...factsOf(record),
      ...(durationMs === undefined ? [] : [{ label: "took", value: paceText(record, records, durationMs) }]),
    ],
    clusters: record.waves.flatMap((names, wave) =>
      names.map((name) => ({ name, wave, ...clusterLine(record.clusters[name], isOver) })),
    ),
    ...(checks.length === 0 ? {} : { checks }),
    ...authorOf(record.version),
    ...(isOver ? { actions: actionsOf(record, records, known.newest) } : {}),
  };
}

/** What somebody could do about this release now: nothing once a newer one has begun, or when it would change nothing. */
export function actionsOf(
  record: ReleaseRecord,
  records: readonly ReleaseRecord[],
  newest = 0,
): readonly ReleaseAction[] {
  const others = records.filter((one) => one.number !== record.number);
  const isNewest = record.number >= newest && others.every((one) => one.number < record.number);
  // A rollback is not rolled back by a button: which release is right then is for a person to say.
  if (!isNewest || record.kind === "rollback" || record.outcome === "in-progress") return [];
  const all = [record, ...others].sort((a, b) => b.number - a.number);
  const on: ReleaseRef = { service: record.service, environment: record.environment, number: record.number };
  const actions: ReleaseAction[] = [];
  const way = wayBack(all, Object.keys(record.clusters));
  if (way !== undefined && way.leaves === record.number) actions.push({ kind: "roll-back", on, to: way.to });
  if (!heldBy(all).has(record.content)) actions.push({ kind: "hold", on });
  return actions;
}

function wayBack(
  records: readonly ReleaseRecord[],
  clusters: readonly string[],
): { readonly leaves: number; readonly to: number } | undefined {
  try {
    const { leaves, target } = chooseTarget(records, { clusters });
    return { leaves: leaves.number, to: target.number };
  } catch {
    return undefined; // there is none, and a button would only say so
  }
}

export function factsOf(release: {
  readonly environment: string;
  readonly version: VersionInfo;
  readonly who: string;
  readonly from: string;
}): ReleaseMessage["facts"] {
  const { environment, version, who, from } = release;
  return [
    { label: "environment", value: environment },
    { label: "commit", value: showCommit(version) },
    { label: "by", value: `${who} (${from})` },
    ...(version.author === "" ? [] : [{ label: "author", value: version.author }]),
  ];
}

export function authorOf({ author, email }: VersionInfo): { readonly author?: Author } {
  return author === "" ? {} : { author: { name: author, ...(email === undefined ? {} : { email }) } };
}

/** Hooks before, gates, hooks after: as they began. */
function checksOf(record: ReleaseRecord): readonly CheckLine[] {
  const gates = (record.gates ?? []).map(({ name, wave, outcome, said, by, startedAt }) => {
    const [mark, text] = gateLine(outcome, said, by);
    return { startedAt, line: { name: gateName(name, wave), mark, text } };
  });
  const hooks = (record.hooks ?? []).flatMap(({ hook, runs }) =>
    runs.map(({ cluster, outcome, cause, startedAt, finishedAt }) => {
      const [mark, text] = hookLine(
        outcome,
        cause,
        finishedAt === undefined ? undefined : finishedAt - startedAt,
      );
      return { startedAt, line: { name: hookName(hook.name, cluster), mark, text } };
    }),
  );
  return [...hooks, ...gates].sort((a, b) => a.startedAt - b.startedAt).map(({ line }) => line);
}

function clusterLine(cluster: ClusterRecord | undefined, isOver: boolean): Line {
  if (cluster === undefined) return { mark: "waiting", text: isOver ? "not started" : "waiting" };
  const { verdict, step, restored, cause, reason, startedAt, finishedAt } = cluster;
  if (restored !== undefined) {
    const [mark, text] = restoredLine(restored.to, restored.ok, restored.reason);
    return { mark, text };
  }
  if (step === "pending" || (verdict === "not-started" && reason === undefined)) {
    return { mark: "waiting", text: isOver ? "not started" : "waiting" };
  }
  if (step !== "done")
    return { mark: isOver ? "unknown" : "running", text: isOver ? `cut off while ${step}` : step };
  const durationMs = startedAt === undefined || finishedAt === undefined ? undefined : finishedAt - startedAt;
  return verdictLine(verdict, durationMs, cause, reason);
}

/** The cause of the cluster that failed first, with what its evidence added. */
function firstCause(record: ReleaseRecord): Cause | undefined {
  const failed = Object.entries(record.clusters)
    .filter(([, cluster]) => cluster.cause !== undefined)
    .sort(([, a], [, b]) => (a.finishedAt ?? Infinity) - (b.finishedAt ?? Infinity));
  const [name, cluster] = failed[0] ?? [];
  const evidence = record.evidence.find((one) => one.cluster === name && one.left === undefined);
  return evidence?.cause.code === cluster?.cause?.code ? (evidence?.cause ?? cluster?.cause) : cluster?.cause;
}

/** Why a cluster failed, for the thread. */
export function evidenceDetail(evidence: Evidence, version: VersionInfo | undefined): DetailMessage {
  const { cause, cluster, left } = evidence;
  return {
    title:
      left === undefined
        ? `Why ${cluster} failed: ${cause.code}`
        : `What was wrong in ${cluster} with release ${left}: ${cause.code}`,
    text: cause.todo,
    code:
      left === undefined ? `${renderCause(cause)}\n${renderEvidence(evidence)}` : renderEvidence(evidence),
    ...(version === undefined ? {} : authorOf(version)),
  };
}

/** Its place in the thread: what was left, and why going back failed, are two things. */
export function evidenceKey({ cluster, left }: Evidence): string {
  return `${left === undefined ? "why" : "left"}-${cluster}`;
}
