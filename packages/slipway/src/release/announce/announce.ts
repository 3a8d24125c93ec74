/**
 * Tells people about a release: turns the event stream into one message that follows it. A pure reducer makes the
 * view while it runs; its end, and everything told later, is made from the record alone (`messageOf`), so that a
 * message can be made again from what the clusters remember when the machine that sent it is gone.
 */
import { formatDuration } from "@slipway/base";
import type {
  Author,
  CheckLine,
  ClusterLine,
  ClusterMark,
  DetailMessage,
  ReleaseAction,
  ReleaseMessage,
  ReleaseRef,
} from "../../notify/message.ts";
import type { Notifier } from "../../notify/notifier.ts";
import { showCommit } from "../commit.ts";
import type { ReleaseEvent } from "../events.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { GateRecord } from "../gates/gate.ts";
import { heldBy } from "../history/history.ts";
import type { HookRun } from "../hooks/hook.ts";
import { type Cause, causeSentence, whyOf } from "../judge/causes.ts";
import type { ClusterRecord, ReleaseRecord, VersionInfo } from "../model.ts";
import { chooseTarget } from "../rollback.ts";
import { outcomeText, progressText, renderCause, renderEvidence } from "../text.ts";
import { paceText } from "./pace.ts";

/** The message after this event; undefined before the release has its number. `past`: the releases before it. */
export function viewAfter(
  view: ReleaseMessage | undefined,
  event: ReleaseEvent,
  past: readonly ReleaseRecord[] = [],
): ReleaseMessage | undefined {
  if (event.type === "started") {
    const what =
      event.kind === "rollback"
        ? `taking release ${event.leaves} back to ${event.restores}`
        : `shipping ${showCommit(event.version)}`;
    return {
      state: "running",
      title: `${event.service}: release ${event.number}, ${what}`,
      cause: undefined,
      facts: factsOf(event),
      clusters: event.waves.flatMap((names, wave) =>
        names.map((name) => ({ name, wave, mark: "waiting" as const, text: "waiting" })),
      ),
      ...authorOf(event.version),
    };
  }
  if (view === undefined) return undefined;
  const set = (name: string, mark: ClusterMark, text: string): ReleaseMessage => ({
    ...view,
    clusters: view.clusters.map((cluster) => (cluster.name === name ? { ...cluster, mark, text } : cluster)),
  });
  switch (event.type) {
    case "progress": {
      const { mark } = view.clusters.find((cluster) => cluster.name === event.cluster) ?? {};
      if (mark === "waiting" || mark === "running")
        return set(event.cluster, "running", progressText(event.progress));
      const isWell = event.progress.ready >= event.progress.total && event.progress.waitingFor.length === 0;
      return mark === "baking" && !isWell ? set(event.cluster, "baking", progressText(event.progress)) : view;
    }
    case "baking": {
      const text = `must stay healthy for ${formatDuration(event.bakeMs)}`;
      return {
        ...view,
        clusters: view.clusters.map((cluster) =>
          cluster.wave === event.wave && (cluster.mark === "running" || cluster.mark === "waiting")
            ? { ...cluster, mark: "baking", text }
            : cluster,
        ),
      };
    }
    case "verdict": {
      const { verdict, durationMs, cause, reason } = event;
      const { mark, text } = verdictLine(verdict, durationMs, cause, reason);
      const next = set(event.cluster, mark, text);
      // The first cause stays on top; what follows from it does not replace it.
      return verdict !== "failed" || cause === undefined
        ? next
        : { ...next, cause: next.cause ?? causeSentence(cause) };
    }
    case "evidence": {
      // What the dead container said was not known yet when its cluster failed.
      const { cause } = event.evidence;
      const isOnTop = view.cause === causeSentence({ ...cause, said: undefined });
      return isOnTop ? { ...view, cause: causeSentence(cause) } : view;
    }
    case "rolling-back":
      return {
        ...view,
        clusters: view.clusters.map((cluster) =>
          event.clusters.includes(cluster.name)
            ? { ...cluster, text: `${cluster.text}, going back to ${event.to}` }
            : cluster,
        ),
      };
    case "rolled-back":
      return set(event.cluster, ...restoredLine(event.to, event.ok, event.reason));
    case "requeued":
      return set(
        event.cluster,
        "unknown",
        `does not answer (${event.reason}), tried again after the other waves`,
      );
    case "gate-started":
      return withCheck(view, gateName(event.gate, event.wave), "running", "is asked");
    case "gate-waiting":
      return withCheck(view, gateName(event.gate, event.wave), "running", event.said);
    case "gate-finished":
      return withCheck(
        view,
        gateName(event.gate, event.wave),
        ...gateLine(event.outcome, event.said, event.by),
      );
    case "hook-started":
      return withCheck(view, hookName(event.hook, event.cluster), "running", "runs");
    case "hook-finished":
      return withCheck(
        view,
        hookName(event.hook, event.cluster),
        ...hookLine(event.outcome, event.cause, event.durationMs),
      );
    case "finished":
      return messageOf(event.record, past, { durationMs: event.durationMs, cause: view.cause });
    default:
      return view;
  }
}

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

