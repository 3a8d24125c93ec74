/** Recordings made by hand, small enough to read, played to the whole release engine. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "@slipway/base";
import type { AnyObject, KubeObject } from "@slipway/kube";
import { parseCase } from "./case.ts";
import type { Recording, RecordingLine } from "./recording.ts";
import { type CaseResult, runCase } from "./run-case.ts";

const owner = (kind: string, name: string, uid: string) => [
  { apiVersion: "apps/v1", kind, name, uid, controller: true },
];

function deployment(generation: number, status: object): KubeObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name: "web",
      namespace: "corpus",
      uid: "d",
      resourceVersion: "1",
      generation,
      annotations: { "deployment.kubernetes.io/revision": String(generation) },
    },
    spec: { replicas: 1, selector: {}, template: { spec: { containers: [] } } },
    status: { observedGeneration: generation, ...status },
  } as unknown as KubeObject;
}

function replicaSet(revision: number, status: object = {}): KubeObject {
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `web-${revision}`,
      namespace: "corpus",
      uid: `rs${revision}`,
      resourceVersion: "1",
      annotations: { "deployment.kubernetes.io/revision": String(revision) },
      ownerReferences: owner("Deployment", "web", "d"),
    },
    spec: { replicas: 1, selector: {}, template: { spec: { containers: [] } } },
    status: { replicas: 1, ...status },
  } as unknown as KubeObject;
}

function pod(revision: number, container: object, isReady = false): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `web-${revision}-x`,
      namespace: "corpus",
      uid: `p${revision}`,
      resourceVersion: "1",
      ownerReferences: owner("ReplicaSet", `web-${revision}`, `rs${revision}`),
    },
    spec: { containers: [{ name: "web", image: "web:2" }] },
    status: {
      phase: "Running",
      conditions: [
        { type: "PodScheduled", status: "True" },
        { type: "Ready", status: isReady ? "True" : "False" },
      ],
      containerStatuses: [
        { name: "web", ready: isReady, restartCount: 0, image: "web:2", imageID: "", ...container },
      ],
    },
  } as unknown as KubeObject;
}

const done = { replicas: 1, updatedReplicas: 1, availableReplicas: 1 };
const before: readonly RecordingLine[] = [
  { at: -1000, type: "ADDED", object: deployment(1, done) },
  { at: -1000, type: "ADDED", object: replicaSet(1, { availableReplicas: 1 }) },
  { at: -1000, type: "ADDED", object: pod(1, { state: { running: {} } }, true) },
  { at: 3, applied: { kind: "Deployment", name: "web", generation: 2 } },
  { at: 20, type: "ADDED", object: replicaSet(2) },
  {
    at: 30,
    type: "MODIFIED",
    object: deployment(2, { replicas: 2, updatedReplicas: 1, availableReplicas: 1 }),
  },
  { at: 40, type: "ADDED", object: pod(2, { state: { waiting: { reason: "ContainerCreating" } } }) },
];
const crash = { exitCode: 7, reason: "Error" };
const goesWell: readonly RecordingLine[] = [
  ...before,
  { at: 3_000, type: "MODIFIED", object: pod(2, { state: { running: {} }, started: true }, true) },
  { at: 3_010, type: "MODIFIED", object: replicaSet(2, { availableReplicas: 1, readyReplicas: 1 }) },
  { at: 3_500, type: "DELETED", object: pod(1, { state: { running: {} } }, true) },
  { at: 3_510, type: "MODIFIED", object: deployment(2, done) },
];
const crashes: readonly RecordingLine[] = [
  ...before,
  { at: 2_000, type: "MODIFIED", object: pod(2, { state: { terminated: crash } }) },
  { at: 2_100, log: { pod: "web-2-x", container: "web", previous: false, text: "fatal: no database\n" } },
  {
    at: 4_000,
    type: "MODIFIED",
    object: pod(2, {
      restartCount: 1,
      state: { waiting: { reason: "CrashLoopBackOff" } },
      lastState: { terminated: crash },
    }),
  },
];

const recording = (lines: readonly RecordingLine[], decisiveAt?: number): Recording => ({
  header: {
    case: "crash-at-once",
    kubernetes: "v1.20.2",
    recordedAt: "2026-01-01T00:00:00Z",
    place: "by-hand",
    appliedAt: 0,
    namespace: "corpus",
    ...(decisiveAt === undefined ? {} : { decisiveAt }),
  },
  lines,
});

const objects = [
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: { replicas: 1, selector: {}, template: { spec: { containers: [] } } },
  },
] as unknown as readonly AnyObject[];

async function played(yaml: string, own: Recording, seed?: number): Promise<CaseResult> {
  const kind = /verdict: healthy/.test(yaml) ? "transients" : "failures";
  // A name whose hash does not hold it back.
  const one = parseCase(
    `title: t\nwhy: w\nplaces: [replay]\nheld: false\nrecorded: by-hand\nbecause: a test\n${yaml}`,
    "crash-at-once",
    kind,
    "",
  );
  const random = seed === undefined ? undefined : seededRandom(seed);
  return await runCase({ case: one, objects, recording: own, plain: recording(goesWell), random });
}

test("a crash in one of three clusters is told with its cause, container, cluster and time", async () => {
  const result = await played(
    `clusters: [tokyo, osaka, paris]
expect: { verdict: failed, cause: ContainerCrash, cluster: osaka, container: web, withinSeconds: 10 }
decisive: { ends: 2 }`,
    recording(crashes, 4_000),
  );
  assert.equal(result.problem, undefined);
  assert.deepEqual(result.verdicts, { tokyo: "healthy", osaka: "failed", paris: "healthy" });
  assert.equal(result.cause?.said, "fatal: no database");
  assert.ok((result.verdictMs as number) < 3_000, `${result.verdictMs}`);
});

test("a change that goes well is healthy, also with every trouble that a seed brings", async () => {
  for (const seed of [undefined, 1, 2, 3, 4, 5]) {
    const result = await played("expect: { verdict: healthy }", recording(goesWell), seed);
    assert.equal(result.problem, undefined, `seed ${seed}`);
  }
});

test("a cluster whose API goes away after the apply is unknown, and the other one is judged", async () => {
  const result = await played(
    `clusters: [tokyo, osaka]
expect: { verdict: unknown, cluster: osaka, withinSeconds: 90 }
faults: [{ cluster: osaka, answer: refuse, from: 1s }]`,
    recording(goesWell),
  );
  assert.equal(result.problem, undefined);
  assert.equal(result.cause?.code, "ClusterUnreachable");
});

test("an apply that was refused is refused again, and told by its own words", async () => {
  const result = await played(
    `expect: { verdict: failed, cause: FieldImmutable, cluster: tokyo, withinSeconds: 10 }
decisive: { refused: immutable }`,
    recording(
      [
        ...before.slice(0, 3),
        {
          at: 5,
          refused: {
            kind: "Deployment",
            name: "web",
            status: {
              apiVersion: "v1",
              kind: "Status",
              metadata: {},
              status: "Failure",
              reason: "Invalid",
              code: 422,
              message: 'Deployment.apps "web" is invalid: spec.selector: field is immutable',
            },
          },
        },
      ],
      5,
    ),
  );
  assert.equal(result.problem, undefined);
});

test("the same seed plays the same way", async () => {
  const run = () =>
    played(
      `expect: { verdict: failed, cause: ContainerCrash, cluster: tokyo, withinSeconds: 10 }
decisive: { ends: 2 }`,
      recording(crashes, 4_000),
      42,
    );
  assert.deepEqual(await run(), await run());
});
