import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, VirtualClock } from "@slipway/base";
import {
  bootstrapCluster,
  createApi,
  createMemoryClient,
  createStore,
  type KubeClient,
  statusError,
} from "@slipway/kube";
import { ensureNamespace } from "./apply.ts";

/** A cluster whose server is busy for so many creates. */
function busyFor(times: number): { readonly client: KubeClient; readonly asked: () => number } {
  const clock = new VirtualClock();
  const api = createApi({ store: createStore(), now: () => clock.now(), random: seededRandom(1) });
  bootstrapCluster(api);
  const client = createMemoryClient({ name: "tokyo", api });
  let asked = 0;
  const create: KubeClient["create"] = (object, write) => {
    asked += 1;
    if (asked <= times) return Promise.reject(statusError(503, "ServiceUnavailable", "busy"));
    return client.create(object, write);
  };
  return { client: { ...client, create }, asked: () => asked };
}

test("a namespace is made although the server was busy for a moment", async () => {
  const { client } = busyFor(2);
  await ensureNamespace(client, "shop", "shop");
  const made = await client.get({ apiVersion: "v1", kind: "Namespace", name: "shop" });
  assert.equal(made.metadata.name, "shop");
});

test("a server that stays busy is told, after three times", async () => {
  const { client, asked } = busyFor(10);
  await assert.rejects(ensureNamespace(client, "shop", "shop"), { message: "busy" });
  assert.equal(asked(), 3);
});
