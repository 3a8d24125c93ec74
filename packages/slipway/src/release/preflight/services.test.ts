import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { AnyObject, Pod } from "@slipway/kube";
import { parseManifest } from "../manifests/manifests.ts";
import { checkSelectors, checkServicePorts } from "./services.ts";

const objects = (...yaml: readonly string[]): readonly AnyObject[] =>
  parseManifest(yaml.join("\n---\n"), "k8s/test.yaml").map(({ object }) => ({
    ...object,
    metadata: { ...object.metadata, namespace: object.metadata.namespace ?? "shop" },
  }));
const service = (selector: string, more = ""): string =>
  `{ apiVersion: v1, kind: Service, metadata: { name: web }, spec: { selector: ${selector}, ports: [{ port: 80${more} }] } }`;
const deployment = (ports = "", namespace = "shop"): string =>
  `{ apiVersion: apps/v1, kind: Deployment, metadata: { name: web, namespace: ${namespace} }, spec: { template: { metadata: { labels: { app: web, tier: front } }, spec: { containers: [{ name: web, image: web${ports} }] } } } }`;
const pod = (namespace: string): Pod =>
  objects(
    `{ apiVersion: v1, kind: Pod, metadata: { name: p, namespace: ${namespace}, labels: { app: old } }, spec: { containers: [] } }`,
  )[0] as unknown as Pod;
const rollout =
  "{ apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: { name: web }, spec: { template: {} } }";

describe("a Service selects", () => {
  const table: readonly (readonly [string, readonly string[], readonly Pod[] | undefined, boolean])[] = [
    ["pods of the release", [service("{ app: web }"), deployment()], [], true],
    [
      "pods of the release, by all their labels",
      [service("{ app: web, tier: front }"), deployment()],
      [],
      true,
    ],
    [
      "one pod of a StatefulSet, by a label that its controller gives",
      [service("{ app: web, statefulset.kubernetes.io/pod-name: web-0 }"), deployment()],
      [],
      true,
    ],
    [
      "nothing, by that label and a misspelt one",
      [service("{ app: wbe, statefulset.kubernetes.io/pod-name: web-0 }"), deployment()],
      [],
      false,
    ],
    ["nothing: a label is misspelt", [service("{ app: wbe }"), deployment()], [], false],
    ["nothing: one label of two is missing", [service("{ app: web, tier: back }"), deployment()], [], false],
    ["nothing: its pods are elsewhere", [service("{ app: web }"), deployment("", "other")], [], false],
    ["pods that others brought", [service("{ app: old }"), deployment()], [pod("shop")], true],
    ["nothing: those of another namespace", [service("{ app: old }"), deployment()], [pod("other")], false],
    ["what nobody may look at", [service("{ app: old }")], undefined, true],
    ["what a custom resource may make", [service("{ app: web }"), rollout], [], true],
    ["pods of others, in a release without any", [service("{ app: old }")], [], true],
    ["no pods at all, as it wants", [service("{}")], [], true],
  ];
  for (const [what, yaml, pods, isFine] of table) {
    test(what, () => {
      const found = checkSelectors(objects(...yaml), pods);
      assert.deepEqual(
        found.map(({ code }) => code),
        isFine ? [] : ["SERVICE_SELECTS_NOTHING"],
      );
      if (!isFine) assert.match(found[0]?.message ?? "", /^is \{ app: .* every request to it fails$/);
    });
  }
});

describe("a Service leads to", () => {
  const declares = ", ports: [{ containerPort: 8080, name: http }, { containerPort: 9 }]";
  const table: readonly (readonly [string, string, string, string | undefined])[] = [
    ["a port that is declared", ", targetPort: 8080", declares, undefined],
    ["one by its name", ", targetPort: http", declares, undefined],
    [
      "one that is not declared",
      ", targetPort: 8081",
      declares,
      "leads to port 8081, and the pods behind it declare http, 9",
    ],
    [
      "a name that no container has",
      ", targetPort: web",
      declares,
      "leads to port web, and the pods behind it declare http, 9",
    ],
    [
      "its own port, which is not declared",
      "",
      declares,
      "leads to port 80, and the pods behind it declare http, 9",
    ],
    ["any port of pods that declare none", ", targetPort: 8081", "", undefined],
  ];
  for (const [what, target, ports, message] of table) {
    test(what, () => {
      const found = checkServicePorts(objects(service("{ app: web }", target), deployment(ports)));
      assert.deepEqual(
        found.map((one) => one.message),
        message === undefined ? [] : [message],
      );
    });
  }
});
