import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Deployment } from "@slipway/kube";
import type { Controller } from "../controllers/controller.ts";
import { deploymentController } from "../controllers/deployment/decide.ts";
import { endpointsController } from "../controllers/endpoints/endpoints.ts";
import { replicaSetController } from "../controllers/replicaset/decide.ts";
import { schedulerController } from "../controllers/scheduler/scheduler.ts";
import { whyNotConverged } from "./checkers/convergence.ts";
import type { PodBehaviour } from "./pods.ts";
import { createWorld, type World, type WorldOptions } from "./world.ts";

const labels = { app: "web" };

function webDeployment(replicas: number, image: string): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "default" },
    spec: {
      replicas,
      progressDeadlineSeconds: 60,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: { metadata: { labels }, spec: { containers: [{ name: "web", image }] } },
    },
  };
}

function theDeployment({ store }: World): Deployment {
  const deployment = store.get("Deployment", "default", "web");
  assert.ok(deployment);
  return deployment;
}

function ship(world: World, image: string): void {
  const deployment = theDeployment(world);
  const { template } = webDeployment(1, image).spec;
  world.do(`ship ${image}`, () =>
    world.api.replace({ ...deployment, spec: { ...deployment.spec, template } } as Deployment),
  );
}

function open(
  options: Partial<WorldOptions> & { readonly more?: readonly Controller[] } = {},
  replicas = 3,
): World {
  const controllers = [deploymentController, replicaSetController, ...(options.more ?? [])];
  const world = createWorld({ seed: 1, nodes: 3, ...options, controllers });
  world.do("create web", () => world.api.create(webDeployment(replicas, "v1")));
  return world;
}

const problemOf = (world: World): string | undefined =>
  whyNotConverged(world.store, theDeployment(world), world.now());
const isDone = (world: World) => (): boolean => problemOf(world) === undefined;

describe("a world", () => {
  test("tells a rolling update and a broken image line by line (golden)", (t) => {
    const broken: PodBehaviour = {
      startMs: [500, 500],
      readyMs: [0, 0],
      endMs: [100, 100],
      crashesAfterMs: 800,
    };
    const world = open({ behaviours: { broken } });
    assert.ok(world.run({ forMs: 60_000, until: isDone(world) }), problemOf(world));
    ship(world, "v2");
    assert.ok(world.run({ forMs: 60_000, until: isDone(world) }), problemOf(world));
    ship(world, "broken");
    world.run({ forMs: 90_000 });
    const reason = theDeployment(world).status?.conditions?.find(
      ({ type }) => type === "Progressing",
    )?.reason;
    assert.equal(reason, "ProgressDeadlineExceeded");
    assert.equal(theDeployment(world).status?.availableReplicas, 3, "a broken image costs no capacity");
    t.assert.fileSnapshot(
      `${world.transcript.render()}\n`,
      join(import.meta.dirname, "testdata/rollout.txt"),
      {
        serializers: [(text: string) => text],
      },
    );
  });

  test("runs the real scheduler and the real endpoints too", () => {
    const world = open({ more: [schedulerController, endpointsController] }, 6);
    world.do("create the service", () =>
      world.api.create({
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "web", namespace: "default" },
        spec: { selector: labels, ports: [{ port: 80 }] },
      } as never),
    );
    assert.ok(world.run({ forMs: 60_000, until: isDone(world) }), problemOf(world));
    const perNode = Map.groupBy(world.store.list("Pod"), ({ spec }) => spec.nodeName);
    assert.deepEqual(
      [...perNode.values()].map((pods) => pods.length),
      [2, 2, 2],
      "spread evenly",
    );
    world.run({ forMs: 1000 });
    const addresses = world.store.get("Endpoints", "default", "web")?.subsets?.[0]?.addresses;
    assert.equal(addresses?.length, 6);
  });

  test("ends a run at its time when nothing is left to do", () => {
    const world = createWorld({ seed: 1, controllers: [] });
    assert.equal(world.run({ forMs: 5000, until: () => false }), false);
    assert.equal(world.elapsedMs(), 5000);
  });
});
