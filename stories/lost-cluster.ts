/**
 * A cluster goes away in the middle of its wave. Nobody knows what it runs, so nobody says that it is well; the others
 * are left alone. When it is back, the next command tells what happened and finishes.
 */
import assert from "node:assert/strict";
import { type Place, WANTED } from "./place.ts";
import { withPodLogs } from "./pod-log.ts";
import { everywhere, newestOf, serving, servingIn, statusOf } from "./truth.ts";

export async function lostCluster(place: Place): Promise<void> {
  await place.begin("lost-cluster");
  const v1 = await place.commit("v1");
  await place.ok("ship");
  const [first, ...others] = place.clusters;
  assert.ok(first);

  const v2 = await place.commit("v2");
  await withPodLogs(place.clusters, place.service, async ([log, ...otherLogs]) => {
    const ship = place.start("ship");
    await log?.appears(v2);
    await place.lose(first.name);
    const { code, text } = await ship.ended;
    assert.equal(code, 4, text);
    for (const other of otherLogs) assert.equal(other.everRan(v2), false, `${other.cluster} was left alone`);
  });
  for (const other of others) assert.deepEqual(await servingIn(other, place.service), { [v1]: WANTED });

  const away = await statusOf(place);
  const looks = Object.fromEntries(away.clusters.map(({ name, reachable }) => [name, reachable]));
  assert.deepEqual(looks, { ...everywhere(place, true), [first.name]: false });
  assert.equal(away.newest?.outcome, "unknown");
  assert.equal(away.newest.clusters[first.name]?.verdict, "unknown");
  for (const { name } of others) assert.equal(away.newest.clusters[name]?.verdict, "not-started");
  // Neither does a deploy that cannot ask it pretend that all is well.
  await place.fails(3, "deploy");

  await place.bringBack(first.name);
  assert.match((await place.ok("status")).stdout, /newest release: 2 unknown/);
  await place.ok("ship");
  assert.deepEqual(await serving(place), everywhere(place, { [v2]: WANTED }));
  assert.equal((await newestOf(place)).outcome, "healthy");
}
