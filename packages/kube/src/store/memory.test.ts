import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isReason, type StatusError } from "../client/status-error.ts";
import type { KubeObject, ObjectMeta } from "../resources/meta.ts";
import { createStore } from "./memory.ts";
import type { StoreEvent } from "./store.ts";

function pod(name: string, metadata: Partial<ObjectMeta> = {}): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", uid: `u-${name}`, ...metadata },
  };
}

const names = (objects: readonly KubeObject[]): string[] =>
  objects.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);

describe("the memory store", () => {
  it("gives every commit the next resourceVersion", () => {
    const store = createStore();
    const a = store.commit({ op: "create", object: pod("a") });
    const b = store.commit({ op: "create", object: pod("b") });
    const a2 = store.commit({ op: "update", object: a, expect: "1" });
    const gone = store.commit({ op: "delete", kind: "Pod", namespace: "default", name: "b" });
    assert.deepEqual(
      [a, b, a2, gone].map((object) => object.metadata.resourceVersion),
      ["1", "2", "3", "4"],
    );
    assert.equal(store.resourceVersion, 4);
  });

  it("refuses what Kubernetes refuses, and then has changed nothing", () => {
    const store = createStore();
    const a = store.commit({ op: "create", object: pod("a") });
    const deployment = { ...pod("web"), apiVersion: "apps/v1", kind: "Deployment" };
    const cases: [() => unknown, number, string, string][] = [
      [() => store.commit({ op: "create", object: a }), 409, "AlreadyExists", 'pods "a" already exists'],
      [
        () => store.commit({ op: "update", object: deployment }),
        404,
        "NotFound",
        'deployments.apps "web" not found',
      ],
      [
        () => store.commit({ op: "delete", kind: "Pod", namespace: "default", name: "b" }),
        404,
        "NotFound",
        'pods "b" not found',
      ],
      [
        () => store.commit({ op: "update", object: a, expect: "9" }),
        409,
        "Conflict",
        'Operation cannot be fulfilled on pods "a": the object has been modified; please apply your changes to the latest version and try again',
      ],
    ];
    for (const [write, code, reason, message] of cases) {
      assert.throws(write, (error: StatusError) => {
        assert.deepEqual([error.httpCode, error.reason, error.message], [code, reason, message]);
        return true;
      });
    }
    assert.equal(store.resourceVersion, 1);
    assert.equal(store.get("Pod", "default", "a"), a);
  });

  it("lists by namespace and name, and a list handed out never changes", () => {
    const store = createStore();
    for (const [namespace, name] of [
      ["b", "z"],
      ["a", "y"],
      ["b", "a"],
      ["a", "B"],
      ["a", "x-1"],
    ] as const) {
      store.commit({ op: "create", object: pod(name, { namespace }) });
    }
    const all = store.list("Pod");
    assert.deepEqual(names(all), ["a/B", "a/x-1", "a/y", "b/a", "b/z"]);
    assert.deepEqual(names(store.list("Pod", "b")), ["b/a", "b/z"]);
    store.commit({ op: "delete", kind: "Pod", namespace: "b", name: "a" });
    assert.deepEqual(names(store.list("Pod", "b")), ["b/z"]);
    assert.equal(all.length, 5);
    assert.deepEqual(store.list("Pod", "c"), []);
    assert.deepEqual(store.list("Secret"), []);
  });

  it("finds objects by the uid of any owner, and follows changes of owners", () => {
    const store = createStore();
    const owner = (uid: string) => ({ apiVersion: "apps/v1", kind: "ReplicaSet", name: uid, uid });
    store.commit({ op: "create", object: pod("b", { ownerReferences: [owner("rs1")] }) });
    store.commit({ op: "create", object: pod("a", { ownerReferences: [owner("rs1"), owner("rs2")] }) });
    assert.deepEqual(names(store.ownedBy("rs1")), ["default/a", "default/b"]);
    assert.deepEqual(names(store.ownedBy("rs2")), ["default/a"]);
    store.commit({ op: "update", object: pod("a", { ownerReferences: [owner("rs2")], labels: { v: "2" } }) });
    assert.deepEqual(names(store.ownedBy("rs1")), ["default/b"]);
    assert.deepEqual(store.ownedBy("rs2")[0]?.metadata.labels, { v: "2" });
    store.commit({ op: "delete", kind: "Pod", namespace: "default", name: "a" });
    assert.deepEqual(store.ownedBy("rs2"), []);
  });

  it("replays to a watch what happened after its version, then tells it what happens", () => {
    const store = createStore();
    const seen: string[] = [];
    const tell = ({ type, object, previous, resourceVersion }: StoreEvent): void => {
      seen.push(
        `${resourceVersion} ${type} ${object.metadata.name} was ${previous?.metadata.resourceVersion}`,
      );
    };
    const a = store.commit({ op: "create", object: pod("a") });
    store.commit({ op: "create", object: { ...pod("other"), kind: "Secret" } });
    store.commit({ op: "update", object: a });
    const watch = store.watch({ kind: "Pod", from: 1 }, tell);
    store.commit({ op: "delete", kind: "Pod", namespace: "default", name: "a" });
    watch.close();
    store.commit({ op: "create", object: pod("b") });
    assert.deepEqual(seen, ["3 MODIFIED a was 1", "4 DELETED a was 3"]);
  });

  it("answers 410 Expired to a watch from before the replay window", () => {
    const store = createStore({ replay: 3 });
    for (const name of ["a", "b", "c", "d", "e"]) store.commit({ op: "create", object: pod(name) });
    const versions: number[] = [];
    store.watch({ from: 2 }, (event) => versions.push(event.resourceVersion));
    assert.deepEqual(versions, [3, 4, 5]);
    assert.throws(
      () => store.watch({ from: 1 }, () => {}),
      (error) => isReason(error, "Expired") && error.message === "too old resource version: 1 (2)",
    );
  });

  it("keeps the order of events when a listener commits, and tells everyone when a listener throws", () => {
    const store = createStore();
    const first: number[] = [];
    const second: number[] = [];
    store.watch({}, (event) => {
      first.push(event.resourceVersion);
      if (event.resourceVersion === 1) store.commit({ op: "create", object: pod("b") });
      if (event.resourceVersion === 3) throw new Error("a bad listener");
    });
    store.watch({}, (event) => second.push(event.resourceVersion));
    store.commit({ op: "create", object: pod("a") });
    assert.deepEqual(
      [first, second],
      [
        [1, 2],
        [1, 2],
      ],
    );
    assert.throws(() => store.commit({ op: "create", object: pod("c") }), /a bad listener/);
    assert.deepEqual(second, [1, 2, 3]);
    store.commit({ op: "create", object: pod("d") });
    assert.deepEqual(second, [1, 2, 3, 4]);
  });

  it("starts from a snapshot where the other store stopped", () => {
    const store = createStore();
    store.commit({ op: "create", object: pod("b") });
    store.commit({ op: "create", object: pod("a") });
    const copy = createStore({ from: store.snapshot() });
    assert.deepEqual(copy.snapshot(), store.snapshot());
    assert.equal(copy.commit({ op: "create", object: pod("c") }).metadata.resourceVersion, "3");
    assert.equal(store.get("Pod", "default", "c"), undefined);
    assert.throws(() => copy.watch({ from: 1 }, () => {}), /too old resource version: 1 \(2\)/);
  });

  it("holds what a plain map would hold, whatever is written", () => {
    const step = fc.record({
      op: fc.constantFrom("create", "update", "delete"),
      name: fc.constantFrom("a", "b", "c", "d"),
      namespace: fc.constantFrom("x", "y"),
      owner: fc.constantFrom("o1", "o2"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const store = createStore({ replay: 7 });
        const model = new Map<string, string>();
        const followed = new Map<string, string>();
        store.watch({}, ({ type, object }) => {
          const key = `${object.metadata.namespace}/${object.metadata.name}`;
          if (type === "DELETED") followed.delete(key);
          else followed.set(key, object.metadata.ownerReferences?.[0]?.uid as string);
        });
        for (const { op, name, namespace, owner } of steps) {
          const key = `${namespace}/${name}`;
          const ownerReferences = [{ apiVersion: "v1", kind: "Pod", name: owner, uid: owner }];
          const object = pod(name, { namespace, ownerReferences });
          const shouldFail = model.has(key) === (op === "create");
          try {
            store.commit(op === "delete" ? { op, kind: "Pod", namespace, name } : { op, object });
            assert.equal(shouldFail, false);
            if (op === "delete") model.delete(key);
            else model.set(key, owner);
          } catch (error) {
            assert.ok(shouldFail && (isReason(error, "NotFound") || isReason(error, "AlreadyExists")));
          }
        }
        assert.deepEqual(names(store.list("Pod")), [...model.keys()].sort());
        for (const owner of ["o1", "o2"]) {
          const owned = [...model].filter(([, uid]) => uid === owner).map(([key]) => key);
          assert.deepEqual(names(store.ownedBy(owner)), owned.sort());
        }
        assert.deepEqual(new Map([...followed].sort()), new Map([...model].sort()));
      }),
    );
  });
});
