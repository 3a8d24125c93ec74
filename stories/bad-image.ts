/**
 * A version that crashes: found in the first wave, named with its own words, kept with the release, and taken back
 * before a second cluster ever saw it or the first had one pod less than wanted.
 */
import assert from "node:assert/strict";
import type { Deployment } from "@slipway/kube";
import { type Place, WANTED } from "./place.ts";
import { withPodLogs } from "./pod-log.ts";
import { everywhere, newestOf, serving, statusOf } from "./truth.ts";

export async function badImage(place: Place): Promise<string> {
  await place.begin("bad-image");
  const v1 = await place.commit("v1");
  await place.ok("ship");

  const bad = await place.commitBroken("v2", "PAYMENT_URL is not set");
  await withPodLogs(place.clusters, place.service, async ([first, ...others]) => {
    await place.fails(1, "ship");
    assert.ok(first);
    assert.ok(first.everRan(bad));
    assert.ok(first.lowestReady() >= WANTED, `there were only ${first.lowestReady()} ready pods at a time`);
    for (const other of others) assert.equal(other.everRan(bad), false, `${other.cluster} never saw it`);
  });
  assert.deepEqual(await serving(place), everywhere(place, { [v1]: WANTED }));

  const [first] = place.clusters;
  assert.ok(first);
  const record = await newestOf(place);
  const cause = record.clusters[first.name]?.cause;
  assert.equal(record.outcome, "rolled-back");
  assert.partialDeepStrictEqual(cause, {
    code: "ContainerCrash",
    cluster: first.name,
    object: { namespace: place.service, deployment: "web", container: "web" },
  });
  const evidence = record.evidence.find(({ cluster }) => cluster === first.name);
  assert.ok(evidence);
  assert.equal(evidence.exit?.exitCode, 1);
  if (first.pods !== "hollow") {
    assert.match(cause?.said ?? "", /PAYMENT_URL is not set/);
    assert.match([...(evidence.log?.head ?? []), ...(evidence.log?.tail ?? [])].join("\n"), /PAYMENT_URL/);
  }
  const web = { apiVersion: "apps/v1", kind: "Deployment", namespace: place.service, name: "web" };
  const { metadata } = await first.client.get<Deployment>(web);
  const appliedAt = metadata.managedFields?.map(({ operation, time }) =>
    operation === "Apply" ? Date.parse(time ?? "") : 0,
  );
  // Times of managedFields are whole seconds, rounded down.
  assert.ok(evidence.takenAt < Math.max(...(appliedAt ?? [])) + 1000, "it was taken before the rollback");

  assert.match((await place.fails(1, "ship")).text, /held/);
  assert.equal((await newestOf(place)).number, record.number, "a refusal is no release");
  assert.notDeepEqual((await statusOf(place)).held, []);
  await place.ok("release", "unhold", String(record.number));
  assert.deepEqual((await statusOf(place)).held, []);
  await place.ok("deploy", "--dry-run");
  const judgedMs = (evidence.takenAt - (record.clusters[first.name]?.startedAt ?? 0)) / 1000;
  return `the cause was known ${judgedMs.toFixed(1)} s after the wave began`;
}
