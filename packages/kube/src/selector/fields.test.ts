import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesFields, parseFieldSelector } from "./fields.ts";

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web-1", namespace: "shop" },
  spec: { nodeName: "node-1", containers: [] },
  status: { phase: "Running" },
};
const event = {
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: "web.1", namespace: "shop" },
  involvedObject: { kind: "Pod", name: "a,b=c\\d" },
  reportingComponent: "kubelet",
};
const node = { apiVersion: "v1", kind: "Node", metadata: { name: "node-1" } };

const matching: [object: typeof pod | typeof event | typeof node, selector: string, matches: boolean][] = [
  [pod, "", true],
  [pod, "metadata.name=web-1", true],
  [pod, "metadata.name==web-1,metadata.namespace=shop", true],
  [pod, "spec.nodeName=", false],
  [pod, "status.podIP=", true],
  [pod, "status.phase!=Succeeded,status.phase!=Failed", true],
  [pod, "status.phase!=Running", false],
  [pod, "spec.host=node-1", true],
  [event, "involvedObject.kind=Pod", true],
  [event, "source=kubelet", true],
  [event, "involvedObject.name=a\\,b\\=c\\\\d", true],
  [node, "spec.unschedulable=false", true],
  [node, "spec.unschedulable=true", false],
];

for (const [object, selector, matches] of matching) {
  test(`"${selector}" ${matches ? "selects" : "does not select"} the ${object.kind}`, () => {
    assert.equal(matchesFields(parseFieldSelector(object.kind, selector), object), matches);
  });
}

const refused: [kind: string, selector: string, message: string][] = [
  ["Pod", "spec.foo=x", "field label not supported: spec.foo"],
  ["Node", "metadata.namespace=x", "field label not supported: metadata.namespace"],
  [
    "Deployment",
    "spec.replicas=1",
    '"spec.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"',
  ],
  ["Pod", "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"],
  ["Pod", "metadata.name=a=b", 'invalid field selector value: "a=b"'],
  ["Pod", "constructor=x", "field label not supported: constructor"],
];

for (const [kind, selector, message] of refused) {
  test(`"${selector}" is a bad request for ${kind}`, () => {
    assert.throws(() => parseFieldSelector(kind, selector), { reason: "BadRequest", message });
  });
}
