import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusError } from "@slipway/kube";
import { deleteOptions, listOptions, parsePath, watchOptions, writeOptions } from "./request.ts";

const paths: readonly (readonly [string, string])[] = [
  ["/api/v1/namespaces", "Namespace - - -"],
  ["/api/v1/namespaces/x", "Namespace - x -"],
  ["/api/v1/namespaces/x/status", "Namespace - x status"],
  ["/api/v1/namespaces/x/finalize", "Namespace - x finalize"],
  ["/api/v1/namespaces/x/pods", "Pod x - -"],
  ["/api/v1/namespaces/x/pods/y", "Pod x y -"],
  ["/api/v1/namespaces/x/pods/y/log", "Pod x y log"],
  ["/api/v1/pods", "Pod - - -"],
  ["/api/v1/nodes/n1", "Node - n1 -"],
  ["/apis/apps/v1/namespaces/x/deployments/d/scale", "Deployment x d scale"],
  ["/api/v1/namespaces/x/configmaps/a%20b", "ConfigMap x a b -"],
  ["/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "access-review"],
  ["/api", "no resource"],
  ["/apis/apps/v1", "no resource"],
  ["/version", "no resource"],
  ["/apis/apps/v2/namespaces/x/deployments", "404"],
  ["/api/v1/namespaces/x/deployments", "404"],
  ["/api/v1/namespaces/x/nodes", "404"],
  ["/api/v1/pods/y", "404"],
  ["/api/v1/namespaces/x/pods/y/scale", "404"],
  ["/api/v1/namespaces/x/pods/y/log/more", "404"],
  ["/apis/authorization.k8s.io/v1/subjectaccessreviews", "404"],
];

test("a path names a resource, an object, a subresource, or nothing that is served", () => {
  const said = paths.map(([path]) => {
    try {
      const parsed = parsePath(path);
      if (parsed === undefined) return [path, "no resource"];
      if (parsed.kind === "access-review") return [path, "access-review"];
      const { type, namespace = "-", name = "-", subresource = "-" } = parsed;
      return [path, `${type.kind} ${namespace} ${name} ${subresource}`];
    } catch (error) {
      return [path, String((error as StatusError).httpCode)];
    }
  });
  assert.deepEqual(said, paths);
});

function code(work: () => unknown): number {
  try {
    work();
  } catch (error) {
    if (error instanceof StatusError) return error.httpCode;
    throw error;
  }
  return 200;
}

test("options that this server would not honour are refused, not ignored", () => {
  const query = (text: string) => new URLSearchParams(text);
  assert.equal(
    code(() => writeOptions(query("dryRun=Some"), undefined)),
    422,
  );
  assert.equal(
    code(() => writeOptions(query("fieldValidation=Maybe"), undefined)),
    400,
  );
  assert.equal(
    code(() => listOptions(query("limit=x"))),
    400,
  );
  assert.equal(
    code(() => listOptions(query("resourceVersion=abc"))),
    400,
  );
  assert.equal(
    code(() => listOptions(query("resourceVersionMatch=Newest"))),
    400,
  );
  assert.equal(
    code(() => watchOptions(query("sendInitialEvents=true"))),
    422,
  );
  assert.equal(
    code(() => watchOptions(query("resourceVersionMatch=NotOlderThan"))),
    422,
  );
  assert.equal(
    code(() => deleteOptions(query("propagationPolicy=Sideways"), undefined)),
    400,
  );
  assert.equal(
    code(() => deleteOptions(query(""), { dryRun: ["Some"] })),
    422,
  );
});

test("the manager of fields is the one named, else the client's program", () => {
  const agent = "kubectl/v1.33.1 (linux/amd64) kubernetes/8adc0f0";
  assert.deepEqual(writeOptions(new URLSearchParams(), agent), { fieldManager: "kubectl" });
  assert.deepEqual(writeOptions(new URLSearchParams("fieldManager=me&dryRun=All"), agent), {
    dryRun: true,
    fieldManager: "me",
  });
});

test("a watch begins with what is there only when it names no version", () => {
  const initial = (text: string) => {
    const { from, initialEvents } = watchOptions(new URLSearchParams(text));
    return [from, initialEvents];
  };
  assert.deepEqual(initial(""), [undefined, "synthetic"]);
  assert.deepEqual(initial("resourceVersion=0"), [undefined, "synthetic"]);
  assert.deepEqual(initial("resourceVersion=7"), [7, "none"]);
  assert.deepEqual(initial("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=7"), [
    undefined,
    "marked",
  ]);
  assert.deepEqual(initial("sendInitialEvents=false&resourceVersionMatch=NotOlderThan"), [undefined, "none"]);
});

test("options of a deletion come from the body before the query", () => {
  const query = new URLSearchParams("gracePeriodSeconds=5&propagationPolicy=Orphan");
  assert.deepEqual(deleteOptions(query, { gracePeriodSeconds: 0, preconditions: { uid: "u" } }), {
    gracePeriodSeconds: 0,
    propagationPolicy: "Orphan",
    preconditions: { uid: "u" },
  });
});
