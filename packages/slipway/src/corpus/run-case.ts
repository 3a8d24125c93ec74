/**
 * One case, played: the whole release engine deploys the change to one to three replayed clusters in virtual time, and
 * what it says in the end is compared with what the case expects.
 *
 * Time to verdict is counted from the case's decisive signal as the recording has it (`decisiveAt`, or the beginning
 * of the fault when the API itself is the trouble) to the engine's verdict for that cluster. What the network of a
 * seed adds is part of it.
 */
import { createHash } from "node:crypto";
import { type Random, SlipwayError, VirtualClock } from "@slipway/base";
import type { AnyObject } from "@slipway/kube";
import { preflightChecks } from "../config/preflight-checks.ts";
import type { HookRecord } from "../release/hooks/hook.ts";
import type { Cause, CauseCode } from "../release/judge/causes.ts";
import type { ReleaseContext, ReleaseResult, RenderedRelease, Verdict } from "../release/model.ts";
import { deploy } from "../release/release.ts";
import type { CorpusCase, Expected } from "./case.ts";
import type { Recording, RecordingLine } from "./recording.ts";
import { createReplayCluster, type ReplayCluster } from "./replay.ts";

export interface CaseRun {
  readonly case: CorpusCase;
  /** What is applied. */
  readonly objects: readonly AnyObject[];
  /** Of the cluster that the case is about. */
  readonly recording: Recording;
  /** Of its other clusters. */
  readonly plain: Recording | undefined;
  /** Undefined: calm. */
  readonly random: Random | undefined;
}

export interface CaseResult {
  readonly id: string;
  readonly isRight: boolean;
  /** Of failures: the only reason given is that time passed. */
  readonly isTimeAlone: boolean;
  readonly verdicts: Readonly<Record<string, Verdict>>;
  readonly cause: Cause | undefined;
  /** From the decisive signal to the verdict; undefined where there is none. */
  readonly verdictMs: number | undefined;
  /** What is not as expected, for people. */
  readonly problem: string | undefined;
}

/** A case with all its runs. */
export interface PlayedCase {
  readonly case: CorpusCase;
  readonly calm: CaseResult;
  readonly seeded: readonly (CaseResult & { readonly seed: number })[];
  /** A failure in one of three clusters, see `beside.ts`; undefined of cases that have several of their own. */
  readonly beside: CaseResult | undefined;
}

/** What says no more than that time passed. */
const TIME_ALONE: ReadonlySet<CauseCode> = new Set([
  "ProgressDeadlineExceeded",
  "RolloutPending",
  "MinReadySeconds",
  "OldPodsTerminating",
]);

/** Longer than any budget and Kubernetes' own deadline of ten minutes. */
const AT_MOST_MS = 25 * 60_000;
const STEP_MS = 5_000;

