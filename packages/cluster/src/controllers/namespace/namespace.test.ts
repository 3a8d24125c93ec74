import assert from "node:assert/strict";
import { test } from "node:test";
import { createStore, type KubeObject, type Namespace } from "@slipway/kube";
import { aPod, put } from "../../testing.ts";
import { namespaceContentsController } from "./contents.ts";
import { namespaceController } from "./namespace.ts";

const NOW = Date.UTC(2026, 0, 1);

function namespace(name: string, deletionTimestamp?: string): Namespace {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) },
    spec: { finalizers: ["kubernetes"] },
  };
}

const configMap = (name: string, inNamespace: string, text: string): KubeObject =>
  ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: inNamespace },
    data: { "ca.crt": text },
  }) as KubeObject;

test("a living namespace is left alone", () => {
  const store = createStore();
  put(store, namespace("a"), aPod("p", { metadata: { namespace: "a" } }));
  assert.deepEqual(namespaceController.decide(store, "a", NOW).commands, []);
});

test("a leaving namespace deletes what it holds, each once, and waits", () => {
  const store = createStore();
  const leaving = { namespace: "a", deletionTimestamp: "t" };
  put(store, namespace("a", "t"), aPod("p", { metadata: { namespace: "a" } }));
  put(store, aPod("q", { metadata: leaving }), aPod("r"));
  const commands = namespaceController.decide(store, "a", NOW).commands;
  assert.deepEqual(
    commands.map((command) =>
      command.do === "delete" ? `${command.namespace}/${command.name}` : command.do,
    ),
    ["a/p"],
  );
});

test("it says what it waits for once nothing is left to delete, and does not repeat itself", () => {
  const store = createStore();
  const leaving = { namespace: "a", deletionTimestamp: "t" };
  put(store, namespace("a", "t"), aPod("p", { metadata: leaving }), aPod("q", { metadata: leaving }));
  put(store, {
    ...configMap("held", "a", "PEM"),
    metadata: { ...leaving, name: "held", finalizers: ["example.com/x"] },
  });
  const [command, ...rest] = namespaceController.decide(store, "a", NOW).commands;
  assert.ok(command?.do === "update-status");
  assert.deepEqual(rest, []);
  const lastTransitionTime = "2026-01-01T00:00:00Z";
  assert.deepEqual((command.object as Namespace).status, {
    phase: "Terminating",
    conditions: [
      {
        type: "NamespaceContentRemaining",
        status: "True",
        reason: "SomeResourcesRemain",
        message:
          "Some resources are remaining: configmaps. has 1 resource instances, pods. has 2 resource instances",
        lastTransitionTime,
      },
      {
        type: "NamespaceFinalizersRemaining",
        status: "True",
        reason: "SomeFinalizersRemain",
        message:
          "Some content in the namespace has finalizers remaining: example.com/x in 1 resource instances",
        lastTransitionTime,
      },
    ],
  });
  store.commit({ op: "update", object: command.object });
  assert.deepEqual(namespaceController.decide(store, "a", NOW + 5000).commands, []);
});

test("an empty one is let go", () => {
  const store = createStore();
  put(store, namespace("a", "t"));
  const [command] = namespaceController.decide(store, "a", NOW).commands;
  assert.ok(command?.do === "update" && command.subresource === "finalize");
  assert.deepEqual((command.object as Namespace).spec?.finalizers, []);
});

test("every namespace gets its account and a copy of the certificate, and gets them back", () => {
  const store = createStore();
  put(store, namespace("a"), configMap("kube-root-ca.crt", "kube-system", "PEM"));
  const kinds = () =>
    namespaceContentsController
      .decide(store, "a", NOW)
      .commands.map((command) => ("object" in command ? `${command.do} ${command.object.kind}` : command.do));
  assert.deepEqual(kinds(), ["create ServiceAccount", "create ConfigMap"]);
  put(store, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "default", namespace: "a" },
  });
  put(store, configMap("kube-root-ca.crt", "a", "OLD"));
  assert.deepEqual(kinds(), ["update ConfigMap"]);
});
