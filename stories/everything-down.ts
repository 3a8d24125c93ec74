/**
 * Rollback on a bad day: no git repository, no registry, no Slack, no CI; somebody's laptop has nothing but the
 * configuration. The release to go back to is in the clusters, with its ConfigMaps and Secrets to the last byte.
 */
import assert from "node:assert/strict";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { type Place, WANTED } from "./place.ts";
import { withPodLogs } from "./pod-log.ts";
import { configInUse, everywhere, newestOf, serving } from "./truth.ts";

export async function everythingDown(place: Place): Promise<void> {
  await place.begin("everything-down");
  const everyByte = Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte));
  await place.commitSettings("hello: \"ja\" 'nein' ✓\n", everyByte);
  const v1 = await place.commit("v1");
  await place.ok("ship");
  const configs = () => Promise.all(place.clusters.map((cluster) => configInUse(cluster, place.service)));
  const before = await configs();
  assert.equal(before[0]?.payment?.["key"], everyByte.toString("base64"));

  await place.commitSettings("changed", Buffer.from("changed"));
  await place.commit("v2");
  await place.ok("ship");
  assert.notDeepEqual(await configs(), before);

  const laptop = await place.elsewhere("mika");
  const git = join(place.project.folder, ".git");
  await rename(git, `${git}-gone`);
  await place.takeRegistryDown();
  try {
    await withPodLogs(place.clusters, place.service, async (logs) => {
      await laptop.ok("rollback");
      for (const log of logs) assert.ok(log.lowestReady() >= WANTED, `${log.cluster} kept its capacity`);
    });
    assert.deepEqual(await serving(place), everywhere(place, { [v1]: WANTED }));
    assert.deepEqual(await configs(), before);
    assert.partialDeepStrictEqual(await newestOf(laptop), {
      kind: "rollback",
      outcome: "healthy",
      restores: 1,
      leaves: 2,
      who: "mika",
    });
  } finally {
    await rename(`${git}-gone`, git);
    await place.bringRegistryBack();
  }
}
