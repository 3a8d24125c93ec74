/**
 * A case of the corpus: a change to a running service, what the cluster is made to do, and what a tired person should
 * be told. `corpus/README.md` explains the folder; this file is its format.
 *
 * `case.yaml` says what is expected and is read here; the objects beside it are read in `objects.ts`.
 */
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseDuration, readTextIfExists, SlipwayError } from "@slipway/base";
import { parse as parseYaml } from "yaml";
import * as z from "zod";
import type { CauseCode } from "../release/judge/causes.ts";
import { type Decisive, decisiveSchema } from "./signal.ts";

export type CaseKind = "failures" | "transients";
export type Place = "replay" | "embedded" | "real";

/** What must be said in the end. Seconds count from the first decisive signal of the recording. */
export type Expected =
  | {
      readonly verdict: "failed";
      readonly cause: CauseCode;
      readonly cluster: string;
      readonly container?: string | undefined;
      readonly withinSeconds: number;
    }
  /** The cluster cannot be asked: nobody may call that a failure of the release, nor a success. */
  | {
      readonly verdict: "unknown";
      readonly cause?: CauseCode | undefined;
      readonly cluster: string;
      readonly withinSeconds: number;
    }
  | { readonly verdict: "healthy" };

/** What the replay does to one cluster's API, from and until milliseconds after the apply. */
export interface ApiFault {
  readonly cluster: string;
  readonly answer: FaultAnswer;
  readonly fromMs: number;
  /** Undefined: to the end. */
  readonly untilMs: number | undefined;
  /** For `slow`: how much later each answer comes. */
  readonly latencyMs: number;
  /** Of the requests, 0 to 1. */
  readonly ratio: number;
}

/**
 * `slow` late answers · `429` too many requests, with Retry-After · `500` internal error · `503` unavailable ·
 * `hang` no answer at all, watches stay open and silent · `refuse` no connection · `drop` watches end at once ·
 * `expired` watches answer 410 Gone, the resource version is too old.
 */
export type FaultAnswer = (typeof faultAnswers)[number];
const faultAnswers = ["slow", "429", "500", "503", "hang", "refuse", "drop", "expired"] as const;

/** What the replay does to the recording itself, where a machine cannot be made to do it. */
export type Distortion =
  /** Every time inside objects is this far from our clock; positive: the cluster is ahead. */
  | { readonly kind: "clock-skew"; readonly skewMs: number }
  | { readonly kind: "events-lost" }
  | { readonly kind: "events-late"; readonly byMs: number }
  | { readonly kind: "events-reversed" }
  | { readonly kind: "twice" };

/** What the recorder (and the runner on a real cluster) does, at milliseconds after the apply; negative: before. */
export type Step = { readonly atMs: number } & StepAction;
export type StepAction = z.infer<typeof stepAction>;

/** Nodes without a kubelet of their own, for what one node cannot show. */
export interface HollowNode {
  readonly name: string;
  readonly cpu: string;
  readonly memory: string;
  readonly pods: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
}

/** What the program of the new version does on the embedded cluster with simulated pods. */
export interface EmbeddedBehaviour {
  readonly startMs?: number | undefined;
  readonly readyAfterMs?: number | "never" | undefined;
  readonly exitAfterMs?: number | undefined;
  readonly exitCode?: number | undefined;
  readonly execExitCode?: number | undefined;
  readonly refusal?: { readonly reason: string; readonly message: string } | undefined;
  readonly log?: readonly string[] | undefined;
}

