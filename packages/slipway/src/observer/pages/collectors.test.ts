/** Collectors as they are looked for in clusters; what a forwarded port leads to is a real observer's answers. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { systemClock, VirtualClock } from "@slipway/base";
import type { KubeClient, KubeObject } from "@slipway/kube";
import { openWarehouse } from "../../observe/warehouse/duckdb/open.ts";
import type { Warehouse } from "../../observe/warehouse/warehouse.ts";
import { apiClient } from "../../release/testing.ts";
import { type Control, serveControl } from "../../world/control.ts";
import { answersOf } from "../answers.ts";
import { COLLECTOR } from "../collector-place.ts";
import { findCollectors } from "./collectors.ts";

const TOKEN = "a-token-of-this-test";

let warehouse: Warehouse;
let control: Control;
before(async () => {
  warehouse = await openWarehouse({ folder: undefined });
  const figures = () => ({ lines: 0, unread: 0, logs: 0, gaps: 0 });
  control = await serveControl(answersOf({ warehouse, figures }), TOKEN);
});
after(async () => {
  control.close();
  await warehouse.close();
});

const { namespace, secret, labels, port } = COLLECTOR;

async function install(client: KubeClient, isReady = true): Promise<void> {
  const status = isReady ? "True" : "False";
  await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } } as KubeObject);
  await client.create({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace, name: secret.name },
    data: { [secret.key]: Buffer.from(TOKEN).toString("base64") },
  } as unknown as KubeObject);
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name: "collector-0", labels },
    spec: { containers: [{ name: "collector", image: "collector" }] },
  };
  const made = await client.create(pod as unknown as KubeObject);
  const ready = { ...made, status: { phase: "Running", conditions: [{ type: "Ready", status }] } };
  await client.replace(ready as unknown as KubeObject, { subresource: "status" });
}

/** Its pod's port leads to the observer of this test. */
function reaching(client: KubeClient): KubeClient {
  return {
    ...client,
    async portForward(pod, asked) {
      assert.deepEqual([pod, asked], [{ namespace, name: "collector-0" }, port]);
      return connect(Number(new URL(control.url).port), "127.0.0.1");
    },
  };
}

test("a cluster with a collector is asked, one without says so", async () => {
  const [tokyo, osaka, kyoto] = ["tokyo", "osaka", "kyoto"].map((name) => apiClient(name)) as [
    KubeClient,
    KubeClient,
    KubeClient,
  ];
  await install(tokyo);
  await install(kyoto, false);
  const collectors = await findCollectors(
    [
      { name: "tokyo", client: reaching(tokyo) },
      { name: "osaka", client: osaka },
      { name: "kyoto", client: kyoto },
    ],
    systemClock,
  );
  try {
    const { sources, nothing } = collectors.rows();
    assert.deepEqual(
      sources.map(({ name }) => name),
      ["tokyo"],
    );
    assert.equal(nothing, "osaka: no collector is installed; kyoto: its collector is not ready");
    assert.deepEqual((await sources[0]?.query("SELECT count(*) FROM requests"))?.rows, [[0]]);
  } finally {
    collectors.close();
  }
});

test("one that is installed later is found", async () => {
  const clock = new VirtualClock();
  const client = apiClient("tokyo", clock);
  const collectors = await findCollectors([{ name: "tokyo", client: reaching(client) }], clock);
  assert.deepEqual(collectors.rows().sources, []);
  await install(client);
  await clock.advance(20_000);
  assert.equal(collectors.rows().sources.length, 1);
  assert.equal(collectors.rows().nothing, "");
  collectors.close();
});
