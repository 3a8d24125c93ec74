/**
 * Findings become incidents: `decide(counts, rules, signals, memory, now)`. Pure; whoever drives it keeps the memory and
 * tells the changes.
 *
 *   wrong for `forMs`  →  joins an incident of its group that began just now, reopens its own that ended just now,
 *                         or opens one
 *   not wrong any more →  resolved
 *   no requests        →  no-data: it is open, but whether it is still so cannot be said; over after an hour of that
 *
 * The wall clock may jump. Ages are never negative, and silence is only counted while this has been watching: a jump,
 * a pause of the machine or a restart begins that time anew.
 */
import { createHash } from "node:crypto";
import type { Alert, Finding, Signal } from "./alert.ts";
import { type CountsView, QUIET_MINUTES } from "./facts.ts";
import { type FirstError, findingsOf, NEWS_AGAIN_MS } from "./findings.ts";
import type { Rule, Severity } from "./rules.ts";

export interface Memory {
  /** Open ones and those of the past, newest first. */
  readonly alerts: readonly Alert[];
  /** Fingerprint → since when it is wrong, of those that nobody is told of yet. */
  readonly pending: Readonly<Record<string, number>>;
  readonly firstErrors: Readonly<Record<string, FirstError>>;
  /** When it was last decided; 0 before the first time. */
  readonly lastAt: number;
  readonly watchedSince: number;
}

/** `updated`: the same, with other numbers. */
export type ChangeKind = "opened" | "reopened" | "graver" | "updated" | "no-data" | "resolved";

export interface Change {
  readonly kind: ChangeKind;
  readonly alert: Alert;
}

export const NOTHING_YET: Memory = { alerts: [], pending: {}, firstErrors: {}, lastAt: 0, watchedSince: 0 };

/** Rules that see the same outage begin within this time. Later a graver one is news of its own. */
const JOIN_MS = 10 * 60_000;
const NO_DATA_MS = 60 * 60_000;
/** Not watched for longer than this: a gap. */
const GAP_MS = 2 * 60_000;
const FIRST_ERROR_KEPT_MS = 3 * 24 * 60 * 60_000;
const MOST_RESOLVED = 200;
const RANKS: Readonly<Record<Severity, number>> = { page: 2, ticket: 1, info: 0 };

export function decide(
  counts: CountsView,
  rules: readonly Rule[],
  signals: readonly Signal[],
  memory: Memory,
  now: number,
): { readonly memory: Memory; readonly changes: readonly Change[] } {
  const isGap = now < memory.lastAt || now - memory.lastAt > GAP_MS;
  const watchedSince = isGap ? now : memory.watchedSince;
  const firstErrors = notAhead(memory.firstErrors, now);
  const findings = findingsOf(counts, rules, signals, { firstErrors, watchedSince }, now);
  const wrong = findings.filter(({ state }) => state === "wrong");
  const pending = stillPending(wrong, memory.pending, now);
  const due = wrong.filter(({ fingerprint, forMs }) => age(pending[fingerprint] ?? now, now) >= forMs);

  const changes: Change[] = [];
  const before = memory.alerts.map((alert) => (alert.openedAt > now ? { ...alert, openedAt: now } : alert));
  const placed = place(before, due, now);
  const after = placed.map((alert) => {
    const previous = before.find(({ id }) => id === alert.id);
    const next = moved(alert, previous, findings, now);
    const kind = kindOf(previous, next);
    if (kind !== undefined) changes.push({ kind, alert: next });
    return next;
  });
  return {
    memory: {
      alerts: withoutOld(after),
      pending,
      firstErrors: seenErrors(counts, firstErrors, now),
      lastAt: now,
      watchedSince,
    },
    changes,
  };
}

/** Gives each finding its incident, new ones included. */
function place(alerts: readonly Alert[], due: readonly Finding[], now: number): readonly Alert[] {
  let all = alerts;
  for (const finding of due) {
    const { fingerprint, group } = finding;
    if (all.some((one) => isOpen(one) && one.fingerprints.includes(fingerprint))) continue;
    const host =
      group === undefined
        ? undefined
        : all.find((one) => isOpen(one) && one.group === group && age(one.openedAt, now) <= JOIN_MS);
    if (host !== undefined) {
      const joined = { ...host, fingerprints: [...host.fingerprints, fingerprint] };
      all = all.map((one) => (one === host ? joined : one));
      continue;
    }
    const earlier = all.find(
      (one) =>
        one.fingerprints.includes(fingerprint) &&
        one.resolvedAt !== undefined &&
        age(one.resolvedAt, now) <= finding.reopenMs,
    );
    if (earlier !== undefined) {
      const again: Alert = { ...earlier, state: "firing", changedAt: now, resolvedAt: undefined };
      all = all.map((one) => (one === earlier ? again : one));
    } else all = [opened(finding, all, now), ...all];
  }
  return all;
}

