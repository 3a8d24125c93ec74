/** Releases as plain lines: for terminals without cursor control, CI logs and golden files. Pure. */
import { assertNever, formatAge, formatDuration, renderTable } from "@slipway/base";
import { showCommit } from "./commit.ts";
import type { Progress, ReleaseEvent } from "./events.ts";
import type { Evidence } from "./evidence/evidence.ts";
import { describeGone } from "./history/gone.ts";
import { describeHold, whatIsHeld } from "./history/held.ts";
import { AFTER_INTERRUPTION } from "./history/interruption.ts";
import { describeIdentities } from "./identity.ts";
import { type Cause, causeSentence, renderObjectPath, whyOf } from "./judge/causes.ts";
import { describeExit } from "./judge/crash.ts";
import { describeFreeze } from "./lock/lease.ts";
import type { ClusterRecord, ReleaseRecord } from "./model.ts";
import { asWarning, type Finding } from "./preflight/finding.ts";
import type { ObjectDrift } from "./status/drift.ts";
import type { ClusterStatus, StatusReport } from "./status/status.ts";

/** One release per line, newest first. */
export function renderHistory(records: readonly ReleaseRecord[], now: number): string {
  if (records.length === 0) return "No release yet.";
  return renderTable([
    ["RELEASE", "AGE", "OUTCOME", "COMMIT", "WHAT", "CLUSTERS", "TOOK", "BY"],
    ...records.map((record) => [
      String(record.number),
      formatAge(now - record.startedAt),
      record.outcome,
      showCommit(record.version),
      whatOf(record),
      Object.entries(record.clusters)
        .map(([name, cluster]) => `${name}: ${clusterText(cluster)}`)
        .join(", "),
      record.finishedAt === undefined ? "-" : formatDuration(record.finishedAt - record.startedAt),
      `${record.who} (${record.from})`,
    ]),
  ]);
}

/** `rollback of 3 to 1`, or the first line of the commit's message. */
export function whatOf(
  record: Pick<ReleaseRecord, "kind" | "restores" | "leaves" | "only"> & { version: { message: string } },
): string {
  if (record.kind === "rollback") {
    const only = record.only === undefined ? "" : ` in ${record.only.join(", ")} only`;
    return `rollback of ${record.leaves} to ${record.restores}${only}`;
  }
  const line = record.version.message.split("\n")[0] ?? "";
  return line.length <= 50 ? line : `${line.slice(0, 49)}…`;
}

function clusterText(cluster: ClusterRecord): string {
  const { verdict, cause, restored, step } = cluster;
  if (step !== "done" && step !== "pending") return step;
  const why = cause === undefined ? "" : ` (${cause.code})`;
  if (restored === undefined) return `${verdict}${why}`;
  return `${verdict}${why}, ${restored.ok ? `back at ${restored.to}` : `not back: ${restored.reason}`}`;
}

