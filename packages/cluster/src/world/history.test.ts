import assert from "node:assert/strict";
import { test } from "node:test";
import { createStore, type KubeObject } from "@slipway/kube";
import fc from "fast-check";
import { History } from "./history.ts";

const NAMES = ["a", "b", "c", "d"];

function object(name: string, owner: string): KubeObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name,
      namespace: "default",
      uid: `uid-${name}`,
      ownerReferences: [{ apiVersion: "v1", kind: "Secret", name: owner, uid: owner }],
    },
  };
}

test("every past version reads as it was: get, list and owners", () => {
  const step = fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom("x", "y"), fc.boolean());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const store = createStore();
      const history = new History(store);
      store.watch({}, (event) => history.record(event, event.resourceVersion));
      const picture = (reader: Pick<typeof store, "get" | "list" | "ownedBy">): unknown => [
        NAMES.map((name) => reader.get("ConfigMap", "default", name)),
        reader.list("ConfigMap"),
        reader.list("ConfigMap", "default"),
        reader.ownedBy("x"),
      ];
      const pictures = [picture(store)];
      for (const [name, owner, isDeleted] of steps) {
        const isThere = store.get("ConfigMap", "default", name) !== undefined;
        if (isThere && isDeleted)
          store.commit({ op: "delete", kind: "ConfigMap", namespace: "default", name });
        else store.commit({ op: isThere ? "update" : "create", object: object(name, owner) });
        pictures.push(picture(store));
      }
      pictures.forEach((expected, version) => {
        assert.deepEqual(picture(history.at(version)), expected);
        assert.equal(history.versionAt(version), version);
      });
    }),
  );
});
