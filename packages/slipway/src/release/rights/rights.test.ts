import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stringify } from "yaml";
import { rendered } from "../testing.ts";
import { type Purpose, type RightsInput, rightsFor } from "./rights.ts";

const manifest = `
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template: { metadata: { labels: { app: web } }, spec: { containers: [{ name: web, image: web }] } }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: web, namespace: edge }
spec: {}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: { name: high }
value: 1000
`;

const rights = (purpose: Purpose, changes: Partial<RightsInput> = {}) =>
  rightsFor({
    service: "shop",
    namespace: "default",
    rendered: rendered("v1", { manifest }),
    purpose,
    subjects: [],
    ...changes,
  });

/** `Role default/slipway-shop-read: "" secrets: get list`, a line for each rule. */
function lines(purpose: Purpose, changes: Partial<RightsInput> = {}): string {
  return rights(purpose, changes)
    .manifests.flatMap((role) => {
      const { kind, metadata, rules } = role as typeof role & {
        rules: { apiGroups: string[]; resources: string[]; resourceNames?: string[]; verbs: string[] }[];
      };
      const place =
        metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
      return [
        `${kind} ${place}`,
        ...rules.map(({ apiGroups, resources, resourceNames = [], verbs }) => {
          const names = resourceNames.length === 0 ? "" : ` (${resourceNames.join(" ")})`;
          return `  ${apiGroups[0] || "core"}: ${resources.join(" ")}${names}: ${verbs.join(" ")}`;
        }),
      ];
    })
    .join("\n");
}

describe("the rights that are generated", () => {
  it("to read", () => {
    assert.equal(
      lines("read"),
      `Role default/slipway-shop-read
  core: configmaps pods/log: get
  core: events pods: get list watch
  core: secrets: get list
  apps: daemonsets deployments replicasets statefulsets: get list watch
  batch: jobs: get list watch
  coordination.k8s.io: leases (slipway.shop): get
Role edge/slipway-shop-read
  core: events pods: get list watch
  core: pods/log: get
  apps: daemonsets deployments replicasets statefulsets: get list watch
  batch: jobs: get list watch
  extensions: ingresses: get
  networking.k8s.io: ingresses: get
ClusterRole slipway-default-shop-read
  core: namespaces (kube-system default edge): get
  scheduling.k8s.io: priorityclasses: get`,
    );
  });

  it("to deploy", () => {
    assert.equal(
      lines("deploy"),
      `Role default/slipway-shop-deploy
  core: configmaps: get create patch delete
  core: events pods: get list watch
  core: limitranges resourcequotas: list
  core: persistentvolumeclaims pods/log serviceaccounts: get
  core: secrets: get list create patch delete
  apps: daemonsets replicasets statefulsets: get list watch
  apps: deployments: get list watch create patch delete
  autoscaling: horizontalpodautoscalers: list
  batch: jobs: get list watch create patch delete
  coordination.k8s.io: leases: create
  coordination.k8s.io: leases (slipway.shop): get update patch
  policy: poddisruptionbudgets: list
Role edge/slipway-shop-deploy
  core: configmaps persistentvolumeclaims pods/log secrets serviceaccounts: get
  core: events pods: get list watch
  core: limitranges resourcequotas: list
  apps: daemonsets deployments replicasets statefulsets: get list watch
  autoscaling: horizontalpodautoscalers: list
  batch: jobs: get list watch create patch delete
  extensions: ingresses: get create patch delete
  networking.k8s.io: ingresses: get create patch delete
  policy: poddisruptionbudgets: list
ClusterRole slipway-default-shop-deploy
  core: namespaces (kube-system default edge): get
  scheduling.k8s.io: priorityclasses: get list create patch delete
ClusterRole slipway-default-shop-deploy-room
  core: nodes pods: list
Role kube-system/slipway-default-shop-deploy-room
  core: configmaps (cluster-autoscaler-status): get`,
    );
  });

  it("to go back are those to deploy: what is stored is applied again, and pruned", () => {
    assert.equal(lines("rollback"), lines("deploy").replaceAll("shop-deploy", "shop-rollback"));
  });

  it("to deploy with a gate or checks that ask pods add the way to them; nobody else's do", () => {
    const asking = { forwardsPorts: true };
    const without = lines("deploy").split("\n");
    assert.deepEqual(
      lines("deploy", asking)
        .split("\n")
        .filter((line) => !without.includes(line)),
      ["  core: pods/portforward: get create"],
    );
    assert.equal(lines("deploy", asking).match(/portforward/g)?.length, 1, "in the namespace of the records");
    for (const purpose of ["rollback", "read"] as const) {
      assert.equal(lines(purpose, asking), lines(purpose));
    }
  });

  it("are bound to whoever is named, as manifests to apply", () => {
    const subjects = [
      { kind: "ServiceAccount", name: "deployer", namespace: "ci" },
      { kind: "Group", name: "ops" },
    ] as const;
    const { manifests } = rights("read", { subjects });
    assert.deepEqual(
      manifests.map(({ kind }) => kind),
      ["Role", "RoleBinding", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"],
    );
    assert.equal(
      stringify(manifests[1]),
      `apiVersion: rbac.authorization.k8s.io/v1
metadata:
  name: slipway-shop-read
  namespace: default
  labels:
    app.kubernetes.io/managed-by: slipway
    slipway.dev/service: shop
kind: RoleBinding
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: slipway-shop-read
subjects:
  - kind: ServiceAccount
    name: deployer
    namespace: ci
  - apiGroup: rbac.authorization.k8s.io
    kind: Group
    name: ops
`,
    );
  });

  it("name the kinds that nobody knows, and take them from discovery", () => {
    const own = "apiVersion: example.com/v1\nkind: Mouse\nmetadata: { name: m }\n";
    const input = { rendered: rendered("v1", { manifest: own }) };
    assert.deepEqual(rights("deploy", input).unknown, [{ apiVersion: "example.com/v1", kind: "Mouse" }]);
    const discovered = new Map([["example.com/v1/Mouse", { plural: "mice", namespaced: true }]]);
    const known = rights("deploy", { ...input, discovered });
    assert.deepEqual(known.unknown, []);
    assert.match(JSON.stringify(known.manifests), /"apiGroups":\["example.com"\],"resources":\["mice"\]/);
  });
});