function factsOf(release: {
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

function authorOf({ author, email }: VersionInfo): { readonly author?: Author } {
  return author === "" ? {} : { author: { name: author, ...(email === undefined ? {} : { email }) } };
}

const gateName = (gate: string, wave: number): string => `gate ${gate} (wave ${wave + 1})`;
const hookName = (hook: string, cluster: string | undefined): string =>
  cluster === undefined ? `hook ${hook}` : `hook ${hook} (${cluster})`;

function withCheck(view: ReleaseMessage, name: string, mark: ClusterMark, text: string): ReleaseMessage {
  const checks = view.checks ?? [];
  const line: CheckLine = { name, mark, text };
  const isKnown = checks.some((check) => check.name === name);
  return {
    ...view,
    checks: isKnown ? checks.map((check) => (check.name === name ? line : check)) : [...checks, line],
  };
}

function gateLine(
  outcome: GateRecord["outcome"],
  said: string,
  by: string | undefined,
): [ClusterMark, string] {
  const text = `${outcome}${by === undefined ? "" : ` by ${by}`}${said === "" ? "" : `: ${said}`}`;
  if (outcome === "passed") return ["healthy", text];
  return outcome === "failed" || outcome === "timed-out" ? ["failed", text] : ["unknown", text];
}

function hookLine(
  outcome: HookRun["outcome"],
  cause: Cause | undefined,
  durationMs: number | undefined,
): [ClusterMark, string] {
  const after = durationMs === undefined ? "" : ` after ${formatDuration(durationMs)}`;
  const text = `${outcome}${after}${cause === undefined ? "" : `: ${whyOf(cause)}`}`;
  if (outcome === "succeeded") return ["healthy", text];
  return outcome === "failed" || outcome === "timed-out" ? ["failed", text] : ["unknown", text];
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

type Line = Pick<ClusterLine, "mark" | "text">;

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

function verdictLine(
  verdict: ClusterRecord["verdict"],
  durationMs: number | undefined,
  cause: Cause | undefined,
  reason: string | undefined,
): Line {
  const after = durationMs === undefined ? "" : ` after ${formatDuration(durationMs)}`;
  if (verdict === "healthy") return { mark: "healthy", text: `healthy${after}` };
  if (verdict === "not-started") {
    return reason === undefined
      ? { mark: "waiting", text: "not started" }
      : { mark: "unknown", text: `not changed: ${reason}` };
  }
  if (verdict === "unknown") return { mark: "unknown", text: `unknown: ${reason ?? "no answer"}` };
  const code = cause === undefined ? "" : `: ${cause.code}`;
  return { mark: "failed", text: `failed${after}${code}` };
}

function restoredLine(to: number, ok: boolean, reason: string | undefined): [ClusterMark, string] {
  return ok ? ["rolled-back", `back at release ${to}`] : ["failed", `NOT back at release ${to}: ${reason}`];
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

export interface Announcer {
  /** Give it to `onEvent`; returns at once. */
  readonly onEvent: (event: ReleaseEvent) => void;
  /** Resolves when everything was sent, or after a while; never rejects. */
  settle(): Promise<void>;
}

/** A release is over when it is over: what Slack has not taken by then stays in the outbox. */
const SETTLE_MS = 5_000;

export function createAnnouncer(options: {
  readonly notifier: Notifier;
  /** The releases before this one; asked for while it runs, never waited for. */
  readonly past?: Promise<readonly ReleaseRecord[]> | undefined;
}): Announcer {
  const { notifier } = options;
  let past: readonly ReleaseRecord[] = [];
  const loaded = (options.past ?? Promise.resolve([])).then(
    (records) => {
      past = records;
    },
    () => undefined,
  );
  void loaded;
  let view: ReleaseMessage | undefined;
  let release: ReleaseRef | undefined;
  let version: VersionInfo | undefined;
  /** Told before the release had its number. */
  const early: DetailMessage[] = [];
  return {
    onEvent: (event) => {
      if (event.type === "started") {
        release = { service: event.service, environment: event.environment, number: event.number };
        version = event.version;
      }
      view = viewAfter(view, event, past);
      if (event.type === "interrupted-found") early.push({ title: event.message, text: "", code: undefined });
      if (release === undefined || view === undefined) return;
      notifier.show(release, view);
      for (const [index, detail] of early.splice(0).entries())
        notifier.add(release, `found-${index}`, detail);
      if (event.type === "evidence") {
        notifier.add(release, evidenceKey(event.evidence), evidenceDetail(event.evidence, version));
      }
    },
    settle: () => notifier.settle(SETTLE_MS),
  };
}