export interface CorpusCase {
  readonly id: string;
  readonly kind: CaseKind;
  readonly directory: string;
  /** What people say happened. */
  readonly title: string;
  /** What really happened, in one sentence. */
  readonly why: string;
  readonly expect: Expected;
  /** The code with which preflight refuses the same change, where it can see it. */
  readonly preflight: string | undefined;
  readonly places: readonly Place[];
  /** Kept from work on the judge and scored apart; by `isHeldBack`. */
  readonly held: boolean;
  /**
   * `real`: a full node ran it · `hollow`: real control plane, nodes of ours · `derived`: `plays` a recorded case under
   * conditions that cannot be recorded (faults of the API, a distortion, other clusters beside it) · `by-hand`: written,
   * `because` says why.
   */
  readonly recorded: "real" | "hollow" | "derived" | "by-hand";
  readonly because: string | undefined;
  /** Another case whose recording is played here. */
  readonly plays: string | undefined;
  /** All clusters of the release; those that `expect` does not name play `plain-rollout`. */
  readonly clusters: readonly string[];
  /** Undefined for transients, and where an API fault is the signal. */
  readonly decisive: Decisive | undefined;
  readonly faults: readonly ApiFault[];
  readonly distort: readonly Distortion[];
  readonly steps: readonly Step[];
  readonly nodes: readonly HollowNode[];
  /** Job of `after.yaml` that runs before the workloads, like a migration. */
  readonly hook: { readonly job: string; readonly timeoutMs: number } | undefined;
  readonly bakeMs: number;
  /** On a real cluster nothing else runs beside it, for it takes what others need: the kubelet's one pull at a time. */
  readonly alone: boolean;
  /** `before` never becomes healthy: that is the point. */
  readonly startsBroken: boolean;
  /** How long the recorder goes on after the decisive signal, or after everything is available. */
  readonly lingerMs: number;
  /** The recorder gives up (a failure), or has seen enough (a transient), after this. */
  readonly atMostMs: number;
  readonly embedded: EmbeddedBehaviour | undefined;
}

const duration = z.string().transform((text, context) => {
  try {
    return parseDuration(text);
  } catch {
    context.addIssue({ code: "custom", message: `"${text}" is not a duration like 300ms, 2s or 1m30s` });
    return z.NEVER;
  }
});

/** `5s after the apply`, or `-2s` before it. */
const moment = z.string().transform((text, context) => {
  try {
    return text.startsWith("-") ? -parseDuration(text.slice(1)) : parseDuration(text);
  } catch {
    context.addIssue({ code: "custom", message: `"${text}" is not a moment like 5s or -2s` });
    return z.NEVER;
  }
});

const faultSchema = z
  .strictObject({
    cluster: z.string(),
    answer: z.enum(faultAnswers),
    from: moment.default(0),
    until: moment.optional(),
    latency: duration.default(0),
    ratio: z.number().min(0).max(1).default(1),
  })
  .transform(({ from, until, latency, ...rest }) => ({
    ...rest,
    fromMs: from,
    untilMs: until,
    latencyMs: latency,
  }));

const distortionSchema = z.union([
  z
    .strictObject({ kind: z.literal("clock-skew"), ahead: duration.optional(), behind: duration.optional() })
    .transform(({ kind, ahead, behind }) => ({ kind, skewMs: (ahead ?? 0) - (behind ?? 0) })),
  z.strictObject({ kind: z.literal("events-lost") }),
  z
    .strictObject({ kind: z.literal("events-late"), by: duration })
    .transform(({ kind, by }) => ({ kind, byMs: by })),
  z.strictObject({ kind: z.literal("events-reversed") }),
  z.strictObject({ kind: z.literal("twice") }),
]);

