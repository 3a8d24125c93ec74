/**
 * `kill -9` of the command line wherever it hurts. The clusters hold the whole story, so the next command tells it and
 * finishes it or takes it back, without anybody unlocking anything; and no moment of it costs capacity.
 */
import assert from "node:assert/strict";
import { until } from "@slipway/base";
import { type Place, type PlaceCluster, WANTED } from "./place.ts";
import { withPodLogs } from "./pod-log.ts";
import type { Running } from "./testing.ts";
import { everywhere, leaseOf, newestOf, serving, servingIn, statusOf } from "./truth.ts";

export async function killedInTheMiddle(place: Place): Promise<void> {
  await place.begin("killed", { bake: "3s" });
  const v1 = await place.commit("v1");
  await place.ok("ship");
  const [first, ...others] = place.clusters;
  assert.ok(first);
  const runs = async (tag: string): Promise<void> =>
    assert.deepEqual(await serving(place), everywhere(place, { [tag]: WANTED }));
  const othersRun = async (tag: string): Promise<void> => {
    for (const other of others) assert.deepEqual(await servingIn(other, place.service), { [tag]: WANTED });
  };

  await withPodLogs(place.clusters, place.service, async (logs) => {
    const [log] = logs;

    // As soon as it has the lock.
    const v2 = await place.commit("v2");
    const locking = place.start("ship");
    await isLocked(first, place.service);
    await kill(locking);
    await othersRun(v1);

    // In its first wave, which is finished by going on.
    const going = place.start("ship");
    await log?.appears(v2);
    await kill(going);
    assert.match((await statusOf(place)).interrupted ?? "", /was cut off in wave 1 of 2/);
    await othersRun(v1);
    await place.ok("deploy", "--resume");
    await runs(v2);
    assert.equal((await newestOf(place)).outcome, "healthy");

    // Between its waves, which is taken back. It is told that it bakes a moment before that is stored.
    const v3 = await place.commit("v3");
    const baking = place.startUntil('"type":"baking"', "ship", "--json");
    await baking.sees('"type":"baking"');
    await kill(baking);
    assert.match(
      (await statusOf(place)).interrupted ?? "",
      new RegExp(`in wave 1 of 2: ${first.name} (judging|baking|healthy), ${others[0]?.name} untouched`),
    );
    await othersRun(v2);
    await place.ok("rollback");
    await runs(v2);
    for (const other of logs.slice(1)) assert.equal(other.everRan(v3), false);

    // While it goes back by itself: what it had found out is stored already.
    await place.commitBroken("v4", "PAYMENT_URL is not set");
    const returning = place.startUntil('"type":"rolling-back"', "ship", "--json");
    await returning.sees('"type":"rolling-back"');
    await kill(returning);
    const cut = await newestOf(place);
    assert.equal(cut.clusters[first.name]?.cause?.code, "ContainerCrash");
    assert.ok(cut.evidence.some(({ cluster }) => cluster === first.name));
    await place.ok("rollback");
    await runs(v2);

    for (const one of logs) assert.ok(one.lowestReady() >= WANTED, `${one.cluster} kept its capacity`);
  });
  for (const cluster of place.clusters)
    assert.equal((await leaseOf(cluster, place.service)).spec?.holderIdentity, "", "nobody holds the lock");
}

async function isLocked(cluster: PlaceCluster, service: string): Promise<void> {
  await until(
    `somebody to hold the lock of ${service}`,
    async () => (await leaseOf(cluster, service)).spec?.holderIdentity !== "",
    { timeoutMs: 120_000 },
  );
}

async function kill(running: Running): Promise<void> {
  running.child.kill("SIGKILL");
  const { code } = await running.ended;
  assert.equal(code, 128, "it was still at it");
}
