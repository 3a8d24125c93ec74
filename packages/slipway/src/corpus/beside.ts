/**
 * One of three clusters failing, in every way of the corpus: a case about one cluster is played again with two healthy
 * ones beside it. The cause must be the same and told of the right cluster, and the neighbours must not suffer. Pure.
 */
import { createHash } from "node:crypto";
import type { AnyObject } from "@slipway/kube";
import type { CorpusCase } from "./case.ts";
import type { Recording, RecordingLine } from "./recording.ts";
import type { CaseResult } from "./run-case.ts";

const CLUSTERS = ["tokyo", "osaka", "nagoya"] as const;

/**
 * The same failure in one of three clusters, the first, second or third by the hash of its name; undefined of a transient
 * and of a case that has several clusters already.
 */
export function amongThree(one: CorpusCase): CorpusCase | undefined {
  const { expect } = one;
  if (expect.verdict === "healthy" || one.clusters.length > 1) return undefined;
  // A hook runs in the first cluster, before any is changed.
  const at = one.hook === undefined ? createHash("sha256").update(one.id).digest().readUInt32BE(0) % 3 : 0;
  const cluster = CLUSTERS[at] as string;
  return {
    ...one,
    clusters: CLUSTERS,
    expect: { ...expect, cluster },
    faults: one.faults.map((fault) => ({ ...fault, cluster })),
  };
}

/** The result of such a run, wrong also when a neighbour did not become healthy; a hook that fails leaves them as they were. */
export function withNeighbours(one: CorpusCase, result: CaseResult): CaseResult {
  if (result.problem !== undefined || one.expect.verdict === "healthy") return result;
  const wanted = one.hook === undefined ? "healthy" : "not-started";
  const { cluster } = one.expect;
  const wrong = one.clusters.find((name) => name !== cluster && result.verdicts[name] !== wanted);
  if (wrong === undefined) return result;
  return {
    ...result,
    isRight: false,
    problem: `${wrong} is ${result.verdicts[wrong] ?? "not judged"}, not ${wanted}`,
  };
}

/** The service of the plain rollout, whose Deployment every other one is a copy of. */
const SERVICE = "web";

/**
 * What a healthy cluster beside the failure shows of the same objects. The service is the plain rollout's; another
 * Deployment is that one under its own name; a StatefulSet or DaemonSet, of which no plain rollout was recorded, has nothing
 * to do there.
 */
export function neighbourOf(objects: readonly AnyObject[], plain: Recording): Recording {
  const others = objects.filter(({ kind, metadata }) => kind === "Deployment" && metadata.name !== SERVICE);
  const sets = objects.filter(({ kind }) => kind === "StatefulSet" || kind === "DaemonSet");
  const lines = [
    ...plain.lines,
    ...others.flatMap(({ metadata }) => plain.lines.flatMap((line) => renamed(line, metadata.name))),
    ...sets.flatMap(atRest),
  ].toSorted((a, b) => a.at - b.at);
  return { header: plain.header, lines };
}

/** Nodes are there once. Names of the service and of what was made of it, its labels, and identities. */
function renamed(line: RecordingLine, name: string): readonly RecordingLine[] {
  if ("type" in line && line.object.kind === "Node") return [];
  const text = JSON.stringify(line)
    .replaceAll(/"web(?=["-])/g, `"${name}`)
    .replaceAll(/"uid":"/g, `"uid":"${name}-`);
  return [JSON.parse(text) as RecordingLine];
}

/** Written, not recorded: a set that runs whole what is applied. */
function atRest(object: AnyObject): readonly RecordingLine[] {
  const { apiVersion, kind, metadata } = object;
  const { replicas = 1 } = (object["spec"] ?? {}) as { readonly replicas?: number };
  const revision = `${metadata.name}-1`;
  const status =
    kind === "StatefulSet"
      ? {
          ...{ replicas, readyReplicas: replicas, currentReplicas: replicas, updatedReplicas: replicas },
          ...{ currentRevision: revision, updateRevision: revision },
        }
      : {
          ...{ desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1 },
          ...{ numberReady: 1, numberAvailable: 1, numberMisscheduled: 0 },
        };
  const live = {
    ...object,
    metadata: {
      ...metadata,
      namespace: "shop",
      uid: `${kind}-${metadata.name}`,
      resourceVersion: "1",
      generation: 1,
    },
    status: { observedGeneration: 1, ...status },
  };
  return [
    { at: -2_000, type: "ADDED", object: { ...live, apiVersion, kind } },
    { at: 1, applied: { kind, name: metadata.name, generation: 1 } },
  ];
}
