/** Page "Release": what is going on with one release, or what came of it. Pure. */
import { assertNever } from "@slipway/base";
import type { Evidence } from "../../../release/evidence/evidence.ts";
import { type Cause, renderObjectPath, whyOf } from "../../../release/judge/causes.ts";
import { baselineOf } from "../../../release/judge/crash.ts";
import { judge } from "../../../release/judge/judge.ts";
import type { Judgement, Seen } from "../../../release/judge/judgement.ts";
import type { WorkloadKind } from "../../../release/judge/workload.ts";
import type { ReleaseRecord } from "../../../release/model.ts";
import { renderEvidence } from "../../../release/text.ts";
import type { CauseView, PodChange, ReleaseAnswer, ReleaseSummary } from "../../../server/api.ts";
import { cellsOf, releaseOf, workloadsOf } from "../clusters/cells.ts";
import type { Sight } from "../clusters/watch.ts";

export interface ReleaseSeen {
  readonly record: ReleaseRecord;
  readonly summary: ReleaseSummary;
  /** To what it followed; see `releaseDiff`. */
  readonly diff: string;
  readonly sights: readonly Sight[];
  readonly changes: readonly PodChange[];
  /** How a command names a cluster. */
  readonly kubectl: (cluster: string) => string;
  /** Since when each cause is waited for, by cluster; see `judge`. */
  readonly memory: ReadonlyMap<string, Seen>;
  readonly now: number;
}

export interface ReleaseLook {
  readonly answer: ReleaseAnswer;
  readonly memory: ReadonlyMap<string, Seen>;
}

export function lookAtRelease(seen: ReleaseSeen): ReleaseLook {
  const { record, summary, sights, now } = seen;
  const judged = summary.outcome === "in-progress" ? sights.flatMap((sight) => judgedIn(sight, seen)) : [];
  const waiting = [
    ...judged.flatMap(({ cluster, judgement }) => waitingIn(cluster, judgement)),
    ...(record.gates ?? [])
      .filter(({ outcome }) => outcome === "waiting")
      .map(({ name, clusters, said }) => ({
        cluster: clusters.join(", "),
        text: `gate ${name}${said === "" ? "" : `: ${said}`}`,
        untilMs: undefined,
      })),
  ];
  return {
    answer: {
      release: summary,
      waves: record.waves,
      pods: sights.flatMap((sight) => cellsOf(sight.name, record, sight.seen, now)),
      changes: seen.changes,
      waiting,
      causes: causesOf(record, judged),
      gates: (record.gates ?? []).map(({ wave, name, outcome, said, values }) => ({
        wave,
        name,
        outcome,
        said,
        values,
      })),
      diff: seen.diff,
    },
    memory: new Map(judged.map(({ cluster, seen: next }) => [cluster, next])),
  };
}

interface JudgedIn {
  readonly cluster: string;
  readonly judgement: Judgement;
  readonly seen: Seen;
}

/** Where the release has been applied and is not through yet. */
function judgedIn(sight: Sight, { record, kubectl, memory, now }: ReleaseSeen): readonly JudgedIn[] {
  const { name, seen, away } = sight;
  const step = record.clusters[name]?.step;
  if (away !== undefined || (step !== "judging" && step !== "baking" && step !== "restoring")) return [];
  const own = workloadsOf(record, seen).filter((workload) => releaseOf(workload) === record.number);
  const expected = own.map(({ kind, metadata }) => ({
    kind: kind as WorkloadKind,
    namespace: metadata.namespace ?? record.namespace,
    name: metadata.name,
    generation: metadata.generation ?? 1,
  }));
  const { judgement, seen: next } = judge(
    {
      cluster: name,
      kubectl: kubectl(name),
      expected,
      ...seen,
      baseline: baselineOf(
        seen.pods.filter(({ metadata }) => Date.parse(metadata.creationTimestamp ?? "") < record.startedAt),
      ),
      images: new Map(),
    },
    memory.get(name) ?? new Map(),
    now,
  );
  return [{ cluster: name, judgement, seen: next }];
}

function waitingIn(cluster: string, judgement: Judgement): ReleaseAnswer["waiting"] {
  switch (judgement.verdict) {
    case "ok":
      return [];
    case "waiting":
      return judgement.causes.map((cause) => ({
        cluster,
        text: placed(cause),
        untilMs: judgement.budgetEndsAt,
      }));
    case "doomed":
      return [{ cluster, text: placed(judgement.cause), untilMs: undefined }];
    default:
      return assertNever(judgement);
  }
}

function placed(cause: Cause): string {
  const path = renderObjectPath(cause.object);
  return path === "" ? whyOf(cause) : `${path}: ${whyOf(cause)}`;
}

/** What the record has; while the release runs, what is seen to doom it before its engine has written so. */
function causesOf(record: ReleaseRecord, judged: readonly JudgedIn[]): readonly CauseView[] {
  const recorded = Object.values(record.clusters).flatMap(({ cause }) => cause ?? []);
  const doomed = judged.flatMap(({ judgement }) => (judgement.verdict === "doomed" ? [judgement.cause] : []));
  const unwritten = doomed.filter(({ cluster }) => !recorded.some((cause) => cause.cluster === cluster));
  return [...recorded, ...unwritten].map((cause) => ({
    cluster: cause.cluster,
    code: cause.code,
    sentence: placed(cause),
    advice: cause.todo,
    command: cause.command,
    evidence: record.evidence.filter((one) => one.cluster === cause.cluster).map(evidenceView),
  }));
}

function evidenceView(evidence: Evidence): CauseView["evidence"][number] {
  const [title = "", ...text] = renderEvidence(evidence).split("\n");
  return {
    title: title.trim().replace(/:$/, ""),
    text: text.map((line) => line.replace(/^ {4}/, "")).join("\n"),
  };
}

/** What a release followed: what ran before it. */
export function beforeOf(
  records: readonly ReleaseRecord[],
  record: ReleaseRecord,
): ReleaseRecord | undefined {
  const of = (number: number | undefined): ReleaseRecord | undefined =>
    records.find((one) => one.number === number);
  const older = records.filter(({ number }) => number < record.number);
  const ran = older.find(({ clusters }) => Object.values(clusters).some(({ runs }) => runs !== undefined));
  return record.kind === "rollback" ? (of(record.leaves) ?? ran) : (of(record.backTo) ?? ran);
}
