import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock, until } from "@slipway/base";
import type { KubeClient, LogOptions, Pod } from "@slipway/kube";
import { type PodLogsOptions, readPodLogs } from "./follow-logs.ts";
import type { LogLine } from "./log-lines.ts";

const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    ...{ name: "web-1", uid: "u1", namespace: "shop" },
    ownerReferences: [
      { apiVersion: "apps/v1", kind: "StatefulSet", name: "web", uid: "owner", controller: true },
    ],
  },
  spec: { containers: [{ name: "web", image: "web" }] },
  status: { phase: "Running", containerStatuses: [{ name: "web", state: { running: {} } }] },
} as unknown as Pod;

const wish: Omit<PodLogsOptions, "targets" | "signal"> = {
  ...{ namespace: "shop", service: "shop", deployment: undefined, wants: () => true },
  ...{ previous: false, tail: 20, sinceMs: undefined, clock: systemClock },
  onProblem: (cluster, error) => assert.fail(`${cluster}: ${String(error)}`),
};

/** A kubelet of before 1.29: following a log ends when the file is rotated. `answers`: the lines of each request. */
function oldKubelet(
  answers: readonly (readonly string[])[],
  its: Pod = pod,
): {
  readonly client: KubeClient;
  readonly asked: LogOptions[];
} {
  const asked: LogOptions[] = [];
  const client: Partial<KubeClient> = {
    name: "osaka",
    serves: async ({ kind }) => kind === "StatefulSet",
    list: (async ({ kind }: { kind: string }) => ({
      metadata: { resourceVersion: "1" },
      items:
        kind === "Pod" ? [its] : kind === "StatefulSet" ? [{ metadata: { name: "web", uid: "owner" } }] : [],
    })) as unknown as KubeClient["list"],
    get: (async () => pod) as unknown as KubeClient["get"],
    async *watch(_type, options) {
      await new Promise((resolve) => options?.signal?.addEventListener("abort", resolve, { once: true }));
    },
    async *logs(_pod, options = {}) {
      asked.push(options);
      const lines = answers[asked.length - 1] ?? [];
      if (lines.length > 0) yield Buffer.from(lines.map((line) => `${line}\n`).join(""));
    },
  };
  return { client: client as KubeClient, asked };
}

test("a log that ends while its container runs is opened again, and says nothing twice", async () => {
  const at = (fraction: string, text: string): string => `2026-01-01T00:00:05.${fraction}Z ${text}`;
  const { client, asked } = oldKubelet([
    [at("1", "one")],
    [at("1", "one"), at("2", "two")],
    [at("2", "two"), at("2", "two again"), at("3", "three")],
  ]);
  const stop = new AbortController();
  const logs = await readPodLogs({ ...wish, targets: [{ name: "osaka", client }], signal: stop.signal });
  assert.deepEqual(
    logs.lines.map(({ text }) => text),
    ["one"],
  );
  const told: LogLine[] = [];
  const following = logs.follow((line) => told.push(line));
  await until("three lines", () => told.length >= 3);
  stop.abort();
  await following;
  assert.deepEqual(
    told.map(({ text }) => text),
    ["two", "two again", "three"],
  );
  assert.deepEqual(asked[0], { ...asked[0], previous: false, tailLines: 20, timestamps: true });
  assert.equal(asked[1]?.sinceTime, "2026-01-01T00:00:05Z");
  assert.equal(asked[1]?.follow, true);
});

test("a pod that does not get beyond an init container: its log says why", async () => {
  const waiting = {
    ...pod,
    spec: { initContainers: [{ name: "migrate", image: "web" }], containers: pod.spec.containers },
    status: {
      phase: "Pending",
      initContainerStatuses: [
        {
          name: "migrate",
          state: { waiting: { reason: "CrashLoopBackOff" } },
          lastState: { terminated: { exitCode: 1 } },
        },
      ],
      containerStatuses: [{ name: "web", state: { waiting: { reason: "PodInitializing" } } }],
    },
  };
  const { client, asked } = oldKubelet([["2026-01-01T00:00:05Z no database"]], waiting as unknown as Pod);
  const { lines } = await readPodLogs({
    ...{ ...wish, targets: [{ name: "osaka", client }], signal: new AbortController().signal },
  });
  assert.deepEqual(
    lines.map(({ container, text }) => [container, text]),
    [["migrate", "no database"]],
  );
  assert.equal(asked.length, 1);
});

