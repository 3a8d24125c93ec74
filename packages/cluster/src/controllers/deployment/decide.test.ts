import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { seededRandom } from "@slipway/base";
import {
  type Api,
  createApi,
  createStore,
  type Deployment,
  type DeploymentSpec,
  type ReplicaSet,
  type Store,
} from "@slipway/kube";
import { type EventCommand, execute } from "../execute.ts";
import { decideDeployment } from "./decide.ts";

/** A Deployment and its ReplicaSets without pods: the tests play the ReplicaSet controller and set the status. */
const KEY = "default/web";
const labels = { app: "web" };

let store: Store;
let api: Api;
let now: number;
let events: string[];

beforeEach(() => {
  now = Date.UTC(2026, 0, 1);
  store = createStore();
  api = createApi({ store, now: () => now, random: seededRandom(1), trusted: true });
  events = [];
});

function template(image: string): DeploymentSpec["template"] {
  return { metadata: { labels }, spec: { containers: [{ name: "web", image }] } };
}

function create(spec: Partial<DeploymentSpec> = {}): void {
  api.create({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "default" },
    spec: {
      replicas: 10,
      progressDeadlineSeconds: 60,
      revisionHistoryLimit: 10,
      selector: { matchLabels: labels },
      template: template("v1"),
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } },
      ...spec,
    },
  } as Deployment);
  settle();
}

function change(spec: Partial<DeploymentSpec>): void {
  const deployment = current();
  now += 1000;
  api.replace({ ...deployment, spec: { ...deployment.spec, ...spec } } as Deployment);
  settle();
}

function current(): Deployment {
  const deployment = store.get("Deployment", "default", "web");
  assert.ok(deployment);
  return deployment;
}

/** Decides until nothing is left to do. */
function settle(): void {
  for (let round = 0; round < 20; round += 1) {
    const decision = decideDeployment(store, KEY, now);
    const outcome = execute(decision, {
      api,
      recordEvent: ({ reason, message }: EventCommand) => events.push(`${reason}: ${message}`),
    });
    assert.equal(outcome.kind, "applied");
    if (outcome.resourceVersion === undefined) return;
  }
  assert.fail("twenty decisions and still something to do");
}

function of(image: string): ReplicaSet {
  const found = store
    .list("ReplicaSet", "default")
    .find(({ spec }) => spec.template.spec.containers[0]?.image === image);
  assert.ok(found, `a ReplicaSet of ${image}`);
  return found;
}

/** The ReplicaSet of the image has all its pods now, of which so many are available. */
function report(image: string, available: number): void {
  const replicaSet = of(image);
  const { replicas = 0 } = replicaSet.spec;
  const status = {
    replicas,
    readyReplicas: available,
    availableReplicas: available,
    observedGeneration: replicaSet.metadata.generation ?? 0,
  };
  now += 1000;
  api.replace({ ...replicaSet, status } as ReplicaSet, { subresource: "status" });
  settle();
}

const sizes = (...images: string[]): readonly (number | undefined)[] =>
  images.map((image) => of(image).spec.replicas);
const progressing = (): string | undefined =>
  current().status?.conditions?.find(({ type }) => type === "Progressing")?.reason;
const revisions = (...objects: (Deployment | ReplicaSet)[]): readonly (string | undefined)[] =>
  objects.map(({ metadata }) => metadata.annotations?.["deployment.kubernetes.io/revision"]);

/** Template v1 is wholly there. */
function rollOutFirst(spec: Partial<DeploymentSpec> = {}): void {
  create(spec);
  report("v1", spec.replicas ?? 10);
  assert.equal(progressing(), "NewReplicaSetAvailable");
  events = [];
}

