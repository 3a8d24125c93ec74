/**
 * The scenario of the simulation tests: a Deployment is created, rolled out, disturbed by its users, all under faults;
 * then the faults end and it must come to rest. What the Deployment allows, how it is disturbed and when is drawn from
 * the seed.
 *
 * @example
 * const run = simulateRollout({ seed: 42, faults: MANY_FAULTS });
 * if (run.violation !== undefined) throw new Error(describeFailure(run));
 */
import type { Deployment, IntOrString, KubeObject, Pod, ReplicaSet } from "@slipway/kube";
import type { Controller } from "../controllers/controller.ts";
import { deploymentController } from "../controllers/deployment/decide.ts";
import { POD_TEMPLATE_HASH } from "../controllers/deployment/hash.ts";
import { replicaSetController } from "../controllers/replicaset/decide.ts";
import { ceilingChecker } from "./checkers/ceiling.ts";
import type { Checker } from "./checkers/checker.ts";
import { Violation } from "./checkers/checker.ts";
import { convergenceChecker, whyNotConverged } from "./checkers/convergence.ts";
import { decisionChecker } from "./checkers/decisions.ts";
import { floorChecker } from "./checkers/floor.ts";
import { revisionChecker } from "./checkers/revisions.ts";
import { revisionIn } from "./checkers/truth.ts";
import type { Faults } from "./faults.ts";
import { ORDINARY_POD } from "./pods.ts";
import { createWorld, type World } from "./world.ts";

export interface RolloutOptions {
  readonly seed: number;
  readonly faults: Faults;
  /** Default 50. */
  readonly pods?: number;
  /** Default: the real Deployment and ReplicaSet controllers. */
  readonly controllers?: readonly Controller[];
  readonly isProtected?: boolean;
  /** Names of checkers to leave out, to see what the others catch alone. */
  readonly without?: readonly string[];
}

export interface RolloutRun {
  readonly seed: number;
  readonly disturbance: Disturbance;
  readonly world: World;
  /** What must never have happened and did; undefined after a good run. */
  readonly violation: Violation | undefined;
}

export type Disturbance =
  | "nothing"
  | "rollover"
  | "scale up"
  | "scale down"
  | "undo"
  | "bad image"
  | "pause"
  | "quarantine a pod"
  | "orphan a pod"
  | "orphan a ReplicaSet";

export const DISTURBANCES: readonly Disturbance[] = [
  "nothing",
  "rollover",
  "scale up",
  "scale down",
  "undo",
  "bad image",
  "pause",
  "quarantine a pod",
  "orphan a pod",
  "orphan a ReplicaSet",
];

/** The steps by which faults are counted. */
export const STEPS = ["create", "roll out", "disturb"] as const;

const NAMESPACE = "default";
const NAME = "web";

/** maxSurge and maxUnavailable, as teams write them. */
const LIMITS: readonly (readonly [IntOrString, IntOrString])[] = [
  ["10%", 0],
  ["25%", "25%"],
  ["50%", "25%"],
  [1, 0],
  [0, "10%"],
  ["100%", 0],
  [5, 3],
  ["25%", 1],
];

/** Longer than the longest back-off: 1,000 s of a key that kept failing (a full quota), 300 s of a crashing pod. */
const TO_REST_MS = 1_500_000;

export function simulateRollout(options: RolloutOptions): RolloutRun {
  const checkers: readonly Checker[] = [
    decisionChecker(),
    floorChecker(),
    ceilingChecker(),
    revisionChecker(),
    convergenceChecker(),
  ].filter(({ name }) => options.without?.includes(name) !== true);
  const world = createWorld({
    seed: options.seed,
    controllers: options.controllers ?? [deploymentController, replicaSetController],
    checkers,
    behaviours: { bad: { ...ORDINARY_POD, isNeverReady: true } },
    ...(options.isProtected === undefined ? {} : { isProtected: options.isProtected }),
  });
  const { random } = world;
  const disturbance = random.pick(DISTURBANCES);
  let violation: Violation | undefined;
  try {
    world.setFaults(options.faults);
    create(world, options.pods ?? 50);
    world.run({ forMs: 10_000 + random.int(20_000), until: () => isAtRest(world) });
    world.do("roll out", () => setImage(world, "v2"));
    world.run({ forMs: 1000 + random.int(15_000), until: () => isAtRest(world) });
    world.do("disturb", () => world.transcript.add(world.elapsedMs(), "user", NAME, disturbance));
    disturb(world, disturbance, options.faults);
    world.run({ forMs: 5000 + random.int(10_000) });
    bringToRest(world);
    world.checkAtRest();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error;
  }
  return { seed: options.seed, disturbance, world, violation };
}

/** For people: the seed that repeats it, what was violated, and what led there. */
export function describeFailure(run: RolloutRun, lines = 60): string {
  const what = run.violation?.message ?? "no violation";
  const transcript = run.world.transcript.render(lines);
  return `seed ${run.seed} (${run.disturbance}): ${what}\n\n${transcript}`;
}

