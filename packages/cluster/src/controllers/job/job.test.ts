/** The Job controller as tables: pods and their phases in, what is made or said out; and once in a whole cluster. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "@slipway/base";
import type { Job, Pod } from "@slipway/kube";
import { startCluster } from "../../cluster.ts";
import type { Snapshot } from "../controller.ts";
import { decideJob } from "./job.ts";

const NOW = Date.parse("2026-01-01T00:10:00Z");
const job = (spec: Partial<Job["spec"]> = {}): Job => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name: "migrate", namespace: "shop", uid: "job-1" },
  spec: {
    parallelism: 1,
    completions: 1,
    backoffLimit: 1,
    template: { spec: { containers: [{ name: "c", image: "i" }], restartPolicy: "Never" } },
    ...spec,
  },
  status: { startTime: "2026-01-01T00:00:00Z" },
});

type Phase = "Running" | "Succeeded" | "Failed";

function pod(phase: Phase, index: number, endedAgoMs = 60_000): Pod {
  const finishedAt = new Date(NOW - endedAgoMs).toISOString();
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `migrate-${index}`,
      namespace: "shop",
      uid: `pod-${index}`,
      creationTimestamp: "2026-01-01T00:00:00Z",
      ownerReferences: [
        { apiVersion: "batch/v1", kind: "Job", name: "migrate", uid: "job-1", controller: true },
      ],
    },
    spec: { containers: [{ name: "c", image: "i" }] },
    status: {
      phase,
      containerStatuses: [
        {
          ...{ name: "c", ready: false, restartCount: 0, image: "i", imageID: "" },
          state: phase === "Running" ? { running: {} } : { terminated: { exitCode: 1, finishedAt } },
        },
      ],
    },
  } as unknown as Pod;
}

function told(spec: Partial<Job["spec"]>, pods: readonly Pod[]): string {
  const one = job(spec);
  const snapshot = { get: () => one, list: () => pods } as unknown as Snapshot;
  const { commands, requeueAfterMs } = decideJob(snapshot, "shop/migrate", NOW);
  const words = commands.flatMap((command) => {
    if (command.do === "create") return ["create"];
    if (command.do === "delete") return [`delete ${command.name}`];
    if (command.do !== "update-status") return [];
    const condition = (command.object as Job).status?.conditions?.[0];
    return condition === undefined ? [] : [[condition.type, condition.reason].filter(Boolean).join(" ")];
  });
  return [...words, ...(requeueAfterMs === undefined ? [] : [`in ${requeueAfterMs}`])].join(", ");
}

const rows: readonly [what: string, spec: Partial<Job["spec"]>, pods: readonly Pod[], expected: string][] = [
  ["nothing runs yet", {}, [], "create"],
  ["its pod runs", {}, [pod("Running", 1)], ""],
  ["its pod has succeeded", {}, [pod("Succeeded", 1)], "Complete"],
  ["its pod has failed a minute ago", {}, [pod("Failed", 1)], "create"],
  ["its pod has failed four seconds ago", {}, [pod("Failed", 1, 4_000)], "in 6000"],
  ["two have failed of one allowed", {}, [pod("Failed", 1), pod("Failed", 2)], "Failed BackoffLimitExceeded"],
  ["none may fail", { backoffLimit: 0 }, [pod("Failed", 1)], "Failed BackoffLimitExceeded"],
  ["three are wanted, two at a time", { parallelism: 2, completions: 3 }, [], "create, create"],
  [
    "the last of three is missing",
    { parallelism: 2, completions: 3 },
    [pod("Succeeded", 1), pod("Succeeded", 2)],
    "create",
  ],
  [
    "its deadline is over and a pod still runs",
    { activeDeadlineSeconds: 600 },
    [pod("Running", 1)],
    "delete migrate-1, Failed DeadlineExceeded",
  ],
  ["its deadline is near", { activeDeadlineSeconds: 601 }, [pod("Running", 1)], "in 1000"],
];

for (const [what, spec, pods, expected] of rows) {
  test(`when ${what}: ${expected === "" ? "wait" : expected}`, () => {
    assert.equal(told(spec, pods), expected);
  });
}

test("in a cluster a Job runs its pod once, says so, and cannot be changed", async () => {
  const cluster = await startCluster({ name: "jobs", runtime: "simulated" });
  try {
    const { client } = cluster;
    const template = {
      spec: { restartPolicy: "Never", containers: [{ name: "c", image: "simulated/job" }] },
    };
    const object = {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name: "once", namespace: "default" },
      spec: { template },
    };
    const ref = { apiVersion: "batch/v1", kind: "Job", namespace: "default", name: "once" };
    await client.apply(object, { fieldManager: "test" });
    const done = await until("it is complete", async () => {
      const { status } = await client.get<Job>(ref);
      return status?.conditions?.[0]?.type === "Complete" ? status : undefined;
    });
    assert.equal(done.succeeded, 1);
    const { items } = await client.list(
      { apiVersion: "v1", kind: "Pod" },
      { labelSelector: "job-name=once" },
    );
    assert.equal(items.length, 1);
    // The same again is no change; another image is refused.
    await client.apply(object, { fieldManager: "test" });
    const other = { spec: { ...template.spec, containers: [{ name: "c", image: "other" }] } };
    await assert.rejects(client.apply({ ...object, spec: { template: other } }, { fieldManager: "test" }), {
      message: /spec.template: Invalid value: .* field is immutable/s,
    });
    const restarts = { spec: { containers: [{ name: "c", image: "i" }] } };
    await assert.rejects(
      client.create({
        ...object,
        metadata: { name: "no", namespace: "default" },
        spec: { template: restarts },
      }),
      { message: /spec.template.spec.restartPolicy/ },
    );
  } finally {
    await cluster.stop();
  }
});