test("a new Deployment gets one ReplicaSet of full size, named by its hash", () => {
  create();
  const replicaSet = of("v1");
  const hash = replicaSet.metadata.labels?.["pod-template-hash"];
  assert.equal(replicaSet.metadata.name, `web-${hash}`);
  assert.deepEqual(replicaSet.spec.selector, { matchLabels: { ...labels, "pod-template-hash": hash } });
  assert.deepEqual(replicaSet.metadata.annotations, {
    "deployment.kubernetes.io/revision": "1",
    "deployment.kubernetes.io/desired-replicas": "10",
    "deployment.kubernetes.io/max-replicas": "13",
  });
  assert.deepEqual(revisions(current()), ["1"]);
  assert.deepEqual(events, [`ScalingReplicaSet: Scaled up replica set web-${hash} to 10`]);
  assert.equal(progressing(), "NewReplicaSetCreated");
});

test("a rolling update goes up, down, up, down between ceiling and floor, and then tells of its success", () => {
  rollOutFirst();
  change({ template: template("v2") });
  assert.deepEqual(sizes("v1", "v2"), [8, 5], "3 above, 2 spare ones gone, their room used");
  report("v1", 8);
  report("v2", 3);
  assert.deepEqual(sizes("v1", "v2"), [5, 8]);
  report("v1", 5);
  report("v2", 8);
  assert.deepEqual(sizes("v1", "v2"), [0, 10]);
  report("v1", 0);
  assert.equal(progressing(), "ReplicaSetUpdated");
  report("v2", 10);
  assert.equal(progressing(), "NewReplicaSetAvailable");
  assert.deepEqual(revisions(of("v1"), of("v2"), current()), ["1", "2", "2"]);
  assert.match(events[1] ?? "", /^ScalingReplicaSet: Scaled down replica set web-\w+ to 8 from 10$/);
  assert.match(events[2] ?? "", /^ScalingReplicaSet: Scaled up replica set web-\w+ to 5 from 3$/);
});

test("an undo finds the old ReplicaSet by its template and gives it the next revision", () => {
  rollOutFirst();
  change({ template: template("v2") });
  change({ template: template("v1") });
  assert.equal(store.list("ReplicaSet", "default").length, 2);
  assert.deepEqual(revisions(of("v1"), of("v2"), current()), ["3", "2", "3"]);
  assert.equal(of("v1").metadata.annotations?.["deployment.kubernetes.io/revision-history"], "1");
});

test("a change of replicas in the middle is shared out and does not go on rolling at once", () => {
  rollOutFirst();
  change({ template: template("v2") });
  change({ replicas: 20 });
  // 8 and 5 of 13 become 14 and 9 of 23.
  assert.deepEqual(sizes("v1", "v2"), [14, 9]);
});

test("a paused Deployment scales but does not roll, and its deadline stands still", () => {
  rollOutFirst();
  change({ paused: true });
  change({ template: template("v2") });
  assert.equal(store.list("ReplicaSet", "default").length, 1);
  change({ replicas: 12 });
  assert.deepEqual(sizes("v1"), [12]);
  assert.equal(progressing(), "DeploymentPaused");
  change({ paused: false });
  assert.deepEqual(sizes("v1", "v2").length, 2);
});

test("Recreate lets everything old go, to its last pod, before it starts the new", () => {
  rollOutFirst({ strategy: { type: "Recreate" } });
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "web-old",
      namespace: "default",
      labels,
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name: "v1",
          uid: of("v1").metadata.uid ?? "",
          controller: true,
        },
      ],
    },
    spec: { containers: [] },
  };
  api.create(pod);
  change({ template: template("v2") });
  report("v1", 0);
  assert.equal(store.list("ReplicaSet", "default").length, 1, "a terminating pod of the old still runs");
  api.delete(
    { apiVersion: "v1", kind: "Pod", namespace: "default", name: "web-old" },
    { gracePeriodSeconds: 0 },
  );
  settle();
  assert.deepEqual(sizes("v1", "v2"), [0, 10]);
});

test("without progress the deadline passes, and later progress takes that back", () => {
  rollOutFirst();
  change({ template: template("v2") });
  now += 62_000;
  settle();
  assert.equal(progressing(), "ProgressDeadlineExceeded");
  report("v2", 1);
  assert.equal(progressing(), "ReplicaSetUpdated");
});