export function renderStatus(report: StatusReport, now?: number): string {
  const { newest, holder } = report;
  const lines = [`${report.service} (${report.environment}), namespace ${report.namespace}`];
  const isKnown = report.clusters.every(({ reachable }) => reachable);
  if (newest === undefined)
    lines.push(isKnown ? "No release yet." : "No release that the clusters which answer know of.");
  else {
    const commit = showCommit(newest.version);
    lines.push(`newest release: ${newest.number} ${newest.outcome}, ${commit} ${whatOf(newest)}`.trimEnd());
  }
  if (holder !== undefined) {
    const message = holder.message === "" ? "" : ` "${holder.message}"`;
    lines.push(`being released now by ${holder.who}@${holder.host} (process ${holder.pid})${message}`);
  }
  const { waiting } = report;
  if (waiting !== undefined) {
    const since = formatAge(Math.max(0, (now ?? waiting.startedAt) - waiting.startedAt));
    lines.push(
      `has waited ${since} for a person: gate ${waiting.name} after wave ${waiting.wave + 1} (${waiting.clusters.join(", ")})`,
      "  yes: slipway release approve · no: slipway release approve --reject",
    );
  }
  const freeze = report.clusters.find((cluster) => cluster.lock?.freeze !== undefined)?.lock?.freeze;
  if (freeze !== undefined) lines.push(`frozen ${describeFreeze(freeze, now ?? freeze.since)}`);
  if (report.interrupted !== undefined) lines.push(`${report.interrupted}.`, AFTER_INTERRUPTION);
  lines.push(...describeIdentities(report.identities));
  const rows = [["CLUSTER", "RELEASE", "WORKLOAD", "READY", "UPDATED", "IMAGE"]];
  for (const cluster of report.clusters) {
    if (!cluster.reachable) {
      rows.push([cluster.name, "unknown", `unreachable: ${cluster.reason?.split("\n")[0]}`]);
      continue;
    }
    const runs = cluster.runs === undefined ? "-" : String(cluster.runs);
    if (cluster.workloads.length === 0) rows.push([cluster.name, runs, "-"]);
    for (const workload of cluster.workloads) {
      rows.push([
        cluster.name,
        workload.release === undefined ? runs : String(workload.release),
        // Nearly all are Deployments.
        workload.kind === "Deployment" ? workload.name : `${workload.kind} ${workload.name}`,
        `${workload.available}/${workload.wanted}`,
        String(workload.updated),
        workload.images.map(shortImage).join(", "),
      ]);
    }
  }
  lines.push("", renderTable(rows));
  for (const { name, reason } of report.clusters) {
    if (reason?.includes("\n") === true) lines.push("", `${name}: ${reason}`);
  }
  for (const cluster of report.clusters) lines.push(...healthLines(cluster), ...driftLines(cluster));
  if (report.gone.length > 0) lines.push("", ...report.gone.map(describeGone));
  if (report.held.length > 0) {
    lines.push("", "held (not deployed again without --allow-held):");
    for (const hold of report.held) {
      lines.push(`  ${whatIsHeld(hold)} ${describeHold(hold, now ?? hold.at)}`);
    }
  }
  for (const warning of report.warnings) lines.push(`warning: ${warning}`);
  return lines.join("\n");
}

/** Nothing for a cluster that is well; the cause in a line for one that is not. */
function healthLines({ health }: ClusterStatus): readonly string[] {
  if (health === undefined || health.verdict === "ok") return [];
  const word = health.verdict === "doomed" ? "NOT HEALTHY" : "waiting";
  return health.causes
    .flatMap((cause) => [
      `${word}: ${causeSentence(cause)}`,
      ...(health.verdict === "doomed" ? [`  do:   ${cause.todo}`, `  look: ${cause.command}`] : []),
    ])
    .map((line, index) => (index === 0 ? `\n${line}` : line));
}

/** `tokyo differs from release 4:` and a line for each field, with its owner. */
function driftLines({ name, runs, drift }: ClusterStatus): readonly string[] {
  if (drift.length === 0) return [];
  const lines = ["", `${name} differs from what release ${runs} applied:`];
  for (const { kind, name: object, state, reason, differences } of drift) {
    if (state !== "changed") {
      lines.push(`  ${kind} ${object}: ${state}${reason === undefined ? "" : ` (${reason})`}`);
      continue;
    }
    lines.push(`  ${kind} ${object}`);
    for (const { path, applied, live, by } of differences) {
      lines.push(`    ${path}: ${applied ?? "(not applied)"} -> ${live ?? "(removed)"}${ownerText(by)}`);
    }
  }
  return lines;
}

function ownerText(by: ObjectDrift["differences"][number]["by"]): string {
  if (by === undefined) return "";
  return `, by ${by.manager}${by.time === undefined ? "" : ` at ${by.time}`}`;
}

function shortImage(image: string): string {
  const [name, digest] = image.split("@");
  const last = (name ?? "").split("/").at(-1) ?? "";
  return digest === undefined ? last : `${last}@${digest.slice(7, 15)}`;
}

