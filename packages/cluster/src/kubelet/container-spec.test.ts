import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type ConfigMap,
  type Container,
  createStore,
  type PodSpec,
  type Secret,
  type Store,
} from "@slipway/kube";
import { ContainerStartError } from "../runtimes/runtime.ts";
import { aContainer, aNode, aPod, aService, put } from "../testing.ts";
import { containerSpecOf, sandboxSpecOf } from "./container-spec.ts";
import { expand } from "./env.ts";
import { dependenciesOf } from "./volumes.ts";

function filled(): Store {
  const store = createStore();
  put(
    store,
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "conf", namespace: "default" },
      data: { a: "1", b: "2" },
    } as ConfigMap,
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "sec", namespace: "default" },
      data: { key: "c2VjcmV0" },
    } as Secret,
    aService("back-end", { clusterIP: "10.96.0.7", ports: [{ name: "http", port: 80 }] }),
    aService("headless", { clusterIP: "None" }),
  );
  return store;
}

function specOf(container: Partial<Container>, spec: Partial<PodSpec> = {}) {
  const web = aContainer("web", container);
  const pod = aPod("web-x", {
    metadata: { uid: "u1", labels: { app: "web" } },
    spec: { containers: [web], nodeName: "node-1", enableServiceLinks: false, ...spec },
  });
  return containerSpecOf(
    {
      pod,
      container: web,
      snapshot: filled(),
      podIP: "10.244.0.2",
      hostIP: "172.30.0.2",
      node: aNode("node-1"),
    },
    0,
  );
}

const envOf = (container: Partial<Container>, spec: Partial<PodSpec> = {}): Record<string, string> =>
  Object.fromEntries(specOf(container, spec).env.map(({ name, value }) => [name, value]));

const refusalOf = (container: Partial<Container>, spec: Partial<PodSpec> = {}): string => {
  try {
    specOf(container, spec);
  } catch (error) {
    assert.ok(error instanceof ContainerStartError);
    return `${error.reason}: ${error.message}`;
  }
  return "accepted";
};

describe("$(VAR)", () => {
  const rows: readonly [string, string][] = [
    ["$(A)", "1"],
    ["x$(A)y$(A)", "x1y1"],
    ["$(B)", "$(B)"],
    ["$$(A)", "$(A)"],
    ["$A $" + "{A}", "$A $" + "{A}"],
    ["$(", "$("],
    ["$$$(A)", "$1"],
  ];
  for (const [text, expected] of rows) {
    test(`${text} becomes ${expected}`, () => {
      assert.equal(
        expand(text, (name) => (name === "A" ? "1" : undefined)),
        expected,
      );
    });
  }
});

describe("environment", () => {
  test("later entries see earlier ones, and command and args see them all", () => {
    const { env, command, args } = specOf({
      env: [
        { name: "A", value: "1" },
        { name: "B", value: "$(A)2" },
      ],
      command: ["run", "$(B)"],
      args: ["$$(B)"],
    });
    assert.deepEqual(env, [
      { name: "A", value: "1" },
      { name: "B", value: "12" },
    ]);
    assert.deepEqual([command, args], [["run", "12"], ["$(B)"]]);
  });

  test("envFrom comes before env, with its prefix", () => {
    const env = envOf({
      envFrom: [{ configMapRef: { name: "conf" } }, { prefix: "S_", secretRef: { name: "sec" } }],
      env: [{ name: "b", value: "own" }],
    });
    assert.deepEqual(env, { a: "1", b: "own", S_key: "secret" });
  });

  const fields: readonly [string, string][] = [
    ["metadata.name", "web-x"],
    ["metadata.namespace", "default"],
    ["metadata.uid", "u1"],
    ["metadata.labels['app']", "web"],
    ["metadata.annotations['none']", ""],
    ["spec.nodeName", "node-1"],
    ["spec.serviceAccountName", "default"],
    ["status.podIP", "10.244.0.2"],
    ["status.hostIP", "172.30.0.2"],
  ];
  for (const [fieldPath, expected] of fields) {
    test(`fieldRef ${fieldPath} is "${expected}"`, () => {
      assert.deepEqual(envOf({ env: [{ name: "F", valueFrom: { fieldRef: { fieldPath } } }] }), {
        F: expected,
      });
    });
  }

  const resources: readonly [string, string | undefined, string][] = [
    ["limits.cpu", undefined, "1"],
    ["limits.cpu", "1m", "500"],
    ["limits.memory", "1Mi", "64"],
    ["requests.cpu", "1m", "250"],
    // Without a limit, what the node can give.
    ["limits.ephemeral-storage", undefined, "0"],
  ];
  for (const [resource, divisor, expected] of resources) {
    test(`resourceFieldRef ${resource} in ${divisor ?? "whole units"} is ${expected}`, () => {
      const resourceFieldRef = { resource, ...(divisor === undefined ? {} : { divisor }) };
      const env = envOf({
        resources: { limits: { cpu: "500m", memory: "64Mi" }, requests: { cpu: "250m" } },
        env: [{ name: "R", valueFrom: { resourceFieldRef } }],
      });
      assert.equal(env["R"], expected);
    });
  }

  const refusals: readonly [string, Partial<Container>, string][] = [
    [
      "a missing ConfigMap",
      { env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "none", key: "a" } } }] },
      'CreateContainerConfigError: configmap "none" not found',
    ],
    [
      "a missing key",
      { env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "conf", key: "z" } } }] },
      "CreateContainerConfigError: couldn't find key z in ConfigMap default/conf",
    ],
    [
      "a missing Secret",
      { envFrom: [{ secretRef: { name: "none" } }] },
      'CreateContainerConfigError: secret "none" not found',
    ],
    [
      "an optional missing key",
      { env: [{ name: "A", valueFrom: { secretKeyRef: { name: "none", key: "z", optional: true } } }] },
      "accepted",
    ],
  ];
  for (const [name, container, expected] of refusals) {
    test(`${name}: ${expected}`, () => assert.equal(refusalOf(container), expected));
  }

  test("Services are variables unless links are switched off, headless ones never", () => {
    const env = envOf({}, { enableServiceLinks: true });
    assert.deepEqual(env, {
      BACK_END_SERVICE_HOST: "10.96.0.7",
      BACK_END_SERVICE_PORT: "80",
      BACK_END_PORT: "tcp://10.96.0.7:80",
      BACK_END_SERVICE_PORT_HTTP: "80",
      BACK_END_PORT_80_TCP: "tcp://10.96.0.7:80",
      BACK_END_PORT_80_TCP_PROTO: "tcp",
      BACK_END_PORT_80_TCP_PORT: "80",
      BACK_END_PORT_80_TCP_ADDR: "10.96.0.7",
    });
    assert.deepEqual(envOf({}), {});
  });
});

