import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createStore, type KubeObject, type OwnerReference } from "@slipway/kube";
import { put } from "../../testing.ts";
import { EVENT_TTL_MS, eventTtlController } from "./events.ts";
import { garbageController } from "./garbage.ts";

const NOW = Date.UTC(2026, 0, 1);

function object(kind: string, name: string, metadata: Partial<KubeObject["metadata"]> = {}): KubeObject {
  const apiVersion = kind === "Pod" || kind === "ConfigMap" ? "v1" : "apps/v1";
  return { apiVersion, kind, metadata: { name, namespace: "default", uid: `uid-${name}`, ...metadata } };
}

function ownedBy(...names: readonly string[]): { ownerReferences: readonly OwnerReference[] } {
  return {
    ownerReferences: names.map((name) => ({
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      name,
      uid: `uid-${name}`,
      controller: true,
      blockOwnerDeletion: true,
    })),
  };
}

function decide(key: string, ...objects: readonly KubeObject[]): readonly string[] {
  const store = createStore();
  put(store, ...objects);
  return garbageController.decide(store, key, NOW).commands.map((command) => {
    if (command.do === "delete") return `delete ${command.name} ${command.propagationPolicy}`;
    if (command.do !== "update") return command.do;
    const { name, ownerReferences, finalizers } = command.object.metadata;
    return `update ${name} owners=${ownerReferences?.map((owner) => owner.name) ?? ""} finalizers=${finalizers ?? ""}`;
  });
}

describe("an object with owners", () => {
  const rs = object("ReplicaSet", "rs");
  const rows: readonly [string, readonly KubeObject[], readonly string[]][] = [
    ["stays while its owner lives", [rs, object("Pod", "p", ownedBy("rs"))], []],
    ["goes when its only owner is absent", [object("Pod", "p", ownedBy("rs"))], ["delete p Background"]],
    [
      "goes when another of the same name has taken its owner's place",
      [object("ReplicaSet", "rs", { uid: "other" }), object("Pod", "p", ownedBy("rs"))],
      ["delete p Background"],
    ],
    [
      "only loses the reference while another owner lives",
      [rs, object("Pod", "p", ownedBy("rs", "gone"))],
      ["update p owners=rs finalizers="],
    ],
    [
      "stays when its owner is of a kind that nobody here knows",
      [
        object("Pod", "p", {
          ownerReferences: [{ apiVersion: "x/v1", kind: "Mystery", name: "m", uid: "uid-m" }],
        }),
      ],
      [],
    ],
    ["is not deleted twice", [object("Pod", "p", { ...ownedBy("rs"), deletionTimestamp: "t" })], []],
  ];
  for (const [name, objects, expected] of rows) {
    test(name, () => assert.deepEqual(decide("Pod/default/p", ...objects), expected));
  }
});

describe("an owner that is being deleted", () => {
  const foreground = { deletionTimestamp: "t", finalizers: ["foregroundDeletion"] };

  test("in the foreground takes its dependents along first, and goes when the last blocking one is gone", () => {
    const rs = object("ReplicaSet", "rs", foreground);
    assert.deepEqual(decide("ReplicaSet/default/rs", rs, object("Pod", "p", ownedBy("rs"))), [
      "delete p Background",
    ]);
    const leaving = object("Pod", "p", { ...ownedBy("rs"), deletionTimestamp: "t" });
    assert.deepEqual(decide("ReplicaSet/default/rs", rs, leaving), []);
    assert.deepEqual(decide("ReplicaSet/default/rs", rs), ["update rs owners= finalizers="]);
  });

  test("in the foreground makes a dependent with dependents wait for them, too", () => {
    const deployment = { ...object("Deployment", "web", foreground) };
    const owner = { apiVersion: "apps/v1", kind: "Deployment", name: "web", uid: "uid-web" };
    const rs = object("ReplicaSet", "rs", { ownerReferences: [owner] });
    assert.deepEqual(decide("Deployment/default/web", deployment, rs, object("Pod", "p", ownedBy("rs"))), [
      "delete rs Foreground",
      "update web owners= finalizers=",
    ]);
  });

  test("as an orphaning owner lets its dependents go free and then itself", () => {
    const rs = object("ReplicaSet", "rs", { deletionTimestamp: "t", finalizers: ["orphan"] });
    assert.deepEqual(decide("ReplicaSet/default/rs", rs, object("Pod", "p", ownedBy("rs"))), [
      "update p owners= finalizers=",
      "update rs owners= finalizers=",
    ]);
  });
});

test("the end of an owner concerns its dependents, the end of a dependent its owner", () => {
  const store = createStore();
  const pod = object("Pod", "p", ownedBy("rs"));
  put(store, pod);
  const keys = (gone: KubeObject) =>
    garbageController.watches.find(({ kind }) => kind === gone.kind)?.keys(gone, gone, store);
  assert.deepEqual(keys(object("ReplicaSet", "rs")), ["Pod/default/p"]);
  store.commit({ op: "delete", kind: "Pod", namespace: "default", name: "p" });
  put(store, object("ReplicaSet", "rs"));
  assert.deepEqual(keys(pod), ["ReplicaSet/default/rs"]);
});

test("an event goes one hour after it was last seen", () => {
  const store = createStore();
  const lastTimestamp = new Date(NOW).toISOString();
  put(store, { ...object("Event", "e"), apiVersion: "v1", lastTimestamp } as KubeObject);
  assert.deepEqual(eventTtlController.decide(store, "default/e", NOW + 1000), {
    commands: [],
    requeueAfterMs: EVENT_TTL_MS - 1000,
  });
  const [command] = eventTtlController.decide(store, "default/e", NOW + EVENT_TTL_MS).commands;
  assert.equal(command?.do, "delete");
});
