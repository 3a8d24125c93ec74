import assert from "node:assert/strict";
import { test } from "node:test";
import { until, VirtualClock } from "@slipway/base";
import type { KubeClient } from "@slipway/kube";
import { kubeEndpoints } from "./endpoints.ts";

/** A cluster with one Service, whose endpoints have these addresses; while it is away it refuses, and watches break. */
function cluster() {
  const service = { spec: { ports: [{ name: "http", port: 80 }] } };
  let addresses: readonly string[] = [];
  let broken = Promise.withResolvers<void>();
  let isAway = false;
  const refuse = (): void => {
    if (isAway) throw new Error("connection refused");
  };
  const client: Partial<KubeClient> = {
    get: (async () => {
      refuse();
      return service;
    }) as unknown as KubeClient["get"],
    list: (async () => {
      refuse();
      const slice = {
        metadata: { name: "web" },
        ports: [{ name: "http", port: 8080 }],
        endpoints: addresses.map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
      };
      return { metadata: { resourceVersion: "1" }, items: [slice] };
    }) as unknown as KubeClient["list"],
    async *watch(_type, options) {
      const stopped = new Promise<void>((resolve) =>
        options?.signal?.addEventListener("abort", () => resolve(), { once: true }),
      );
      await Promise.race([broken.promise, stopped]);
    },
  };
  return {
    client: client as KubeClient,
    set(now: readonly string[]) {
      addresses = now;
    },
    lose() {
      isAway = true;
      broken.reject(new Error("connection reset"));
      broken = Promise.withResolvers();
    },
    bringBack() {
      isAway = false;
    },
  };
}

const REF = { namespace: "default", name: "web", port: 80 };

for (const [how, isLost] of [
  ["of a cluster that was away", true],
  ["of one that was there all the time", false],
] as const)
  test(`endpoints are read anew when that is wished for, ${how}`, async () => {
    const { client, set, lose, bringBack } = cluster();
    const problems: unknown[] = [];
    const stop = new AbortController();
    // Its time never goes on: nothing is read again by itself.
    const source = kubeEndpoints("tokyo", client, new VirtualClock(), (error) => problems.push(error));
    let seen: readonly string[] = [];
    const following = source.follow(
      REF,
      (backends) => {
        seen = backends.map(({ ip }) => ip);
      },
      stop.signal,
    );
    set(["10.1.0.1", "10.1.0.2"]);
    await until("the first", () => seen.length === 2);
    if (isLost) {
      lose();
      await until("it to be away", () => problems.length > 0);
      assert.deepEqual(seen, ["10.1.0.1", "10.1.0.2"], "what was known last stays");
      bringBack();
    }
    set([]);
    await source.refresh();
    assert.deepEqual(seen, []);
    assert.equal(problems.length, isLost ? 1 : 0);
    stop.abort();
    await following;
    await source.refresh(); // nothing is followed any more
  });
