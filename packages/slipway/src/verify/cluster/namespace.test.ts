import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { seededRandom, systemProcesses, VirtualClock } from "@slipway/base";
import {
  bootstrapCluster,
  createApi,
  createMemoryClient,
  createStore,
  isReason,
  type KubeClient,
  type KubeObject,
} from "@slipway/kube";
import { openNamespace, RUN_LABEL, sweepNamespaces } from "./namespace.ts";

function cluster(clock: VirtualClock): KubeClient {
  const api = createApi({ store: createStore(), now: () => clock.now(), random: seededRandom(1) });
  bootstrapCluster(api);
  return createMemoryClient({ name: "test", api });
}

const namespace = (name: string, annotations: Record<string, string>): KubeObject => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels: { [RUN_LABEL]: "run" }, annotations },
});

describe("a namespace for a run", () => {
  test("is there, says whose it is, and is gone when nobody keeps it", async () => {
    const clock = new VirtualClock();
    const client = cluster(clock);
    const own = await openNamespace({ client, name: "verify-1", ttlMs: 60_000, clock });
    const made = await client.get({ apiVersion: "v1", kind: "Namespace", name: own.name });
    assert.equal(made.metadata.labels?.[RUN_LABEL], "run");
    // Nothing empties namespaces in this cluster: it stays, ending.
    assert.equal(await own.remove(0), false);
    const ending = await client.get({ apiVersion: "v1", kind: "Namespace", name: own.name });
    assert.ok(ending.metadata.deletionTimestamp);
    assert.equal(await own.remove(0), false);
  });

  test("a second of the same name is refused and the first stays", async () => {
    const clock = new VirtualClock();
    const client = cluster(clock);
    await openNamespace({ client, name: "verify-1", ttlMs: 60_000, clock });
    await assert.rejects(
      () => openNamespace({ client, name: "verify-1", ttlMs: 60_000, clock }),
      (error) => isReason(error, "AlreadyExists"),
    );
  });
});

test("what is swept: whose time is over, or whose owner is known to be gone", async () => {
  const clock = new VirtualClock();
  const client = cluster(clock);
  const { self } = systemProcesses();
  const later = new Date(clock.now() + 1000).toISOString();
  const rows: readonly [name: string, annotations: Record<string, string>, isSwept: boolean][] = [
    ["alive", { "slipway.dev/verify-owner": JSON.stringify(self), "slipway.dev/verify-until": later }, false],
    [
      "dead",
      {
        "slipway.dev/verify-owner": JSON.stringify({ ...self, startTicks: "1" }),
        "slipway.dev/verify-until": later,
      },
      true,
    ],
    [
      "elsewhere",
      {
        "slipway.dev/verify-owner": JSON.stringify({ host: "other", pid: 1 }),
        "slipway.dev/verify-until": later,
      },
      false,
    ],
    [
      "elsewhere-over",
      {
        "slipway.dev/verify-owner": JSON.stringify({ host: "other", pid: 1 }),
        "slipway.dev/verify-until": new Date(clock.now()).toISOString(),
      },
      true,
    ],
    ["unreadable", { "slipway.dev/verify-owner": "{", "slipway.dev/verify-until": later }, false],
  ];
  for (const [name, annotations] of rows) await client.create(namespace(name, annotations));
  const swept = await sweepNamespaces(client, clock.now());
  const expected = rows.filter(([, , isSwept]) => isSwept).map(([name]) => name);
  assert.deepEqual(swept.toSorted(), expected.toSorted());
});