/** A cluster whose pods are `names` at the moment; each says its name once. Watches end when the list changes. */
function cluster(name: string): {
  readonly client: KubeClient;
  set(names: readonly string[], away?: Error): void;
  endWatch(how?: Error): void;
} {
  let names: readonly string[] = [];
  let away: Error | undefined;
  let ending = Promise.withResolvers<void>();
  const client: Partial<KubeClient> = {
    name,
    serves: async ({ kind }) => {
      if (away !== undefined) throw away;
      return kind === "StatefulSet";
    },
    list: (async ({ kind }: { kind: string }) => ({
      metadata: { resourceVersion: "1" },
      items:
        kind === "Pod"
          ? names.map((one) => ({ ...pod, metadata: { ...pod.metadata, name: one, uid: `${name}/${one}` } }))
          : kind === "StatefulSet"
            ? [{ metadata: { name: "web", uid: "owner" } }]
            : [],
    })) as unknown as KubeClient["list"],
    get: (async () => pod) as unknown as KubeClient["get"],
    async *watch(_type, options) {
      const stopped = new Promise<void>((resolve) =>
        options?.signal?.addEventListener("abort", () => resolve(), { once: true }),
      );
      await Promise.race([ending.promise, stopped]);
    },
    async *logs({ name: one }, options = {}) {
      yield Buffer.from(`2026-01-01T00:00:05Z ${one}\n`);
      if (options.follow === true)
        await new Promise((resolve) => options.signal?.addEventListener("abort", resolve, { once: true }));
    },
  };
  return {
    client: client as KubeClient,
    set: (now, error) => {
      [names, away] = [now, error];
    },
    endWatch(how) {
      const before = ending;
      ending = Promise.withResolvers();
      if (how === undefined) before.resolve();
      else before.reject(how);
    },
  };
}

test("pods that start after a watch has ended, or broken off, are followed too", async () => {
  const osaka = cluster("osaka");
  osaka.set(["web-1"]);
  const stop = new AbortController();
  const problems: string[] = [];
  const logs = await readPodLogs({
    ...{ ...wish, targets: [{ name: "osaka", client: osaka.client }], signal: stop.signal },
    onProblem: (name, error) => problems.push(`${name}: ${(error as Error).message}`),
  });
  const told: string[] = [];
  const following = logs.follow(({ text }) => told.push(text));
  osaka.set(["web-1", "web-2"]);
  osaka.endWatch();
  await until("the second pod", () => told.includes("web-2"));
  osaka.set(["web-1", "web-2", "web-3"]);
  osaka.endWatch(new Error("connection reset"));
  await until("the third pod", () => told.includes("web-3"));
  stop.abort();
  assert.equal(await following, 2);
  assert.deepEqual(told, ["web-2", "web-3"]);
  assert.deepEqual(problems, ["osaka: connection reset"]);
});

test("a cluster that is away costs no line of the others, and is followed when it comes back", async () => {
  const [tokyo, osaka] = [cluster("tokyo"), cluster("osaka")];
  tokyo.set(["web-1"]);
  osaka.set(["web-1"], new Error("cannot be reached"));
  const stop = new AbortController();
  const problems: string[] = [];
  const logs = await readPodLogs({
    ...{ ...wish, signal: stop.signal },
    targets: [
      { name: "tokyo", client: tokyo.client },
      { name: "osaka", client: osaka.client },
    ],
    onProblem: (name, error) => problems.push(`${name}: ${(error as Error).message}`),
  });
  assert.deepEqual(
    logs.lines.map(({ cluster, text }) => `${cluster} ${text}`),
    ["tokyo web-1"],
  );
  assert.equal(logs.away, 1);
  const told: string[] = [];
  const following = logs.follow(({ cluster, text }) => told.push(`${cluster} ${text}`));
  osaka.set(["web-1"]);
  await until("its line", () => told.length > 0);
  stop.abort();
  await following;
  assert.deepEqual(told, ["osaka web-1"]);
  assert.deepEqual(problems, ["osaka: cannot be reached"]);
});