test("only the newest revisions are kept, once the rollout is complete", () => {
  const images = (): readonly (string | undefined)[] =>
    store.list("ReplicaSet", "default").map(({ spec }) => spec.template.spec.containers[0]?.image);
  const complete = (): void => {
    for (let step = 0; step < 6; step += 1) {
      for (const image of ["v1", "v2", "v3"]) {
        if (images().includes(image)) report(image, of(image).spec.replicas ?? 0);
      }
    }
  };
  rollOutFirst({ revisionHistoryLimit: 1 });
  change({ template: template("v2") });
  complete();
  change({ template: template("v3") });
  assert.deepEqual(
    [...images()].sort(),
    ["v1", "v2", "v3"],
    "nothing goes while the rollout may need to go back",
  );
  complete();
  assert.deepEqual([...images()].sort(), ["v2", "v3"]);
});

describe("the ReplicaSet's name", () => {
  test("that is taken by another template counts as a collision and is avoided", () => {
    create();
    const taken = of("v1").metadata.name;
    const [foreign] = store.list("ReplicaSet", "default");
    store = createStore();
    api = createApi({ store, now: () => now, random: seededRandom(2), trusted: true });
    api.create({
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { name: taken, namespace: "default", labels: { app: "other" } },
      spec: {
        ...foreign?.spec,
        replicas: 0,
        selector: { matchLabels: { app: "other" } },
        template: template("else"),
      },
    } as ReplicaSet);
    create();
    assert.equal(current().status?.collisionCount, 1);
    assert.notEqual(of("v1").metadata.name, taken);
  });
});

test("a refused ReplicaSet is reported as event and condition", () => {
  create();
  const uncreated = { ...current(), spec: { ...current().spec, template: template("v2") } } as Deployment;
  api.replace(uncreated);
  const decision = decideDeployment(store, KEY, now);
  const create2 = decision.commands.find((command) => command.do === "create");
  assert.ok(create2);
  const [event, update] =
    decision.ifRefused?.(create2, { reason: "Forbidden", message: "exceeded quota" }) ?? [];
  assert.match(
    event?.do === "event" ? event.message : "",
    /^Failed to create new replica set "web-\w+": exceeded quota$/,
  );
  const failed = update?.do === "update-status" ? (update.object as Deployment) : undefined;
  const condition = failed?.status?.conditions?.find(({ type }) => type === "Progressing");
  assert.deepEqual([condition?.status, condition?.reason], ["False", "ReplicaSetCreateError"]);
});

test("a failure of a ReplicaSet to create pods shows on the Deployment and goes away with it", () => {
  rollOutFirst();
  const failing = (conditions: readonly object[]): void => {
    const replicaSet = of("v1");
    api.replace({ ...replicaSet, status: { ...replicaSet.status, conditions } } as ReplicaSet, {
      subresource: "status",
    });
    settle();
  };
  failing([{ type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: "exceeded quota" }]);
  const shown = (): string | undefined =>
    current().status?.conditions?.find(({ type }) => type === "ReplicaFailure")?.message;
  assert.equal(shown(), "exceeded quota");
  failing([]);
  assert.equal(shown(), undefined);
});

test("a ReplicaSet without owner that matches is adopted with its size", () => {
  create();
  const replicaSet = of("v1");
  const { ownerReferences: _owner, ...metadata } = replicaSet.metadata;
  api.replace({ ...replicaSet, metadata } as ReplicaSet);
  settle();
  assert.equal(of("v1").metadata.ownerReferences?.[0]?.uid, current().metadata.uid);
  assert.equal(store.list("ReplicaSet", "default").length, 1);
});

test("an empty selector is refused", () => {
  create({ selector: {} });
  assert.equal(store.list("ReplicaSet", "default").length, 0);
  assert.match(events[0] ?? "", /^SelectingAll: /);
});
