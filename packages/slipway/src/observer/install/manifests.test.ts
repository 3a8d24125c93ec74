import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnyObject } from "@slipway/kube";
import { observeOf } from "../../config/observe.ts";
import { handedOver } from "../collector/input.ts";
import { plannedObjects, removals } from "./install.ts";
import { installObjects, SECRET_KEYS } from "./manifests.ts";

const observe = observeOf(undefined) as NonNullable<ReturnType<typeof observeOf>>;
const wish = {
  collector: {
    ...{
      service: "shop",
      environment: "production",
      namespace: "web",
      cluster: "tokyo",
      readsReleases: true,
    },
    observe: handedOver(observe),
    queries: [],
  },
  image: "registry.test/slipway-observe:1@sha256:abc",
  storage: "20Gi",
};
const secrets = {
  ...{ "agent-token": "AGENT", "read-token": "READ", "metrics-token": "METRICS" },
  ...{ "ca.crt": "CA", "tls.crt": "CRT", "tls.key": "KEY" },
  "alertmanager-token": "ALERTMANAGER",
};
const given = { ...wish, collector: { ...wish.collector, slack: null } };
const objects = installObjects({ ...given, secrets, checksum: "1" });
const find = (kind: string, part: string): AnyObject =>
  objects.find(
    (object) => object.kind === kind && object.metadata.name === `slipway-shop-${part}`,
  ) as AnyObject;

test("everything is of the namespace, and what is applied is what is taken away", () => {
  assert.ok(objects.every(({ metadata }) => metadata.namespace === "web"));
  const key = (kind: string, name: string): string => `${kind} ${name}`;
  assert.deepEqual(
    objects.map(({ kind, metadata }) => key(kind, metadata.name)).sort(),
    removals("web", "shop", true)
      .map(({ kind, name }) => key(kind, name))
      .sort(),
  );
  assert.ok(removals("web", "shop", false).every(({ kind }) => kind !== "PersistentVolumeClaim"));
});

test("the collector may read pods and release records, and nothing else", () => {
  const rules = (objects.find(({ kind }) => kind === "Role") as AnyObject)["rules"];
  const reads = (resource: string) => ({
    apiGroups: [""],
    resources: [resource],
    verbs: ["get", "list", "watch"],
  });
  assert.deepEqual(rules, [reads("pods"), reads("secrets")]);
  const without = installObjects({
    ...given,
    ...{ secrets, checksum: "1", collector: { ...given.collector, readsReleases: false } },
  });
  assert.deepEqual((without.find(({ kind }) => kind === "Role") as AnyObject)["rules"], [reads("pods")]);
});

test("agents have no token of the API server, cannot write, and hold only what they send with", () => {
  const text = JSON.stringify(find("DaemonSet", "agent"));
  for (const part of [
    '"automountServiceAccountToken":false',
    '"readOnlyRootFilesystem":true',
    '"drop":["ALL"]',
    '"mountPath":"/var/log/pods","readOnly":true',
    '"items":[{"key":"agent-token","path":"agent-token"},{"key":"metrics-token","path":"metrics-token"},{"key":"ca.crt","path":"ca.crt"}]',
    '"tolerations":[{"operator":"Exists"}]',
    "$(SLIPWAY_SHOP_COLLECTOR_SERVICE_HOST)",
  ])
    assert.ok(text.includes(part), part);
});

test("one collector at a time, with its volume, or without one", () => {
  const spec = JSON.stringify(find("Deployment", "collector"));
  for (const part of [
    '"replicas":1',
    '"type":"Recreate"',
    '"claimName":"slipway-shop-collector"',
    '"runAsNonRoot":true',
  ])
    assert.ok(spec.includes(part), part);
  const ephemeral = installObjects({ ...given, storage: undefined, secrets, checksum: "1" });
  assert.ok(ephemeral.every(({ kind }) => kind !== "PersistentVolumeClaim"));
  assert.ok(JSON.stringify(ephemeral).includes('{"name":"data","emptyDir":{}}'));
});

test("a dry run shows everything but what is secret", () => {
  const planned = plannedObjects({ ...wish, slack: undefined });
  assert.equal(planned.length, objects.length);
  const secret = planned.find(({ kind }) => kind === "Secret") as AnyObject;
  assert.equal(secret["data"], undefined);
  assert.deepEqual(Object.keys(secret["stringData"] as object), [...SECRET_KEYS]);
});

test("what Slack is told with is in the Secret and the collector's pod, in no ConfigMap, no agent and no dry run", () => {
  const slack = {
    place: { channel: "#deploys", mentions: {}, apiUrl: null },
    secrets: { "slack-bot-token": "xoxb-hidden" },
  };
  const collector = { ...wish.collector, slack: slack.place };
  const all = installObjects({
    ...wish,
    collector,
    secrets: { ...secrets, ...slack.secrets },
    checksum: "1",
  });
  const holding = all.filter((one) => /slack-bot-token|xoxb|eG94Yi/.test(JSON.stringify(one)));
  assert.deepEqual(
    holding.map(({ kind }) => kind),
    ["Secret", "Deployment"],
  );
  assert.match(JSON.stringify(holding[1]), /\{"key":"slack-bot-token","path":"slack-bot-token"\}/);
  assert.match(JSON.stringify(all.find(({ kind }) => kind === "ConfigMap")), /#deploys/);
  assert.doesNotMatch(JSON.stringify(find("Deployment", "collector")), /slack/, "none given, none mounted");
  const planned = plannedObjects({ ...wish, slack });
  assert.doesNotMatch(JSON.stringify(planned), /xoxb|eG94Yi/);
  const secret = planned.find(({ kind }) => kind === "Secret") as AnyObject;
  assert.deepEqual(Object.keys(secret["stringData"] as object), [...SECRET_KEYS, "slack-bot-token"]);
});