const program = z.enum(["kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]);
const which = z.enum(["new", "old", "any"]).default("any");
const stepAction = z.union([
  /** Applies or deletes the objects of a file of the case. */
  z.strictObject({ do: z.literal("apply"), file: z.string() }),
  z.strictObject({ do: z.literal("delete"), file: z.string() }),
  z.strictObject({ do: z.literal("delete-pod"), of: which }),
  z.strictObject({ do: z.literal("evict-pod"), of: which }),
  /** As the kubelet or the node lifecycle controller would leave it. */
  z.strictObject({ do: z.literal("scale"), replicas: z.number() }),
  /** Two hands that never agree: sets replicas to each in turn, every so often, to the end. */
  z.strictObject({ do: z.literal("contest"), replicas: z.array(z.number()), every: duration }),
  z.strictObject({ do: z.literal("set-image"), image: z.string() }),
  z.strictObject({ do: z.literal("pause") }),
  z.strictObject({ do: z.literal("cordon"), node: z.string() }),
  z.strictObject({ do: z.literal("uncordon"), node: z.string() }),
  /** Cordons a node and evicts what runs there. */
  z.strictObject({ do: z.literal("drain"), node: z.string() }),
  z.strictObject({
    do: z.literal("taint"),
    node: z.string(),
    key: z.string(),
    effect: z.enum(["NoSchedule", "NoExecute"]),
  }),
  z.strictObject({ do: z.literal("untaint"), node: z.string(), key: z.string() }),
  /** Hollow nodes: no more heartbeats, and heartbeats again. */
  z.strictObject({ do: z.literal("lose-node"), node: z.string() }),
  z.strictObject({ do: z.literal("find-node"), node: z.string() }),
  z.strictObject({
    do: z.literal("add-node"),
    node: z.string(),
    cpu: z.string(),
    memory: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
  }),
  /** What a cluster autoscaler says about pods that do not fit. */
  z.strictObject({
    do: z.literal("autoscaler-says"),
    reason: z.enum(["TriggeredScaleUp", "NotTriggerScaleUp"]),
    message: z.string(),
  }),
  z.strictObject({ do: z.literal("open-gate"), condition: z.string() }),
  z.strictObject({ do: z.literal("stop"), program }),
  z.strictObject({ do: z.literal("start"), program }),
  /** The admission webhook of the case, for pods of its namespace. */
  z.strictObject({
    do: z.literal("webhook"),
    answer: z.enum(["deny", "allow", "hang", "refuse"]),
    rules: z.enum(["pods", "deployments"]).default("pods"),
  }),
  /** Ends every container of the namespace and its sandbox, as a reboot of the node does. */
  z.strictObject({ do: z.literal("reboot") }),
]);

const caseSchema = z.strictObject({
  title: z.string().min(1),
  why: z.string().min(1),
  expect: z.discriminatedUnion("verdict", [
    z.strictObject({
      verdict: z.literal("failed"),
      cause: z.string(),
      cluster: z.string(),
      container: z.string().optional(),
      withinSeconds: z.number().positive(),
    }),
    z.strictObject({
      verdict: z.literal("unknown"),
      cause: z.string().optional(),
      cluster: z.string(),
      withinSeconds: z.number().positive(),
    }),
    z.strictObject({ verdict: z.literal("healthy") }),
  ]),
  preflight: z.string().optional(),
  places: z.array(z.enum(["replay", "embedded", "real"])).min(1),
  held: z.boolean(),
  recorded: z.enum(["real", "hollow", "derived", "by-hand"]),
  because: z.string().optional(),
  plays: z.string().optional(),
  clusters: z.array(z.string()).min(1).default(["tokyo"]),
  decisive: decisiveSchema.optional(),
  faults: z.array(faultSchema).default([]),
  distort: z.array(distortionSchema).default([]),
  steps: z.array(z.looseObject({ at: moment, do: z.string() })).default([]),
  nodes: z
    .array(
      z.strictObject({
        name: z.string(),
        cpu: z.string().default("4"),
        memory: z.string().default("8Gi"),
        pods: z.number().default(110),
        labels: z.record(z.string(), z.string()).default({}),
        taints: z
          .array(z.strictObject({ key: z.string(), value: z.string().optional(), effect: z.string() }))
          .default([]),
      }),
    )
    .default([]),
  hook: z
    .strictObject({ job: z.string(), timeout: duration })
    .transform(({ job, timeout }) => ({ job, timeoutMs: timeout }))
    .optional(),
  bake: duration.default(10_000),
  alone: z.boolean().default(false),
  startsBroken: z.boolean().default(false),
  linger: duration.default(15_000),
  atMost: duration.default(180_000),
  embedded: z
    .strictObject({
      startMs: z.number().optional(),
      readyAfterMs: z.union([z.number(), z.literal("never")]).optional(),
      exitAfterMs: z.number().optional(),
      exitCode: z.number().optional(),
      execExitCode: z.number().optional(),
      refusal: z.strictObject({ reason: z.string(), message: z.string() }).optional(),
      log: z.array(z.string()).optional(),
    })
    .optional(),
});

/** A third of the cases, decided by the name alone, before anything was recorded. */
export function isHeldBack(id: string): boolean {
  return createHash("sha256").update(id).digest().readUInt32BE(12) % 3 === 0;
}

/** Parses `case.yaml`; every problem is named, with its place in the file. */
export function parseCase(text: string, id: string, kind: CaseKind, directory: string): CorpusCase {
  const where = `corpus/${kind}/${id}/case.yaml`;
  let document: unknown;
  try {
    document = parseYaml(text);
  } catch (error) {
    throw invalidCase(where, error instanceof Error ? error.message : String(error));
  }
  const parsed = caseSchema.safeParse(document);
  if (!parsed.success) throw invalidCase(where, z.prettifyError(parsed.error));
  const { steps: rawSteps, bake, linger, atMost, ...rest } = parsed.data;
  const steps = rawSteps.map(({ at, ...action }, index): Step => {
    const step = stepAction.safeParse(action);
    if (!step.success) throw invalidCase(where, `steps[${index}]: ${z.prettifyError(step.error)}`);
    return { atMs: at, ...step.data };
  });
  const problem = contradiction(parsed.data, id, kind);
  if (problem !== undefined) throw invalidCase(where, problem);
  return {
    because: undefined,
    plays: undefined,
    preflight: undefined,
    decisive: undefined,
    hook: undefined,
    embedded: undefined,
    ...rest,
    id,
    kind,
    directory,
    steps,
    expect: rest.expect as Expected,
    nodes: rest.nodes as readonly HollowNode[],
    bakeMs: bake,
    lingerMs: linger,
    atMostMs: atMost,
  };
}

function contradiction(one: z.infer<typeof caseSchema>, id: string, kind: CaseKind): string | undefined {
  const isTransient = one.expect.verdict === "healthy";
  if (isTransient !== (kind === "transients")) return `a case of ${kind} cannot expect ${one.expect.verdict}`;
  if (one.held !== isHeldBack(id)) return `held must be ${isHeldBack(id)}: the name decides, see isHeldBack`;
  if (one.recorded === "by-hand" && one.because === undefined)
    return "because: say why it was written by hand";
  if ((one.recorded === "derived") !== (one.plays !== undefined))
    return "recorded: derived says that nothing was recorded for it and `plays` what is played: both or neither";
  const named = [
    ...(one.expect.verdict === "healthy" ? [] : [one.expect.cluster]),
    ...one.faults.map((fault) => fault.cluster),
  ];
  const unknown = named.find((cluster) => !one.clusters.includes(cluster));
  if (unknown !== undefined) return `${unknown} is none of its clusters`;
  if (kind === "failures" && one.decisive === undefined && one.faults.length === 0)
    return "decisive: say which signal decides";
  return undefined;
}

export function invalidCase(where: string, message: string): SlipwayError {
  return new SlipwayError({
    code: "CORPUS_CASE_INVALID",
    where,
    message,
    hint: "corpus/README.md shows the format.",
    exitCode: 2,
  });
}

export const CASE_KINDS = ["failures", "transients"] as const;

/** All cases below a corpus folder, failures first, each kind by name. */
export async function loadCases(corpus: string): Promise<readonly CorpusCase[]> {
  const cases: CorpusCase[] = [];
  for (const kind of CASE_KINDS) {
    for (const id of (await readdir(join(corpus, kind))).sort()) {
      const directory = join(corpus, kind, id);
      const text = await readTextIfExists(join(directory, "case.yaml"));
      if (text !== undefined) cases.push(parseCase(text, id, kind, directory));
    }
  }
  const ids = new Map<string, CorpusCase>();
  for (const one of cases) {
    if (ids.has(one.id)) throw invalidCase(`corpus/${one.kind}/${one.id}`, "another case has the same name");
    ids.set(one.id, one);
  }
  for (const { id, kind, plays } of cases) {
    if (plays !== undefined && !ids.has(plays))
      throw invalidCase(`corpus/${kind}/${id}/case.yaml`, `plays: there is no case "${plays}"`);
  }
  return cases;
}
