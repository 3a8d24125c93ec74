/**
 * A person's word. The answer is an annotation on the release's record in the clusters, so it can be given from any
 * machine that reaches one of them, survives the process that waits for it, and says afterwards who it was.
 */
import { SlipwayError } from "@slipway/base";
import { isReason, type KubeClient, type Secret } from "@slipway/kube";
import { readTrusted } from "../history/trusted.ts";
import type { ReleaseContext, ReleaseRecord, Target } from "../model.ts";
import type { Asking, GateFinding, GateRecord } from "./gate.ts";

export interface Answer {
  readonly approved: boolean;
  readonly who: string;
  readonly from: string;
  readonly message: string;
  readonly at: number;
}

type Place = Pick<ReleaseRecord, "service" | "namespace" | "number">;

const LOOK_EVERY_MS = 1_000;
/** Of its own, so that the record's writer, which applies with force, leaves it alone. */
const FIELD_MANAGER = "slipway-approval";

function annotationOf(gate: Pick<GateRecord, "wave" | "name">): string {
  const name = gate.name.replaceAll(/[^A-Za-z0-9_.-]/g, "-");
  return `approval.slipway.dev/wave-${gate.wave + 1}-${name}`.slice(0, 84).replace(/[^A-Za-z0-9]+$/, "");
}

function refOf(place: Place): { apiVersion: string; kind: string; namespace: string; name: string } {
  return {
    apiVersion: "v1",
    kind: "Secret",
    namespace: place.namespace,
    name: `slipway.${place.service}.${place.number}`,
  };
}

export async function askApproval(
  asking: Asking,
  facts: {
    readonly record: ReleaseRecord;
    readonly gate: Pick<GateRecord, "wave" | "name">;
    readonly targets: readonly Target[];
    readonly question: string;
    /** Whoever runs this release, when they answer at the terminal. */
    readonly who: string;
  },
): Promise<GateFinding> {
  const { clock, ports, signal, waiting } = asking;
  const here = ports.ask === undefined ? "" : "y or n and Enter here, or ";
  waiting(`${facts.question} Say ${here}\`slipway release approve\` (or --reject)`);
  const withdrawn = new AbortController();
  const withdraw = AbortSignal.any([signal, withdrawn.signal]);
  let typed: { readonly approved: boolean } | undefined;
  const asked = ports.ask?.(facts.question, withdraw).then(
    (answer) => {
      typed = answer;
      if (answer !== undefined) withdrawn.abort();
    },
    () => undefined,
  );
  try {
    while (!signal.aborted) {
      if (typed !== undefined) {
        return findingOf({ approved: typed.approved, who: facts.who, from: "terminal", message: "", at: 0 });
      }
      const answer = await readAnswer(facts.targets, facts.record, facts.gate);
      if (answer !== undefined) return findingOf(answer);
      await clock.sleep(LOOK_EVERY_MS, withdraw).catch(() => undefined);
    }
    return { outcome: "timed-out", said: "nobody answered", values: {} };
  } finally {
    withdrawn.abort();
    await asked;
  }
}

function findingOf(answer: Answer): GateFinding {
  const message = answer.message === "" ? "" : `: ${answer.message}`;
  return {
    outcome: answer.approved ? "passed" : "failed",
    said: `${answer.approved ? "approved" : "rejected"} by ${answer.who} (${answer.from})${message}`,
    values: {},
    by: answer.who,
  };
}

async function readAnswer(
  targets: readonly Target[],
  record: Place,
  gate: Pick<GateRecord, "wave" | "name">,
): Promise<Answer | undefined> {
  // A cluster that is away must not keep the answer of another from being seen.
  const reads = targets.map(async ({ client }) => {
    const secret = await client.get<Secret>(refOf(record));
    const text = secret.metadata.annotations?.[annotationOf(gate)];
    if (text === undefined) throw new Error("no answer here");
    return JSON.parse(text) as Answer;
  });
  return Promise.any(reads).catch(() => undefined);
}

/** The gate that waits for a person in this release, when one does. */
export function waitingGate(record: Pick<ReleaseRecord, "outcome" | "gates">): GateRecord | undefined {
  if (record.outcome !== "in-progress") return undefined;
  return record.gates?.find((gate) => gate.kind === "approval" && gate.outcome === "waiting");
}

export interface Answered {
  readonly release: number;
  readonly gate: GateRecord;
  /** Clusters that have the answer; none with `dryRun`. */
  readonly clusters: readonly string[];
}

/**
 * Answers the release that waits for a person, in every cluster that answers. Throws, with nothing written, when none
 * waits, when a name leads to another cluster than it is bound to, or when no cluster takes the answer.
 */
export async function answerGate(
  context: ReleaseContext,
  given: { readonly approved: boolean; readonly message: string; readonly dryRun?: boolean | undefined },
): Promise<Answered> {
  const { approved, message, dryRun } = given;
  const { records, unreachable } = await readTrusted(context);
  const record = records.find((one) => waitingGate(one) !== undefined);
  const gate = record === undefined ? undefined : waitingGate(record);
  if (record === undefined || gate === undefined) {
    throw new SlipwayError({
      code: "APPROVAL_NOT_WANTED",
      where: `${context.service} (${context.environment})`,
      message: "no release waits for a person",
      hint: "See slipway status and slipway history.",
      exitCode: 2,
    });
  }
  if (dryRun === true) return { release: record.number, gate, clusters: [] };
  const { who, from, clock } = context;
  const answer: Answer = { approved, message, who, from, at: clock.now() };
  const reached = context.targets.filter((target) => !unreachable.has(target.name));
  const done = await Promise.allSettled(
    reached.map(async ({ name, client }) => {
      await leave(client, record, { key: annotationOf(gate), text: JSON.stringify(answer) });
      return name;
    }),
  );
  const clusters = done.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  if (clusters.length === 0) throw (done[0] as PromiseRejectedResult).reason;
  return { release: record.number, gate, clusters };
}

async function leave(
  client: KubeClient,
  record: Place,
  { key, text }: { readonly key: string; readonly text: string },
): Promise<void> {
  try {
    await client.patch(
      refOf(record),
      "merge",
      { metadata: { annotations: { [key]: text } } },
      { fieldManager: FIELD_MANAGER },
    );
  } catch (error) {
    if (!isReason(error, "NotFound")) throw error;
    throw new SlipwayError({
      code: "APPROVAL_NO_RECORD",
      where: client.name,
      message: `has no record of release ${record.number}`,
      hint: "See slipway history.",
      exitCode: 3,
    });
  }
}
