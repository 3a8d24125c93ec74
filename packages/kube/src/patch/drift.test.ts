/** What is different from what was applied, and by whose hand: through the API, so that managedFields are the real ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "@slipway/base";
import { bootstrapCluster } from "../api/bootstrap.ts";
import { createApi } from "../api/pipeline.ts";

import { createMemoryClient } from "../client/memory.ts";
import type { AnyObject, KubeObject } from "../resources/meta.ts";
import { createStore } from "../store/memory.ts";
import { fieldDrift } from "./drift.ts";

const web: AnyObject = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "default", labels: { app: "web" } },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: {
        containers: [
          {
            name: "web",
            image: "web:1",
            env: [
              { name: "MODE", value: "fast" },
              { name: "EMPTY", value: "" },
            ],
            resources: { requests: { cpu: "0.5", memory: "1024Mi" } },
            ports: [{ containerPort: 80 }],
          },
        ],
      },
    },
  },
};

async function afterwards(change: (client: ReturnType<typeof createMemoryClient>) => Promise<unknown>) {
  const api = createApi({
    store: createStore(),
    now: () => Date.UTC(2026, 0, 1),
    random: seededRandom(1),
  });
  bootstrapCluster(api);
  const client = createMemoryClient({ name: "tokyo", api });
  await client.apply(web, { fieldManager: "slipway", force: true });
  await change(client);
  const live = await client.get<KubeObject>({
    apiVersion: "apps/v1",
    kind: "Deployment",
    namespace: "default",
    name: "web",
  });
  return fieldDrift(web, live, { manager: "slipway", ignored: new Set(["kube-controller-manager"]) }).map(
    ({ path, applied, live: is, by }) => [path, applied, is, by?.manager],
  );
}

const ref = { apiVersion: "apps/v1", kind: "Deployment", namespace: "default", name: "web" };
const strategic = (spec: unknown, fieldManager: string) => (client: ReturnType<typeof createMemoryClient>) =>
  client.patch(ref, "strategic", { spec } as never, { fieldManager });

test("nothing is different right after the apply: not defaults, not quantities, not empty values", async () => {
  assert.deepEqual(await afterwards(async () => undefined), []);
});

test("a changed field names who owns it now", async () => {
  assert.deepEqual(await afterwards(strategic({ replicas: 9 }, "kubectl-scale")), [
    ["spec.replicas", 3, 9, "kubectl-scale"],
  ]);
});

test("containers and their environment are compared by name", async () => {
  const containers = [
    { name: "web", env: [{ name: "MODE", value: "slow" }] },
    { name: "spy", image: "spy:1" },
  ];
  const drift = await afterwards(strategic({ template: { spec: { containers } } }, "kubectl-edit"));
  assert.deepEqual(
    drift.map(([path, applied, , by]) => [path, applied, by]),
    [
      ["spec.template.spec.containers[web].env[MODE].value", "fast", "kubectl-edit"],
      ["spec.template.spec.containers[spy]", undefined, "kubectl-edit"],
    ],
  );
});

test("what was removed has no owner any more", async () => {
  const containers = [{ name: "web", env: [{ name: "MODE", $patch: "delete" }] }];
  assert.deepEqual(await afterwards(strategic({ template: { spec: { containers } } }, "kubectl-edit")), [
    ["spec.template.spec.containers[web].env[MODE]", { name: "MODE", value: "fast" }, undefined, undefined],
  ]);
});

test("what the platform's own managers add is not drift; a restart by hand is", async () => {
  const annotations = { "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z" };
  assert.deepEqual(
    await afterwards(strategic({ progressDeadlineSeconds: 60 }, "kube-controller-manager")),
    [],
  );
  assert.deepEqual(
    await afterwards(strategic({ template: { metadata: { annotations } } }, "kubectl-rollout")),
    [
      [
        'spec.template.metadata.annotations["kubectl.kubernetes.io/restartedAt"]',
        undefined,
        "2026-01-01T00:00:00Z",
        "kubectl-rollout",
      ],
    ],
  );
});