export async function runCase(run: CaseRun): Promise<CaseResult> {
  const { case: one } = run;
  const clock = new VirtualClock(Date.parse(run.recording.header.recordedAt) - 5_000);
  const subject = one.expect.verdict === "healthy" ? (one.clusters[0] as string) : one.expect.cluster;
  const clusters = new Map<string, ReplayCluster>();
  for (const name of one.clusters) {
    const isSubject = name === subject;
    const own = one.hook === undefined ? run.recording : withHookName(run.recording, one.hook.job);
    const recording = isSubject ? own : (run.plain ?? run.recording);
    const distort = isSubject ? one.distort : [];
    clusters.set(
      name,
      createReplayCluster({ name, recording, clock, faults: one.faults, distort, random: run.random }),
    );
  }
  const stop = new AbortController();
  let verdictAt: number | undefined;
  let outcome: { readonly result: ReleaseResult } | { readonly error: unknown } | undefined;
  const context = contextOf(run, clusters, clock);
  void deploy(context, renderedOf(run), {
    signal: stop.signal,
    onEvent: (event) => {
      const isVerdict = event.type === "verdict" && event.cluster === subject;
      if (isVerdict || (event.type === "hook-finished" && event.outcome !== "succeeded"))
        verdictAt ??= event.at;
    },
  }).then(
    (result) => {
      outcome = { result };
    },
    (error: unknown) => {
      outcome = { error };
    },
  );
  for (let spent = 0; outcome === undefined && spent < AT_MOST_MS; spent += STEP_MS)
    await clock.advance(STEP_MS);
  if (outcome === undefined) {
    stop.abort(new SlipwayError({ code: "CORPUS_NO_VERDICT", message: "no verdict" }));
    for (let spent = 0; outcome === undefined && spent < 120_000; spent += STEP_MS)
      await clock.advance(STEP_MS);
    return nothing(run, `no verdict after ${AT_MOST_MS / 60_000} minutes`);
  }
  if ("error" in outcome) return nothing(run, textOf(outcome.error));
  const { result } = outcome;
  const hook = result.record.hooks?.flatMap(({ runs }) => runs).find((one) => one.cause !== undefined);
  const cause = hook?.cause ?? result.clusters.find(({ name }) => name === subject)?.cause;
  const verdicts: Record<string, Verdict> = Object.fromEntries(
    result.clusters.map(({ name, verdict }) => [name, verdict]),
  );
  // Nothing was sent to the cluster; it is the hook that failed there.
  if (hook?.cluster !== undefined) verdicts[hook.cluster] = "failed";
  const told = { verdicts, cause, outcome: result.record.outcome };
  const problem = difference(one.expect, told);
  const signalAt = decisiveMs(run);
  const appliedAt = clusters.get(subject)?.appliedAt();
  return {
    id: one.id,
    isRight: problem === undefined,
    isTimeAlone: cause !== undefined && TIME_ALONE.has(cause.code),
    verdicts,
    cause,
    verdictMs:
      one.expect.verdict === "healthy" ||
      verdictAt === undefined ||
      appliedAt === undefined ||
      signalAt === undefined
        ? undefined
        : Math.max(0, verdictAt - appliedAt - signalAt),
    problem,
  };
}

/** Milliseconds after the apply. */
function decisiveMs({ case: one, recording }: CaseRun): number | undefined {
  return recording.header.decisiveAt ?? one.faults[0]?.fromMs;
}

function nothing(run: CaseRun, problem: string): CaseResult {
  return {
    id: run.case.id,
    isRight: false,
    isTimeAlone: false,
    verdicts: {},
    cause: undefined,
    verdictMs: undefined,
    problem,
  };
}