/** One line per event; undefined for those that say nothing new to a reader of lines. */
export function renderEvent(event: ReleaseEvent): string | undefined {
  switch (event.type) {
    case "identified": {
      const lines = describeIdentities(event.clusters);
      return lines.length === 0 ? undefined : lines.join("\n");
    }
    case "planned":
      return renderWarnings(event.plan.findings);
    case "lock-waiting":
      return `${event.cluster}: waiting for the lock: ${event.message}`;
    case "locked":
      return undefined;
    case "interrupted-found":
      return `${event.message}. This one goes on from there.`;
    case "started": {
      const what =
        event.kind === "rollback"
          ? `takes release ${event.leaves} back to ${event.restores}`
          : showCommit(event.version);
      const again = event.isResumed === true ? "goes on where it was cut off, " : "";
      return `release ${event.number} of ${event.service} (${event.environment}): ${again}${what}, by ${event.who}`;
    }
    case "wave-started":
      return `wave ${event.wave + 1} of ${event.waves}: ${event.clusters.join(", ")}`;
    case "applied":
      return `${event.cluster}: ${event.objects} ${event.objects === 1 ? "object" : "objects"} applied`;
    case "progress":
      return `${event.cluster}: ${progressText(event.progress)}`;
    case "baking":
      return `wave ${event.wave + 1}: must stay healthy for ${formatDuration(event.bakeMs)}`;
    case "verdict":
      return `${event.cluster}: ${event.verdict} after ${formatDuration(event.durationMs)}${
        event.cause === undefined ? (event.reason === undefined ? "" : `: ${event.reason}`) : ""
      }${event.cause === undefined ? "" : `\n${renderCause(event.cause)}`}`;
    case "requeued":
      return `${event.cluster}: does not answer and is tried again after the other waves, for ${formatDuration(event.forMs)}: ${event.reason}`;
    case "gate-started":
      return `wave ${event.wave + 1}: gate ${event.gate}, for at most ${formatDuration(event.timeoutMs)}`;
    case "gate-waiting":
      return `wave ${event.wave + 1}: gate ${event.gate}: ${event.said}`;
    case "gate-finished":
      return `wave ${event.wave + 1}: gate ${event.gate} ${event.outcome} after ${formatDuration(event.durationMs)}: ${event.said}`;
    case "hook-started":
      return `hook ${event.hook}${inCluster(event.cluster)}, ${event.when} the release, for at most ${formatDuration(event.timeoutMs)}`;
    case "hook-log":
      return `hook ${event.hook}${inCluster(event.cluster)} | ${event.line}`;
    case "hook-finished":
      return `hook ${event.hook}${inCluster(event.cluster)} ${event.outcome} after ${formatDuration(event.durationMs)}${
        event.cause === undefined ? "" : `\n${renderCause(event.cause)}`
      }`;
    case "evidence":
      return renderEvidence(event.evidence);
    case "rolling-back":
      return `rolling back to release ${event.to}: ${event.clusters.join(", ")}`;
    case "rolled-back":
      return event.ok
        ? `${event.cluster}: back at release ${event.to}`
        : `${event.cluster}: NOT back at release ${event.to}: ${event.reason}`;
    case "pruned":
      return `${event.cluster}: pruned ${event.objects.join(", ")}`;
    case "warning":
      return `warning: ${event.cluster === undefined ? "" : `${event.cluster}: `}${event.message}`;
    case "finished": {
      // The first sentence gets the duration; what to do next, if anything, follows.
      const [fact, ...advice] = outcomeText(event.record).split(". ");
      const took = `release ${event.record.number} ${fact} after ${formatDuration(event.durationMs)}`;
      return [took, ...advice].join(". ");
    }
    default:
      return assertNever(event);
  }
}

function inCluster(cluster: string | undefined): string {
  return cluster === undefined ? "" : ` in ${cluster}`;
}

