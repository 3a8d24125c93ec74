/** An observer over a real API in this process, whose answers are spoiled in the ways networks and servers do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "@slipway/base";
import { type ClientWatchEvent, type KubeClient, type Pod, statusError } from "@slipway/kube";
import { apiClient } from "../testing.ts";
import { type Observer, observe } from "./observe.ts";

type Watch = KubeClient["watch"];

function pod(name: string): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: { containers: [{ name: "web", image: "registry.test/web:v1" }] },
  };
}

async function watching(
  t: { after(done: () => void): void },
  spoil: (client: KubeClient) => Partial<KubeClient>,
): Promise<{ clock: VirtualClock; client: KubeClient; observer: Observer; names: () => string[] }> {
  const clock = new VirtualClock();
  const client = apiClient("tokyo", clock);
  const observer = observe({ ...client, ...spoil(client) }, { namespaces: ["default"], clock });
  t.after(() => observer.close());
  await clock.advance(1);
  await observer.ready;
  return { clock, client, observer, names: () => observer.current().pods.map((one) => one.metadata.name) };
}

/** A watch that ends like `how` when the gate is opened, once for each type; later ones are whole. */
function spoiledOnce(client: KubeClient, how: (events: ReturnType<Watch>) => ReturnType<Watch>): Watch {
  const spoiled = new Set<string>();
  return ((type, options) => {
    const events = client.watch(type, options);
    if (spoiled.has(type.kind)) return events;
    spoiled.add(type.kind);
    return how(events);
  }) as Watch;
}

/** The next event is what this says: the end, or an error. */
function answering(next: () => Promise<IteratorResult<ClientWatchEvent>>): ReturnType<Watch> {
  return { [Symbol.asyncIterator]: () => ({ next }) };
}

const endsAtOnce = (): ReturnType<Watch> => answering(async () => ({ done: true, value: undefined }));
const tooOld = (): ReturnType<Watch> =>
  answering(() => Promise.reject(statusError(410, "Expired", "too old resource version: 1 (2)")));
const broken = (): ReturnType<Watch> =>
  answering(() => Promise.reject(statusError(500, "InternalError", "stream error")));
/** Never ends by itself, as a connection whose other side is gone. */
const silent = (): ReturnType<Watch> => answering(() => new Promise(() => undefined));

for (const [what, end] of [
  ["is closed by the server", endsAtOnce],
  ["has a version that is too old", tooOld],
  ["breaks", broken],
] as const) {
  test(`a watch that ${what} is begun again and loses nothing`, async (t) => {
    const { clock, client, observer, names } = await watching(t, (whole) => ({
      watch: spoiledOnce(whole, end),
    }));
    await client.create(pod("web-1"));
    await clock.advance(1_000);
    assert.deepEqual(names(), ["web-1"]);
    assert.equal(observer.unreachableSince(), undefined);
  });
}

test("a watch that stays open and says nothing is given up, and the state is listed", async (t) => {
  const { clock, client, names } = await watching(t, (whole) => ({
    watch: spoiledOnce(whole, silent),
  }));
  await client.create(pod("web-1"));
  await clock.advance(70_000);
  assert.deepEqual(names(), []);
  await clock.advance(10_000);
  assert.deepEqual(names(), ["web-1"]);
});

test("a refresh has what a silent watch did not tell", async (t) => {
  const { clock, client, observer, names } = await watching(t, (whole) => ({
    watch: spoiledOnce(whole, silent),
  }));
  await client.create(pod("web-1"));
  await client.create(pod("web-2"));
  assert.equal(await observer.refresh(), true);
  await client.delete(
    { apiVersion: "v1", kind: "Pod", namespace: "default", name: "web-2" },
    { gracePeriodSeconds: 0 },
  );
  assert.equal(await observer.refresh(), true);
  await clock.advance(1);
  assert.deepEqual(names(), ["web-1"]);
});

test("a cluster that hangs is unreachable, and reachable again when it answers", async (t) => {
  let isHanging = false;
  const { clock, observer } = await watching(t, (whole) => ({
    version: () => (isHanging ? new Promise(() => undefined) : whole.version()),
  }));
  isHanging = true;
  await clock.advance(16_000);
  assert.notEqual(observer.unreachableSince(), undefined);
  assert.match(observer.lastError(), /no answer within 10 s/);
  isHanging = false;
  await clock.advance(6_000);
  assert.equal(observer.unreachableSince(), undefined);
});

test("a cluster that only refuses is overloaded, not away", async (t) => {
  let isRefusing = false;
  const { clock, observer } = await watching(t, (whole) => ({
    version: () =>
      isRefusing ? Promise.reject(statusError(429, "TooManyRequests", "try later")) : whole.version(),
  }));
  assert.equal(observer.isOverloaded(), false);
  isRefusing = true;
  await clock.advance(6_000);
  assert.equal(observer.isOverloaded(), true);
  assert.notEqual(observer.unreachableSince(), undefined);
});
