import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock, until } from "@slipway/base";
import type { KubeClient, LogOptions, Pod } from "@slipway/kube";
import { readPodLogs } from "./follow-logs.ts";
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

/** A kubelet of before 1.29: following a log ends when the file is rotated. `answers`: the lines of each request. */
function oldKubelet(answers: readonly (readonly string[])[]): {
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
        kind === "Pod" ? [pod] : kind === "StatefulSet" ? [{ metadata: { name: "web", uid: "owner" } }] : [],
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
  const logs = await readPodLogs({
    ...{ targets: [{ name: "osaka", client }], namespace: "shop", service: "shop", deployment: undefined },
    ...{ wants: () => true, previous: false, tail: 20, sinceMs: undefined },
    ...{ clock: systemClock, signal: stop.signal },
  });
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
