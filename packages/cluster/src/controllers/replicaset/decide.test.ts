import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { seededRandom } from "@slipway/base";
import {
  type Api,
  createApi,
  createStore,
  type KubeObject,
  type Pod,
  type ReplicaSet,
  type Store,
  statusError,
} from "@slipway/kube";
import type { Command, Decision } from "../controller.ts";
import { execute } from "../execute.ts";
import { decideReplicaSet, replicaSetController } from "./decide.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const KEY = "default/web";
const labels = { app: "web" };

let store: Store;
beforeEach(() => {
  store = createStore();
});

function add<T extends KubeObject>(object: T): T {
  return store.commit({ op: "create", object }) as T;
}

function addReplicaSet(
  replicas: number,
  spec: Partial<ReplicaSet["spec"]> = {},
  status?: ReplicaSet["status"],
): ReplicaSet {
  return add<ReplicaSet>({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name: "web", namespace: "default", uid: "rs", generation: 1 },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [] } },
      ...spec,
    },
    ...(status === undefined ? {} : { status }),
  });
}

function addPod(name: string, change: Partial<Pod["metadata"]> = {}, readyAt?: string): Pod {
  return add<Pod>({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "default",
      uid: `uid-${name}`,
      labels,
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: "rs", controller: true },
      ],
      ...change,
    },
    spec: { containers: [], nodeName: "node-1" },
    status: {
      phase: "Running",
      ...(readyAt && { conditions: [{ type: "Ready", status: "True", lastTransitionTime: readyAt }] }),
    },
  });
}

const summary = ({ commands }: Decision): readonly string[] =>
  commands.map((command) => {
    if (command.do === "delete") return `delete ${command.name}`;
    if (command.do === "event") return `event ${command.reason}: ${command.message}`;
    return command.do === "bind" ? "bind" : `${command.do} ${command.object.kind}`;
  });

test("missing pods are created from the template, named by the server, owned by the ReplicaSet", () => {
  addReplicaSet(3);
  addPod("web-1");
  const decision = decideReplicaSet(store, KEY, NOW);
  assert.deepEqual(summary(decision), ["create Pod", "create Pod", "update-status ReplicaSet"]);
  const [create] = decision.commands as [Extract<Command, { do: "create" }>];
  assert.equal(create.object.metadata.generateName, "web-");
  assert.deepEqual(create.object.metadata.labels, labels);
  assert.deepEqual(create.object.metadata.ownerReferences, [
    {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      name: "web",
      uid: "rs",
      controller: true,
      blockOwnerDeletion: true,
    },
  ]);
  const [event] = create.followUp?.({ ...create.object, metadata: { name: "web-x" } }) ?? [];
  assert.equal(event?.do === "event" && event.message, "Created pod: web-x");
});

test("surplus pods are deleted, by uid, the one that serves nobody first", () => {
  addReplicaSet(1);
  addPod("web-1", {}, "2026-01-01T11:00:00Z");
  addPod("web-2");
  const decision = decideReplicaSet(store, KEY, NOW);
  assert.deepEqual(summary(decision), [
    "delete web-2",
    "event SuccessfulDelete: Deleted pod: web-2",
    "update-status ReplicaSet",
  ]);
  assert.equal(decision.commands[0]?.do === "delete" && decision.commands[0].uid, "uid-web-2");
});

test("pods that ended or are ending do not count", () => {
  addReplicaSet(1);
  addPod("web-1", { deletionTimestamp: "2026-01-01T11:59:59Z" });
  const ended = addPod("web-2");
  store.commit({ op: "update", object: { ...ended, status: { phase: "Failed" } } as Pod });
  assert.deepEqual(summary(decideReplicaSet(store, KEY, NOW)), ["create Pod", "update-status ReplicaSet"]);
});

test("an orphan that matches is adopted, an own pod that no longer matches is released, before anything is counted", () => {
  addReplicaSet(2);
  addPod("web-1", { ownerReferences: [] });
  addPod("web-2", { labels: { app: "quarantine" } });
  const { commands, requeueAfterMs } = decideReplicaSet(store, KEY, NOW);
  const owners = commands.map((command) =>
    command.do === "update" ? (command.object.metadata.ownerReferences ?? []).map(({ uid }) => uid) : "?",
  );
  assert.deepEqual(owners, [["rs"], []]);
  assert.equal(requeueAfterMs, 0);
});

test("another controller's pod is left alone", () => {
  addReplicaSet(0);
  addPod("other", {
    ownerReferences: [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "x", uid: "x", controller: true }],
  });
  assert.deepEqual(summary(decideReplicaSet(store, KEY, NOW)), ["update-status ReplicaSet"]);
});

test("a ReplicaSet that is being deleted creates and deletes nothing", () => {
  const replicaSet = addReplicaSet(3);
  const leaving = { ...replicaSet.metadata, deletionTimestamp: "2026-01-01T11:00:00Z" };
  store.commit({ op: "update", object: { ...replicaSet, metadata: leaving } as ReplicaSet });
  assert.deepEqual(summary(decideReplicaSet(store, KEY, NOW)), ["update-status ReplicaSet"]);
});

