/** A commit goes out in waves; history, status and pods tell the same; what a commit did not touch stays as it runs. */
import assert from "node:assert/strict";
import { until } from "@slipway/base";
import { type Place, WANTED } from "./place.ts";
import { isServing, tagOf, withPodLogs } from "./pod-log.ts";
import { everywhere, historyOf, podNames, serving, statusOf } from "./truth.ts";

export async function commit(place: Place): Promise<void> {
  await place.begin("commit", { bake: "2s" });
  const v1 = await place.commit("v1");
  await place.ok("ship");
  assert.deepEqual(await serving(place), everywhere(place, { [v1]: WANTED }));

  const v2 = await place.commit("v2");
  await withPodLogs(place.clusters, place.service, async (logs) => {
    await place.ok("ship");
    assert.deepEqual(await serving(place), everywhere(place, { [v2]: WANTED }));
    const ofV2 = () => logs.map((log) => log.pods().filter((pod) => tagOf(pod) === v2 && isServing(pod)));
    // What a list says, a watch may say a moment later.
    await until("the logs to have it, too", () => ofV2().every((pods) => pods.length === WANTED));
    const [first, ...others] = ofV2();
    const readyAt = Math.max(...(first ?? []).map(readySince));
    for (const pod of others.flat()) {
      const createdAt = Date.parse(pod.metadata.creationTimestamp ?? "");
      assert.ok(createdAt > readyAt, "the second wave began after the first was ready and had baked");
    }
    for (const log of logs) assert.ok(log.lowestReady() >= WANTED, `${log.cluster} kept its capacity`);
  });

  const records = await historyOf(place);
  assert.deepEqual(
    records.map(({ number, outcome, version }) => [number, outcome, version.commit]),
    [
      [2, "healthy", v2],
      [1, "healthy", v1],
    ],
  );
  const report = await statusOf(place);
  assert.equal(report.newest?.number, 2);
  for (const cluster of report.clusters) {
    assert.equal(cluster.runs, 2);
    assert.equal(cluster.health?.verdict, "ok", JSON.stringify(cluster.health));
    assert.deepEqual(cluster.drift, []);
  }

  const before = await podNames(place);
  await place.project.write("NOTES.md", "Nothing that an image is made of.\n");
  await place.project.commit("notes");
  await place.ok("ship");
  assert.deepEqual(await podNames(place), before, "not a single pod was replaced");
}

function readySince(pod: Parameters<typeof tagOf>[0]): number {
  const ready = pod.status?.conditions?.find(({ type }) => type === "Ready");
  return Date.parse(ready?.lastTransitionTime ?? "");
}
