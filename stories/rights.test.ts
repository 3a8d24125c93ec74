/**
 * The story of the rights on embedded clusters. They have no RBAC of their own, so a client asks the generated Roles
 * before each call: a right that a change needs and does not print is missed here, long before a real API server
 * refuses it (`rights.real.test.ts`).
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Cluster, startCluster } from "@slipway/cluster";
import { behaviours } from "../packages/slipway/src/release/testing.ts";
import { authorizing, type Call, isAllowed } from "./authorizing-client.ts";
import { rightsOf, tellRights } from "./rights.ts";

let clusters: readonly Cluster[];
const place = { service: "shop", namespace: "rights" };

before(async () => {
  // A migration ends, and well, unless its tag says otherwise.
  const migration = { image: "registry.test/migrate:v*", behaviour: { startMs: 5, exitAfterMs: 20 } };
  const rows = [migration, ...behaviours];
  clusters = await Promise.all(
    ["tokyo", "osaka"].map((name) => startCluster({ name, runtime: "simulated", behaviours: rows })),
  );
});
after(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});

test("deploy with a migration, approval, holds, rollback and reading need no more than their rights", async () => {
  const [tokyo, osaka] = clusters as readonly [Cluster, Cluster];
  const { namespace } = place;
  await tokyo.client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  await tellRights({
    ...place,
    client: async (purpose) => authorizing(tokyo.client, rightsOf(place, purpose, [])),
    beside: { name: "osaka", client: osaka.client },
  });
});

const rows: readonly [allowed: boolean, call: Partial<Call>][] = [
  [true, { verb: "list", resource: "secrets", namespace: "rights" }],
  [false, { verb: "list", resource: "secrets", namespace: "kube-system" }],
  [false, { verb: "list", resource: "secrets" }],
  [true, { verb: "list", resource: "pods" }],
  [false, { verb: "watch", resource: "pods" }],
  [true, { verb: "get", resource: "pods/log", namespace: "rights", name: "web-1" }],
  [false, { verb: "create", resource: "pods/exec", namespace: "rights", name: "web-1" }],
  [true, { verb: "get", resource: "namespaces", name: "kube-system" }],
  [false, { verb: "get", resource: "namespaces", name: "default" }],
  [false, { verb: "list", resource: "namespaces" }],
  [
    true,
    {
      verb: "update",
      group: "coordination.k8s.io",
      resource: "leases",
      namespace: "rights",
      name: "slipway.shop",
    },
  ],
  [
    false,
    { verb: "update", group: "coordination.k8s.io", resource: "leases", namespace: "rights", name: "other" },
  ],
  [false, { verb: "list", group: "coordination.k8s.io", resource: "leases", namespace: "rights" }],
  [false, { verb: "update", resource: "leases", namespace: "rights", name: "slipway.shop" }],
];

for (const [allowed, changes] of rows) {
  const call: Call = { verb: "", group: "", resource: "", namespace: undefined, name: undefined, ...changes };
  const { verb, group, resource, namespace = "the cluster", name = "any" } = call;
  test(`a deployer may ${allowed ? "" : "not "}${verb} ${group}${resource} ${name} in ${namespace}`, () => {
    assert.equal(isAllowed(rightsOf(place, "deploy", []), call), allowed);
  });
}