function textOf(error: unknown): string {
  if (error instanceof SlipwayError) return [error.where, error.message].filter(Boolean).join(": ");
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

interface Told {
  readonly verdicts: Readonly<Record<string, Verdict>>;
  readonly cause: Cause | undefined;
  readonly outcome: string;
}

/** What was said and should not have been; undefined when all is as expected. */
export function difference(expected: Expected, told: Told): string | undefined {
  const others = (cluster: string): string | undefined => {
    const wrong = Object.entries(told.verdicts).find(
      ([name, verdict]) => name !== cluster && (verdict === "failed" || verdict === "unknown"),
    );
    return wrong === undefined ? undefined : `${wrong[0]} is ${wrong[1]} too`;
  };
  switch (expected.verdict) {
    case "healthy": {
      if (told.outcome === "healthy") return undefined;
      const why = told.cause === undefined ? "" : `, ${told.cause.code}: ${told.cause.why}`;
      return `the release is ${told.outcome}${why}`;
    }
    case "unknown": {
      const verdict = told.verdicts[expected.cluster];
      if (verdict !== "unknown") {
        return `${expected.cluster} is ${verdict ?? "not judged"}${told.cause === undefined ? "" : ` (${told.cause.code})`}, not unknown`;
      }
      return others(expected.cluster);
    }
    case "failed": {
      const { cause } = told;
      if (told.verdicts[expected.cluster] !== "failed" || cause === undefined) {
        return `${expected.cluster} is ${told.verdicts[expected.cluster] ?? "not judged"}, not failed`;
      }
      if (cause.code !== expected.cause) return `said ${cause.code} (${cause.why}), not ${expected.cause}`;
      if (expected.container !== undefined && cause.object.container !== expected.container) {
        return `said container ${cause.object.container ?? "none"}, not ${expected.container}`;
      }
      return others(expected.cluster);
    }
  }
}

/** Preflight would refuse many of these changes before anything is applied; here the judge alone is asked. */
const NO_PREFLIGHT = Object.fromEntries(Object.keys(preflightChecks).map((code) => [code, "off"]));

function contextOf(
  run: CaseRun,
  clusters: ReadonlyMap<string, ReplayCluster>,
  clock: VirtualClock,
): ReleaseContext {
  const names = [...clusters.keys()];
  return {
    service: "corpus",
    namespace: run.recording.header.namespace,
    environment: "corpus",
    targets: [...clusters].map(([name, { client }]) => ({ name, client })),
    clock,
    random: run.random ?? CALM_RANDOM,
    who: "corpus",
    from: "corpus",
    host: "corpus",
    pid: 1,
    preflight: NO_PREFLIGHT,
    release: { waves: [names], bakeMs: run.case.bakeMs, onFailure: "halt", keep: 20 },
  };
}

const CALM_RANDOM: Random = {
  int: () => 0,
  ratio: () => false,
  pick: (items) => items[0] as (typeof items)[number],
  name: (length) => "b".repeat(length),
  uuid: () => "00000000-0000-4000-8000-000000000000",
};

/** The engine gives a hook's Job the number of the release, here always the first; the recorder did not. */
function withHookName(recording: Recording, job: string): Recording {
  const name = `${job}-1`;
  const lines = recording.lines.map((line): RecordingLine => {
    if ("applied" in line && line.applied.kind === "Job" && line.applied.name === job) {
      return { ...line, applied: { ...line.applied, name } };
    }
    if ("refused" in line && line.refused.kind === "Job" && line.refused.name === job) {
      return { ...line, refused: { ...line.refused, name } };
    }
    if (!("type" in line)) return line;
    const { object } = line;
    const { metadata } = object;
    const isJob = object.kind === "Job" && metadata.name === job;
    const isPod = metadata.labels?.["job-name"] === job;
    if (!isJob && !isPod) return line;
    const labels = { ...metadata.labels, "job-name": name };
    return { ...line, object: { ...object, metadata: { ...metadata, labels, ...(isJob ? { name } : {}) } } };
  });
  return { ...recording, lines };
}

function hooksOf(run: CaseRun, objects: readonly AnyObject[]): readonly HookRecord[] {
  const { hook } = run.case;
  const job = objects.find((object) => object.kind === "Job" && object.metadata.name === hook?.job);
  if (hook === undefined || job === undefined) return [];
  return [
    {
      hook: {
        name: hook.job,
        when: "before",
        timeoutMs: hook.timeoutMs,
        onRollback: false,
        run: { kind: "job", job, in: "first-cluster", keep: 1 },
      },
      runs: [],
    },
  ];
}

function renderedOf(run: CaseRun): RenderedRelease {
  const { namespace } = run.recording.header;
  const all = run.objects.map((object) => ({
    ...object,
    metadata: { ...object.metadata, namespace },
  }));
  const hooks = hooksOf(run, all);
  const objects = all.filter(
    (object) => !hooks.some(({ hook }) => hook.run.kind === "job" && hook.run.job === object),
  );
  return {
    version: { commit: "0".repeat(40), message: run.case.title, author: "corpus", dirty: false },
    images: [],
    hooks,
    objects,
    content: `sha256:${createHash("sha256").update(JSON.stringify(objects)).digest("hex")}`,
    warnings: [],
  };
}