describe("the status", () => {
  test("counts pods with all labels of the template, ready ones, and available ones after minReadySeconds", () => {
    addReplicaSet(4, {
      minReadySeconds: 30,
      template: { metadata: { labels: { ...labels, tier: "a" } }, spec: { containers: [] } },
    });
    addPod("web-1", { labels: { ...labels, tier: "a" } }, "2026-01-01T11:59:00Z");
    addPod("web-2", {}, "2026-01-01T11:59:30Z");
    addPod("web-3", {}, "2026-01-01T11:59:50Z");
    addPod("web-4");
    const decision = decideReplicaSet(store, KEY, NOW);
    const [command] = decision.commands;
    assert.deepEqual(command?.do === "update-status" && (command.object as ReplicaSet).status, {
      replicas: 4,
      fullyLabeledReplicas: 1,
      readyReplicas: 3,
      availableReplicas: 2,
      observedGeneration: 1,
    });
    assert.equal(decision.requeueAfterMs, 20_000, "web-3 is available 20 s from now");
  });

  test("is not written again when nothing changed", () => {
    addReplicaSet(0, {}, { replicas: 0, observedGeneration: 1 });
    assert.deepEqual(decideReplicaSet(store, KEY, NOW).commands, []);
  });

  test("shows a refusal until the ReplicaSet can act again", () => {
    addReplicaSet(1);
    const decision = decideReplicaSet(store, KEY, NOW);
    const [create] = decision.commands as [Command];
    const refusal = { reason: "Forbidden", message: "exceeded quota" } as const;
    const [event, update] = decision.ifRefused?.(create, refusal) ?? [];
    assert.equal(event?.do === "event" && event.message, "Error creating: exceeded quota");
    const failed = update?.do === "update-status" ? (update.object as ReplicaSet) : undefined;
    assert.deepEqual(failed?.status?.conditions, [
      {
        type: "ReplicaFailure",
        status: "True",
        reason: "FailedCreate",
        message: "exceeded quota",
        lastTransitionTime: "2026-01-01T12:00:00Z",
      },
    ]);
    store.commit({ op: "update", object: failed as ReplicaSet });
    const [, again] = decideReplicaSet(store, KEY, NOW).commands;
    assert.equal(again?.do === "update-status" && (again.object as ReplicaSet).status?.conditions, undefined);
  });
});

test("a pod concerns its owner; an orphan concerns every ReplicaSet that matches", () => {
  addReplicaSet(1);
  const keys = replicaSetController.watches[1]?.keys;
  assert.deepEqual(keys?.(addPod("web-1"), undefined, store), [KEY]);
  assert.deepEqual(keys?.(addPod("web-2", { ownerReferences: [] }), undefined, store), [KEY]);
  assert.deepEqual(
    keys?.(addPod("web-3", { ownerReferences: [], labels: { app: "db" } }), undefined, store),
    [],
  );
});

/** What ten wanted pods come to when the API accepts only so many. */
function slowStart(accepted: (request: number) => boolean) {
  addReplicaSet(10);
  const api = createApi({ store, now: () => NOW, random: seededRandom(1), trusted: true });
  let requests = 0;
  const events: string[] = [];
  const choosy: Api = {
    store,
    get: (ref) => api.get(ref),
    list: (type, options) => api.list(type, options),
    replace: (object, options) => api.replace(object, options),
    patch: (ref, type, body, options) => api.patch(ref, type, body, options),
    apply: (object, options) => api.apply(object, options),
    delete: (ref, options) => api.delete(ref, options),
    takeWarnings: () => api.takeWarnings(),
    create: (object, options) => {
      requests += 1;
      if (!accepted(requests)) throw statusError(403, "Forbidden", "exceeded quota");
      return api.create(object, options);
    },
  };
  const { kind } = execute(decideReplicaSet(store, KEY, NOW), {
    api: choosy,
    recordEvent: ({ reason }) => events.push(reason),
  });
  const pods = store.list("Pod", "default").length;
  const failure = store.get("ReplicaSet", "default", "web")?.status?.conditions?.[0]?.reason;
  return {
    kind,
    requests,
    pods,
    failed: events.filter((reason) => reason === "FailedCreate").length,
    failure,
  };
}

describe("slow start of ten pods", () => {
  const failure = "FailedCreate";
  test("a full quota costs one request", () => {
    const seen = slowStart(() => false);
    assert.deepEqual(seen, { kind: "refused", requests: 1, pods: 0, failed: 1, failure });
  });

  test("a quota with room for three takes three, and costs the batch of four", () => {
    const seen = slowStart((request) => request <= 3);
    assert.deepEqual(seen, { kind: "refused", requests: 7, pods: 3, failed: 4, failure });
  });

  test("the batch in which one is refused is finished, and is the last", () => {
    const seen = slowStart((request) => request !== 2);
    assert.deepEqual(seen, { kind: "refused", requests: 3, pods: 2, failed: 1, failure });
  });

  test("when nothing is refused, all come at once", () => {
    const seen = slowStart(() => true);
    assert.deepEqual(seen, { kind: "applied", requests: 10, pods: 10, failed: 0, failure: undefined });
  });
});
