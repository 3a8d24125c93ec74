/**
 * The controllers against recordings of the real ones: kube-controller-manager 1.20.2 with a real API server, driven by
 * kubectl step by step, pods made ready by writing their status. Each line of a recording is a step and what was there
 * once it had settled: every ReplicaSet as image=replicas/revision/history, the conditions, the Deployment's revision,
 * and its status (pods, updated, unavailable, collisions).
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Deployment, DeploymentSpec, IntOrString, Pod } from "@slipway/kube";
import { deploymentController } from "../controllers/deployment/decide.ts";
import { replicaSetController } from "../controllers/replicaset/decide.ts";
import { createWorld, type World } from "./world.ts";

interface Step {
  readonly name: string;
  readonly run: (world: World) => void;
}

function replay(recording: string, steps: readonly Step[]): void {
  const path = join(import.meta.dirname, "testdata", recording);
  const expected = readFileSync(path, "utf8").trimEnd().split("\n");
  const silent = { startMs: [1, 1], readyMs: [1, 1], endMs: [100, 100], isNeverReady: true } as const;
  const world = createWorld({
    seed: 1,
    controllers: [deploymentController, replicaSetController],
    behaviours: { v1: silent, v2: silent, v3: silent, v4: silent },
  });
  const seen = steps.map(({ name, run }) => {
    run(world);
    world.run({ forMs: 3000 });
    return `${name}: ${picture(world)}`;
  });
  assert.deepEqual(seen, expected);
}

function picture(world: World): string {
  const annotation = (object: { metadata: Deployment["metadata"] }, name: string): string =>
    object.metadata.annotations?.[`deployment.kubernetes.io/${name}`] ?? "";
  const replicaSets = world.store
    .list("ReplicaSet")
    .map((each) => {
      const image = each.spec.template.spec.containers[0]?.image;
      return `${image}=${each.spec.replicas}/${annotation(each, "revision")}/${annotation(each, "revision-history")}`;
    })
    .sort();
  const deployment = theDeployment(world);
  const { conditions = [], replicas = 0, updatedReplicas = 0, ...status } = deployment.status ?? {};
  const told = conditions.map(({ type, status: is, reason }) => `${type}=${is}:${reason}`).sort();
  const counts = [replicas, updatedReplicas, status.unavailableReplicas ?? 0, status.collisionCount ?? 0];
  return `${replicaSets.join(" ")} | ${told.join(" ")} rev ${annotation(deployment, "revision")} st ${counts.join(" ")}`;
}

function theDeployment({ store }: World): Deployment {
  const deployment = store.get("Deployment", "default", "web");
  assert.ok(deployment);
  return deployment;
}

// --- What was done with kubectl ---

function create(): Step {
  const labels = { app: "web" };
  const deployment: Deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "default" },
    spec: {
      replicas: 10,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } },
      template: { metadata: { labels }, spec: { containers: [{ name: "web", image: "v1" }] } },
    },
  };
  return { name: "create", run: (world) => world.api.create(deployment) };
}

function change(name: string, spec: (now: DeploymentSpec) => Partial<DeploymentSpec>): Step {
  return {
    name,
    run: (world) => {
      const deployment = theDeployment(world);
      world.api.replace({
        ...deployment,
        spec: { ...deployment.spec, ...spec(deployment.spec) },
      } as Deployment);
    },
  };
}

const image = (name: string, to = name): Step =>
  change(name, ({ template }) => ({
    template: { ...template, spec: { containers: [{ name: "web", image: to }] } },
  }));
const replicas = (name: string, to: number): Step => change(name, () => ({ replicas: to }));
const paused = (name: string, to: boolean): Step => change(name, () => ({ paused: to }));
const limits = (name: string, maxSurge: IntOrString, maxUnavailable: IntOrString): Step =>
  change(name, () => ({ strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } } }));

/** Sets the Ready condition of at most `count` pods of an image. */
function mark(name: string, of: string, isReady: boolean, count = 99): Step {
  return {
    name,
    run: (world) => {
      const status = isReady ? "True" : "False";
      const lastTransitionTime = new Date(world.now()).toISOString().replace(/\.\d+/, "");
      const other = world.store
        .list("Pod")
        .filter(
          (pod) =>
            pod.spec.containers[0]?.image === of &&
            pod.metadata.deletionTimestamp === undefined &&
            pod.status?.conditions?.find(({ type }) => type === "Ready")?.status !== status,
        );
      for (const pod of other.slice(0, count)) {
        const conditions = [{ type: "Ready", status, lastTransitionTime }];
        world.api.replace({ ...pod, status: { ...pod.status, phase: "Running", conditions } } as Pod, {
          subresource: "status",
        });
      }
    },
  };
}

test("as Kubernetes, when no pod is ever ready: rollover, scaling by shares, undo, pause", () => {
  replay("kubernetes-1.20.2-never-ready.txt", [
    create(),
    image("v2"),
    replicas("scale20", 20),
    image("v3"),
    replicas("scale7", 7),
    image("undo1", "v1"),
    paused("pause", true),
    image("v4paused", "v4"),
    replicas("scale11paused", 11),
    paused("resume", false),
    limits("surge50", "50%", "0%"),
    replicas("scale3", 3),
    replicas("scale0", 0),
    replicas("scale5", 5),
  ]);
});

test("as Kubernetes, when pods become ready and unready: floor, cleanup, completion, undo", () => {
  replay("kubernetes-1.20.2-ready-by-hand.txt", [
    create(),
    mark("v1 ready", "v1", true),
    image("v2"),
    mark("2 of v2 ready", "v2", true, 2),
    mark("3 of v1 not ready", "v1", false, 3),
    mark("v2 ready", "v2", true),
    mark("v2 ready again", "v2", true),
    mark("v2 ready a last time", "v2", true),
    limits("10% and 0", "10%", 0),
    image("v3"),
    mark("1 of v3 ready", "v3", true, 1),
    mark("2 of v2 not ready", "v2", false, 2),
    replicas("scale6", 6),
    mark("v3 ready", "v3", true),
    mark("v3 ready again", "v3", true),
    image("undo", "v2"),
  ]);
});