describe("volumes", () => {
  const mounted = (volume: Record<string, unknown>, mount: Record<string, unknown> = {}) =>
    specOf(
      { volumeMounts: [{ name: "v", mountPath: "/v", ...mount }] },
      { volumes: [{ name: "v", ...volume }] },
    ).mounts;
  const text = (mounts: ReturnType<typeof mounted>) =>
    mounts.flatMap((mount) =>
      mount.kind === "files"
        ? mount.files.map(({ path, content, mode }) => [
            path,
            Buffer.from(content).toString(),
            mode.toString(8),
          ])
        : [],
    );

  test("a ConfigMap is its keys as files, or the items asked for", () => {
    assert.deepEqual(text(mounted({ configMap: { name: "conf" } })), [
      ["a", "1", "644"],
      ["b", "2", "644"],
    ]);
    const items = [{ key: "b", path: "sub/b.txt", mode: 0o400 }];
    assert.deepEqual(text(mounted({ configMap: { name: "conf", items } })), [["sub/b.txt", "2", "400"]]);
  });

  test("a Secret is decoded, a projected volume is the sum of its sources", () => {
    assert.deepEqual(text(mounted({ secret: { secretName: "sec", defaultMode: 0o600 } })), [
      ["key", "secret", "600"],
    ]);
    const sources = [
      { configMap: { name: "conf", items: [{ key: "a", path: "a" }] } },
      { downwardAPI: { items: [{ path: "name", fieldRef: { fieldPath: "metadata.name" } }] } },
    ];
    assert.deepEqual(text(mounted({ projected: { sources } })), [
      ["a", "1", "644"],
      ["name", "web-x", "644"],
    ]);
  });

  test("the downward API gives files for fields and for resources", () => {
    const lim = { containerName: "web", resource: "limits.memory", divisor: "1Mi" };
    const items = [
      { path: "name", fieldRef: { fieldPath: "metadata.name" } },
      { path: "limit", resourceFieldRef: lim },
    ];
    const { mounts } = specOf(
      { resources: { limits: { memory: "64Mi" } }, volumeMounts: [{ name: "v", mountPath: "/v" }] },
      { volumes: [{ name: "v", downwardAPI: { items } }] },
    );
    assert.deepEqual(text(mounts), [
      ["name", "web-x", "644"],
      ["limit", "64", "644"],
    ]);
  });

  test("emptyDir and hostPath keep their options", () => {
    assert.deepEqual(mounted({ emptyDir: {} }, { subPath: "x" }), [
      { kind: "empty", volume: "v", path: "/v", subPath: "x", readOnly: false },
    ]);
    assert.deepEqual(mounted({ hostPath: { path: "/srv" } }, { readOnly: true }), [
      { kind: "host", volume: "v", path: "/v", hostPath: "/srv", readOnly: true },
    ]);
  });

  const refusals: readonly [Record<string, unknown>, RegExp][] = [
    [
      { configMap: { name: "none" } },
      /^FailedMount: MountVolume.SetUp failed for volume "v" : configmap "none" not found$/,
    ],
    [
      { persistentVolumeClaim: { claimName: "data" } },
      /"data" cannot be bound: local clusters have no Persist/,
    ],
    [{ nfs: { server: "x", path: "/" } }, /local clusters do not support volumes of type nfs$/],
    [{ projected: { sources: [{ serviceAccountToken: {} }] } }, /the projected source serviceAccountToken$/],
  ];
  for (const [volume, expected] of refusals) {
    test(`${Object.keys(volume)[0]} that cannot be had is refused`, () => {
      const mounts = [{ name: "v", mountPath: "/v" }];
      assert.match(refusalOf({ volumeMounts: mounts }, { volumes: [{ name: "v", ...volume }] }), expected);
    });
  }

  test("what a pod's start depends on is known by name", () => {
    const pod = aPod("p", {
      spec: {
        containers: [aContainer("web", { envFrom: [{ secretRef: { name: "s1" } }] })],
        volumes: [{ name: "v", configMap: { name: "c1" } }],
      },
    });
    assert.deepEqual([...dependenciesOf(pod)], ["Secret/s1", "ConfigMap/c1"]);
  });
});

test("a host name is cut to 63 characters and never ends in a dash", () => {
  const name = `${"a".repeat(62)}-b`;
  assert.equal(sandboxSpecOf(aPod(name)).hostname, "a".repeat(62));
});

test("the container's own security settings come before the pod's", () => {
  const spec = { securityContext: { runAsUser: 1, runAsGroup: 2 } };
  const { user, group } = specOf({ securityContext: { runAsUser: 1000 } }, spec);
  assert.deepEqual([user, group], [1000, 2]);
});
