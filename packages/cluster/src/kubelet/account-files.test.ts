import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Container, createStore, type PodSpec, type ServiceAccount } from "@slipway/kube";
import type { ContainerMount } from "../runtimes/runtime.ts";
import { aContainer, aPod, put } from "../testing.ts";
import { accountMounts } from "./account-files.ts";
import { mountsOf } from "./volumes.ts";

const PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
const files = { ca: "CA", tokenOf: (namespace: string, account: string) => `${namespace}/${account}` };

function mountsWith(
  spec: Partial<PodSpec>,
  container: Partial<Container> = {},
  account: Partial<ServiceAccount> = {},
): readonly ContainerMount[] {
  const store = createStore();
  const metadata = { name: "robot", namespace: "default", uid: "r" };
  put(store, { apiVersion: "v1", kind: "ServiceAccount", metadata, ...account } as ServiceAccount);
  const web = aContainer("web", container);
  const pod = aPod("web-x", { spec: { containers: [web], serviceAccountName: "robot", ...spec } });
  const context = { pod, container: web, snapshot: store, podIP: "", hostIP: "", node: undefined };
  return accountMounts(context, files);
}

test("a container finds the authority, its namespace and the token of its account", () => {
  const [mount] = mountsWith({});
  assert.ok(mount?.kind === "files");
  assert.deepEqual([mount.path, mount.readOnly], [PATH, true]);
  const texts = mount.files.map(({ path, content, mode }) => [path, Buffer.from(content).toString(), mode]);
  assert.deepEqual(texts, [
    ["ca.crt", "CA", 0o644],
    ["namespace", "default", 0o644],
    ["token", "default/robot", 0o644],
  ]);
});

test("a projected volume takes the token as Kubernetes lays it, but none for somebody else", () => {
  const of = (serviceAccountToken: Record<string, unknown>) => {
    const volumes = [{ name: "v", projected: { sources: [{ serviceAccountToken }], defaultMode: 0o400 } }];
    const web = aContainer("web", { volumeMounts: [{ name: "v", mountPath: PATH }] });
    const pod = aPod("web-x", { spec: { containers: [web], serviceAccountName: "robot", volumes } });
    const facts = { snapshot: createStore(), podIP: "", hostIP: "", node: undefined, account: files };
    return mountsOf({ pod, container: web, ...facts });
  };
  const [mount, ...more] = of({ path: "token", expirationSeconds: 3607 });
  assert.ok(mount?.kind === "files");
  const [token] = mount.files;
  assert.deepEqual([token?.path, String(token?.content), token?.mode], ["token", "default/robot", 0o400]);
  assert.deepEqual(more, []);
  assert.throws(() => of({ path: "token", audience: "vault" }), /projected source serviceAccountToken/);
});

describe("it finds none", () => {
  const [no, yes] = [{ automountServiceAccountToken: false }, { automountServiceAccountToken: true }];
  test("when the pod says no", () => assert.deepEqual(mountsWith(no, {}, yes), []));
  test("when its account says no", () => assert.deepEqual(mountsWith({}, {}, no), []));
  test("but the pod has the last word", () => assert.equal(mountsWith(yes, {}, no).length, 1));
  test("in a folder of this machine", () => {
    for (const mountPath of ["/var/run", "/run/", "/"]) {
      const volumes = [
        { name: "host", hostPath: { path: "/srv" } },
        { name: "own", emptyDir: {} },
      ];
      const mounted = (name: string) => mountsWith({ volumes }, { volumeMounts: [{ name, mountPath }] });
      assert.deepEqual([mounted("host").length, mounted("own").length], [0, 1], mountPath);
    }
  });
  test("when it has a volume of its own there", () => {
    assert.deepEqual(mountsWith({}, { volumeMounts: [{ name: "v", mountPath: `${PATH}/` }] }), []);
  });
});