// --- The story ---

function create(world: World, replicas: number): void {
  const [maxSurge, maxUnavailable] = world.random.pick(LIMITS);
  const minReadySeconds = world.random.pick([0, 0, 2, 5]);
  const labels = { app: NAME };
  const deployment: Deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: NAME, namespace: NAMESPACE },
    spec: {
      replicas,
      minReadySeconds,
      progressDeadlineSeconds: 60,
      revisionHistoryLimit: 1,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } },
      template: { metadata: { labels }, spec: { containers: [{ name: NAME, image: "v1" }] } },
    },
  };
  world.do("create", () => world.api.create(deployment));
}

function disturb(world: World, disturbance: Disturbance, faults: Faults): void {
  const { replicas = 1 } = theDeployment(world).spec;
  switch (disturbance) {
    case "nothing":
      return;
    case "rollover":
      return setImage(world, "v3");
    case "scale up":
      return change(world, { replicas: replicas + 1 + world.random.int(replicas) });
    case "scale down":
      return change(world, { replicas: 1 + world.random.int(replicas) });
    case "undo":
      return undo(world);
    case "bad image":
      return shipBadImage(world, faults);
    case "pause": {
      change(world, { paused: true });
      const [image, later] = ["v3", 1000 + world.random.int(5000)];
      world.after(500, () => setImage(world, image));
      return world.after(later, () => change(world, { paused: false }));
    }
    case "quarantine a pod":
      return editSomePod(world, (pod) => ({ ...pod.metadata, labels: { app: "quarantine" } }));
    case "orphan a pod":
      return editSomePod(world, ({ metadata: { ownerReferences: _owner, ...rest } }) => rest);
    case "orphan a ReplicaSet": {
      const replicaSet = world.random.pick(world.store.list("ReplicaSet", NAMESPACE));
      const { ownerReferences: _owner, ...metadata } = replicaSet.metadata;
      world.api.replace({ ...replicaSet, metadata } as ReplicaSet);
    }
  }
}

/** A version that never becomes ready: the deadline must tell, and an undo must bring the old one back. */
function shipBadImage(world: World, faults: Faults): void {
  setImage(world, "bad");
  world.run({ forMs: 10_000 });
  world.heal();
  const isExceeded = (): boolean =>
    theDeployment(world).status?.conditions?.some(({ reason }) => reason === "ProgressDeadlineExceeded") ===
    true;
  if (!world.run({ forMs: TO_REST_MS, until: isExceeded })) {
    throw new Violation("deadline", "a rollout without progress never exceeded its deadline of 60 s");
  }
  world.setFaults(faults);
  undo(world);
}

/** What `kubectl rollout undo` does: the template of the revision before, without its hash. */
function undo(world: World): void {
  const deployment = theDeployment(world);
  const current = deployment.spec.template.spec.containers[0]?.image;
  const former = [...world.store.list("ReplicaSet", NAMESPACE)]
    .filter(({ spec }) => spec.template.spec.containers[0]?.image !== current)
    .sort((a, b) => revisionIn(b) - revisionIn(a))[0];
  if (former === undefined) return;
  const { [POD_TEMPLATE_HASH]: _hash, ...labels } = former.spec.template.metadata?.labels ?? {};
  const template = { ...former.spec.template, metadata: { ...former.spec.template.metadata, labels } };
  change(world, { template });
}

function bringToRest(world: World): void {
  world.heal();
  world.run({ forMs: TO_REST_MS, until: () => isAtRest(world) });
}

// --- What users do ---

function setImage(world: World, image: string): void {
  const { template } = theDeployment(world).spec;
  change(world, { template: { ...template, spec: { containers: [{ name: NAME, image }] } } });
}

function change(world: World, spec: Partial<Deployment["spec"]>): void {
  const deployment = theDeployment(world);
  world.api.replace({ ...deployment, spec: { ...deployment.spec, ...spec } } as Deployment);
}

function editSomePod(world: World, edit: (pod: Pod) => KubeObject["metadata"]): void {
  const pods = world.store.list("Pod", NAMESPACE).filter((pod) => isServing(pod));
  if (pods.length === 0) return;
  const pod = world.random.pick(pods);
  world.api.replace({ ...pod, metadata: edit(pod) } as Pod);
}

function isServing({ metadata, status }: Pod): boolean {
  return metadata.deletionTimestamp === undefined && status?.phase === "Running";
}

function theDeployment(world: World): Deployment {
  const deployment = world.store.get("Deployment", NAMESPACE, NAME);
  if (deployment === undefined) throw new Violation("scenario", "the Deployment is gone");
  return deployment;
}

/** Asked after every event, so the cheapest question comes first. */
function isAtRest(world: World): boolean {
  const deployment = theDeployment(world);
  const { status, spec } = deployment;
  if (status?.updatedReplicas !== spec.replicas || status?.availableReplicas !== spec.replicas) return false;
  return whyNotConverged(world.store, deployment, world.now()) === undefined;
}
