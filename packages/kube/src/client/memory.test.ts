import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { SlipwayError, seededRandom, systemClock, VirtualClock } from "@slipway/base";
import { bootstrapCluster } from "../api/bootstrap.ts";
import { createApi } from "../api/pipeline.ts";
import type { ConfigMap } from "../resources/cluster.ts";
import { createStore } from "../store/memory.ts";
import { clientCases } from "./cases.ts";
import type { ClientWatchEvent } from "./client.ts";
import { createMemoryClient, type PodAccess } from "./memory.ts";
import { isReason } from "./status-error.ts";

function open(options: { replay?: number; pods?: PodAccess } = {}) {
  const store = createStore(options);
  const api = createApi({ store, now: systemClock.now, random: seededRandom(1) });
  bootstrapCluster(api);
  const pods = options.pods === undefined ? {} : { pods: options.pods };
  const client = createMemoryClient({ name: "memory", api, sleep: systemClock.sleep, ...pods });
  return { api, client };
}

const configMap = (name: string): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "default" },
});
const CONFIG_MAPS = { apiVersion: "v1", kind: "ConfigMap" };

describe("the memory client", () => {
  clientCases(async () => {
    const { client } = open();
    return { client, close: () => client.close() };
  });

  it("ends a watch from a version that is no longer kept with 410 Expired", async () => {
    const { client } = open({ replay: 5 });
    for (let index = 0; index < 9; index += 1) await client.create(configMap(`x-${index}`));
    const watching = client.watch(CONFIG_MAPS, { resourceVersion: "1" })[Symbol.asyncIterator]();
    await assert.rejects(watching.next(), (error) => isReason(error, "Expired") && error.httpCode === 410);
  });

  it("answers a page token that is too old with a token to go on without consistency", async () => {
    const { client } = open({ replay: 5 });
    for (const name of ["a", "b", "c"]) await client.create(configMap(name));
    const page = { namespace: "default", limit: 1 };
    const { metadata } = await client.list(CONFIG_MAPS, page);
    for (let index = 0; index < 9; index += 1) await client.create(configMap(`x-${index}`));
    const old = client.list(CONFIG_MAPS, { ...page, continue: metadata.continue as string });
    let token = "";
    await assert.rejects(old, (error) => {
      if (!isReason(error, "Expired")) return false;
      token = error.status.metadata["continue"] as string;
      return error.message.startsWith("The provided continue parameter is too old");
    });
    const next = await client.list(CONFIG_MAPS, { ...page, continue: token });
    assert.deepEqual(
      next.items.map((item) => item.metadata.name),
      ["b"],
    );
  });

  it("begins a watch without a version with what is there", async () => {
    const { client } = open();
    await client.create(configMap("a"));
    const seen: ClientWatchEvent[] = [];
    for await (const event of client.watch(CONFIG_MAPS, { fieldSelector: "metadata.name=a" })) {
      seen.push(event);
      if (seen.length === 1) await client.delete({ ...CONFIG_MAPS, name: "a", namespace: "default" });
      else break;
    }
    assert.deepEqual(
      seen.map(({ type }) => type),
      ["ADDED", "DELETED"],
    );
  });

  it("times out a watch on the clock it was given", async () => {
    const clock = new VirtualClock();
    const store = createStore();
    const api = createApi({ store, now: () => clock.now(), random: seededRandom(1) });
    const client = createMemoryClient({
      name: "virtual",
      api,
      sleep: (ms, signal) => clock.sleep(ms, signal),
    });
    const iterator = client.watch(CONFIG_MAPS, { timeoutSeconds: 300 })[Symbol.asyncIterator]();
    const ending = iterator.next();
    await clock.advance(299_000);
    assert.equal(await Promise.race([ending, "still open"]), "still open");
    await clock.advance(1_000);
    assert.deepEqual(await ending, { done: true, value: undefined });
  });

  it("hands out objects that cannot be changed, and keeps none that the caller can change", async () => {
    const { client } = open();
    const mine = { ...configMap("frozen"), data: { a: "1" } };
    const created = await client.create(mine);
    mine.data.a = "changed";
    assert.throws(() => Object.assign(created.data as object, { a: "2" }), TypeError);
    assert.deepEqual(
      (await client.get<ConfigMap>({ ...CONFIG_MAPS, name: "frozen", namespace: "default" })).data,
      { a: "1" },
    );
  });

  it("refuses logs, exec and ports where no pods run, and passes them on where they do", async () => {
    const pod = { namespace: "default", name: "web" };
    assert.throws(
      () => open().client.logs(pod),
      (error) => error instanceof SlipwayError && error.code === "CLUSTER_WITHOUT_PODS",
    );
    const pods: PodAccess = {
      logs: async function* () {
        yield Buffer.from("hello\n");
      },
      exec: async (_pod, { command }) => ({ exitCode: 3, stdout: command.join(" "), stderr: "" }),
      portForward: async (_pod, port) => Duplex.from([`port ${port}`]),
    };
    const { client } = open({ pods });
    const chunks: Uint8Array[] = [];
    for await (const chunk of client.logs(pod)) chunks.push(chunk);
    assert.equal(Buffer.concat(chunks).toString(), "hello\n");
    assert.deepEqual(await client.exec(pod, { command: ["a", "b"] }), {
      exitCode: 3,
      stdout: "a b",
      stderr: "",
    });
    assert.equal(await text(await client.portForward(pod, 80)), "port 80");
  });
});