/** `3/10 new pods ready, 7 old, waiting: its startup probe has not succeeded yet`. */
export function progressText(progress: Progress): string {
  const old = progress.old === 0 ? "" : `, ${progress.old} old`;
  const waiting = progress.waitingFor.find((cause) => cause.code !== "RolloutPending");
  const why = waiting === undefined ? "" : `, waiting: ${waiting.why}`;
  return `${progress.ready}/${progress.total} new pods ready${old}${why}`;
}

export function outcomeText(
  record: Pick<ReleaseRecord, "outcome"> & Partial<Pick<ReleaseRecord, "clusters" | "only">>,
): string {
  switch (record.outcome) {
    case "in-progress":
      return "is going on";
    case "healthy":
      return record.only === undefined ? "is healthy everywhere" : `is healthy in ${record.only.join(", ")}`;
    case "rolled-back":
      return "failed and was rolled back";
    case "failed": {
      const isUntouched = Object.values(record.clusters ?? {}).every(({ runs }) => runs === undefined);
      return record.clusters !== undefined && isUntouched
        ? "failed before anything was changed"
        : "failed and still runs in a cluster";
    }
    case "unknown":
      return "is unknown: not every cluster could confirm it";
    case "interrupted":
      return `was interrupted. ${AFTER_INTERRUPTION}`;
    default:
      return assertNever(record.outcome);
  }
}

/** The cause in four lines: where, why, what to do, what to look at. */
export function renderCause(cause: Cause): string {
  const path = renderObjectPath(cause.object);
  return [
    `  ${cause.code} in ${cause.cluster}${path === "" ? "" : `: ${path}`}`,
    `    why:  ${whyOf(cause)}`,
    `    do:   ${cause.todo}`,
    `    look: ${cause.command}`,
  ].join("\n");
}

/** Events and the dead container's log. */
export function renderEvidence(evidence: Evidence): string {
  const { left, cause } = evidence;
  const lines =
    left === undefined
      ? [`  evidence from ${evidence.cluster}:`]
      : [`  what was wrong in ${evidence.cluster} with release ${left}, which is left:`, renderCause(cause)];
  const { exit, log } = evidence;
  if (exit !== undefined) {
    const reason = exit.reason === undefined || exit.reason === "Error" ? "" : `, ${exit.reason}`;
    const isMemory = exit.reason === "OOMKilled" && exit.memoryLimit !== undefined;
    const limit = isMemory ? `, memory limit ${exit.memoryLimit}` : "";
    lines.push(`    ended: ${describeExit(exit)}${reason}${limit}`);
  }
  if (evidence.events.length > 0) {
    const rows = evidence.events.map((event) => [
      `    x${event.count}`,
      event.reason,
      event.message.replaceAll("\n", " "),
    ]);
    lines.push(renderTable(rows));
  }
  if (log !== undefined) {
    const isEmpty = log.head.length + log.tail.length === 0;
    const when = log.previous ? " before its restart" : "";
    lines.push(`    log of container ${log.container}${when}:${isEmpty ? " not a line" : ""}`);
    lines.push(...log.head.map((line) => `    | ${line}`));
    const { head, omittedLines } = log;
    if (omittedLines === undefined && head.length > 0) lines.push("    | … many lines …");
    else if (omittedLines !== undefined && omittedLines > 0) lines.push(`    | … ${omittedLines} lines …`);
    lines.push(...log.tail.map((line) => `    | ${line}`));
  }
  lines.push(...(evidence.notes ?? []).map((note) => `    ${note}`));
  lines.push(...evidence.gaps.map((gap) => `    missing: ${gap}`));
  if (lines.length === 1) lines.push("    none: there is no event and no log about it");
  return lines.join("\n");
}

/** What preflight warns of, a line for each; undefined when it is nothing. */
function renderWarnings(findings: readonly Finding[]): string | undefined {
  const warnings = findings.filter(({ severity }) => severity === "warning");
  return warnings.length === 0 ? undefined : warnings.map((one) => `warning: ${asWarning(one)}`).join("\n");
}