function opened(finding: Finding, all: readonly Alert[], now: number): Alert {
  const { fingerprint, group, rule, severity, service, cluster, release, title, facts, samples } = finding;
  // The clock may have been here before: the number tells two openings of one moment apart.
  const earlier = all.filter((one) => one.fingerprints.includes(fingerprint) && one.openedAt === now).length;
  const id = createHash("sha256").update(`${fingerprint}\n${now}\n${earlier}`).digest("hex").slice(0, 10);
  return {
    id,
    fingerprints: [fingerprint],
    group,
    state: "firing",
    rule,
    severity,
    service,
    cluster,
    release,
    title,
    facts,
    samples,
    openedAt: now,
    changedAt: now,
    resolvedAt: undefined,
    reopenMs: finding.reopenMs,
  };
}

/** The incident as the findings of this moment have it. */
function moved(alert: Alert, previous: Alert | undefined, findings: readonly Finding[], now: number): Alert {
  if (!isOpen(alert)) return alert;
  const own = findings.filter(({ fingerprint }) => alert.fingerprints.includes(fingerprint));
  const gravest = own
    .filter(({ state }) => state === "wrong")
    .sort((a, b) => RANKS[b.severity] - RANKS[a.severity])[0];
  if (gravest !== undefined) {
    const isGraver = RANKS[gravest.severity] > RANKS[alert.severity];
    const { rule, service, cluster, title, facts, samples } = gravest;
    const isBack = previous?.state === "no-data";
    return {
      ...alert,
      state: "firing",
      rule,
      service,
      cluster,
      title,
      facts,
      samples: samples.length > 0 ? samples : alert.samples,
      release: gravest.release ?? alert.release,
      severity: isGraver ? gravest.severity : alert.severity,
      changedAt: isGraver || isBack ? now : alert.changedAt,
    };
  }
  const isUnknown = own.length > 0;
  if (isUnknown && alert.state === "firing") return { ...alert, state: "no-data", changedAt: now };
  if (isUnknown && age(alert.changedAt, now) < NO_DATA_MS) return alert;
  return { ...alert, state: "resolved", changedAt: now, resolvedAt: now };
}

function kindOf(previous: Alert | undefined, next: Alert): ChangeKind | undefined {
  if (previous === undefined) return "opened";
  if (previous.state !== next.state) {
    if (next.state === "firing") return previous.state === "resolved" ? "reopened" : "updated";
    return next.state;
  }
  if (RANKS[next.severity] > RANKS[previous.severity]) return "graver";
  if (!isOpen(next)) return undefined;
  const isSame =
    previous.title === next.title &&
    JSON.stringify(previous.facts) === JSON.stringify(next.facts) &&
    JSON.stringify(previous.samples) === JSON.stringify(next.samples);
  return isSame ? undefined : "updated";
}

function stillPending(
  wrong: readonly Finding[],
  before: Memory["pending"],
  now: number,
): Record<string, number> {
  return Object.fromEntries(
    wrong.map(({ fingerprint }) => [fingerprint, Math.min(before[fingerprint] ?? now, now)]),
  );
}

/** Notes which releases fail now, for "the first" to be said once. */
function seenErrors(
  counts: CountsView,
  known: Memory["firstErrors"],
  now: number,
): Record<string, FirstError> {
  const seen: Record<string, FirstError> = {};
  for (const [key, one] of Object.entries(known)) {
    if (now - one.lastAt <= FIRST_ERROR_KEPT_MS) seen[key] = one;
  }
  for (const service of counts.services()) {
    for (const release of counts.releases(service)) {
      if (counts.sum({ service, release }, now, QUIET_MINUTES).errors === 0) continue;
      const key = `${service}|${release}`;
      const first = seen[key];
      const isNew = first === undefined || now - first.lastAt > NEWS_AGAIN_MS;
      seen[key] = { firstAt: isNew ? now : first.firstAt, lastAt: now };
    }
  }
  return seen;
}

function notAhead(known: Memory["firstErrors"], now: number): Record<string, FirstError> {
  return Object.fromEntries(
    Object.entries(known).map(([key, { firstAt, lastAt }]) => [
      key,
      { firstAt: Math.min(firstAt, now), lastAt: Math.min(lastAt, now) },
    ]),
  );
}

/** All open ones, and the newest of the past. */
function withoutOld(alerts: readonly Alert[]): readonly Alert[] {
  let resolved = 0;
  return alerts.filter((alert) => {
    if (isOpen(alert)) return true;
    resolved += 1;
    return resolved <= MOST_RESOLVED;
  });
}

export function isOpen({ state }: Pick<Alert, "state">): boolean {
  return state !== "resolved";
}

function age(since: number, now: number): number {
  return Math.max(0, now - since);
}
