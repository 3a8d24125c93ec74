import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { seededRandom, VirtualClock } from "@slipway/base";
import {
  type Api,
  bootstrapCluster,
  type ConfigMap,
  createApi,
  createStore,
  type Event,
} from "@slipway/kube";
import type { Controller, Decision } from "../controllers/controller.ts";
import { createDriver, type DriverOptions } from "./driver.ts";
import { createRecorder } from "./recorder.ts";

function world(): { api: Api; clock: VirtualClock } {
  const clock = new VirtualClock();
  const api = createApi({ store: createStore(), now: () => clock.now(), random: seededRandom(1) });
  bootstrapCluster(api);
  return { api, clock };
}

/** Watches ConfigMaps named `watched…` and does what the test says. */
function controller(
  decide: (now: number, key: string) => Decision,
): Controller & { readonly asked: number[] } {
  const asked: number[] = [];
  return {
    name: "test-controller",
    asked,
    watches: [
      {
        kind: "ConfigMap",
        keys: ({ metadata }) => (metadata.name.startsWith("watched") ? [metadata.name] : []),
      },
    ],
    decide: (_snapshot, key, now) => {
      asked.push(now);
      return decide(now, key);
    },
  };
}

const configMap = (name: string, data: Record<string, string> = {}): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "default" },
  data,
});

function drive(options: Partial<DriverOptions> & Pick<DriverOptions, "controllers">) {
  const { api, clock } = world();
  const driver = createDriver({ api, clock, ...options });
  return { api, clock, driver };
}

describe("the driver", () => {
  test("looks at what exists, then at what changes, and at nothing after it has stopped", async () => {
    const subject = controller(() => ({ commands: [] }));
    const { api, clock, driver } = drive({ controllers: [subject] });
    api.create(configMap("watched"));
    driver.start();
    await clock.advance(0);
    assert.equal(subject.asked.length, 1);
    api.create(configMap("other"));
    api.create(configMap("watched-2"));
    await clock.advance(0);
    assert.equal(subject.asked.length, 2);
    driver.stop();
    api.create(configMap("watched-3"));
    await clock.advance(1000);
    assert.equal(subject.asked.length, 2);
  });

  test("asks once for a key that changed many times before its turn", async () => {
    const subject = controller(() => ({ commands: [] }));
    const { api, clock, driver } = drive({ controllers: [subject] });
    driver.start();
    let current = api.create(configMap("watched"));
    for (const a of ["1", "2", "3"]) current = api.replace({ ...current, data: { a } } as ConfigMap);
    await clock.advance(0);
    assert.equal(subject.asked.length, 1);
    driver.stop();
  });

  test("comes back when a decision asked for it, and a newer decision replaces the older one's timer", async () => {
    const subject = controller(() => ({ commands: [], requeueAfterMs: 1000 }));
    const { api, clock, driver } = drive({ controllers: [subject] });
    const start = clock.now();
    api.create(configMap("watched"));
    driver.start();
    await clock.advance(600);
    api.replace({ ...api.store.get("ConfigMap", "default", "watched"), data: { a: "1" } } as ConfigMap);
    await clock.advance(1100);
    assert.deepEqual(
      subject.asked.map((at) => at - start),
      [0, 600, 1600],
    );
    driver.stop();
  });

  test("retries a conflict after 5 ms, then 10, 20 and so on, and forgets it after a success", async () => {
    let failures = 3;
    const subject = controller(() => {
      failures -= 1;
      const stale = {
        ...configMap("watched"),
        metadata: { ...configMap("watched").metadata, resourceVersion: "1" },
      };
      return { commands: failures >= 0 ? [{ do: "update", object: stale }] : [] };
    });
    const { api, clock, driver } = drive({ controllers: [subject] });
    const start = clock.now();
    api.create(configMap("watched"));
    driver.start();
    await clock.advance(10_000);
    assert.deepEqual(
      subject.asked.map((at) => at - start),
      [0, 5, 15, 35],
    );
    driver.stop();
  });

  test("tells of a bug, and goes on with the other keys", async () => {
    const told: string[] = [];
    const subject = controller((_now, key) => {
      if (key === "watched-a") throw new TypeError("bug");
      return { commands: [] };
    });
    const { api, clock, driver } = drive({
      controllers: [subject],
      onError: (error, name, key) => told.push(`${name} ${key} ${(error as Error).message}`),
    });
    api.create(configMap("watched-a"));
    api.create(configMap("watched-b"));
    driver.start();
    await clock.advance(0);
    assert.deepEqual(told, ["test-controller watched-a bug"]);
    assert.equal(subject.asked.length, 2);
    driver.stop();
  });

  test("is idle once no key waits or retries", async () => {
    const subject = controller(() => ({ commands: [] }));
    const { api, clock, driver } = drive({ controllers: [subject] });
    driver.start();
    api.create(configMap("watched"));
    const idle = driver.idle();
    await clock.advance(100);
    await idle;
    assert.equal(subject.asked.length, 1);
    driver.stop();
  });
});

describe("the recorder", () => {
  const about = { kind: "Pod", namespace: "default", name: "p", uid: "u" };
  const facts = { about, type: "Warning", reason: "BackOff", message: "again" } as const;

  test("counts what repeats instead of writing it again", () => {
    const { api, clock } = world();
    const recorder = createRecorder({ api, now: () => clock.now(), component: "kubelet", host: "n" });
    for (let round = 0; round < 3; round += 1) recorder.record(facts);
    recorder.record({ ...facts, message: "another" });
    const events = api.store.list("Event") as readonly Event[];
    assert.deepEqual(
      events.map(({ message, count }) => [message, count]),
      [
        ["again", 3],
        ["another", 1],
      ],
    );
    assert.deepEqual(events[0]?.source, { component: "kubelet", host: "n" });
  });

  test("tells beside another recorder of the same object in the same millisecond", () => {
    const { api, clock } = world();
    for (const component of ["scheduler", "kubelet"])
      createRecorder({ api, now: () => clock.now(), component }).record({ ...facts, reason: component });
    assert.deepEqual(
      api.store.list("Event").map(({ reason }) => reason),
      ["scheduler", "kubelet"],
    );
  });

  test("starts anew when the counted event has been deleted", () => {
    const { api, clock } = world();
    const recorder = createRecorder({ api, now: () => clock.now(), component: "kubelet" });
    recorder.record(facts);
    const [{ metadata }] = api.store.list("Event") as readonly [Event];
    api.delete({ apiVersion: "v1", kind: "Event", namespace: "default", name: metadata.name });
    recorder.record(facts);
    assert.deepEqual(
      api.store.list("Event").map(({ count }) => count),
      [1],
    );
  });

  test("an event that is refused does not fail what it was about", () => {
    const { api, clock } = world();
    const recorder = createRecorder({ api, now: () => clock.now(), component: "kubelet" });
    recorder.record({ ...facts, about: { ...about, namespace: "absent" } });
    assert.deepEqual(api.store.list("Event"), []);
  });
});
