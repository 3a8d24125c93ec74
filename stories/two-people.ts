/** Two people deploy at once: one does, the other learns who and since when, and may wait. A freeze stops both. */
import assert from "node:assert/strict";
import { type Place, WANTED } from "./place.ts";
import { everywhere, historyOf, leaseOf, newestOf, serving } from "./truth.ts";

export async function twoPeople(place: Place): Promise<void> {
  // Baking keeps the winner at it for as long as the other needs to meet it.
  await place.begin("two-people", { bake: "5s" });
  const v1 = await place.commit("v1");
  await place.ok("ship");
  const v2 = await place.commit("v2");
  await place.ok("build");
  await place.ok("push");

  const people = ["aki", "mika"].map((who) => ({ who, line: place.as(who) }));
  const deploys = people.map(({ who, line }) => ({ who, line, running: line.start("deploy") }));
  const loser = await Promise.race(
    deploys.map(async (deploy) => ({ ...deploy, answer: await deploy.running.ended })),
  );
  const winner = deploys.find(({ who }) => who !== loser.who);
  assert.ok(winner);
  assert.equal(loser.answer.code, 1, loser.answer.text);
  assert.match(
    loser.answer.stderr,
    new RegExp(`${winner.who}@\\S+ \\(process ${winner.running.child.pid}\\) has held the lock .* for \\d`),
  );
  const waiting = loser.line.start("deploy", "--wait", "5m");
  assert.equal((await winner.running.ended).code, 0, winner.running.text());
  assert.equal((await waiting.ended).code, 0, waiting.text());
  const [second, first] = await historyOf(place);
  assert.deepEqual([first?.who, second?.who], [winner.who, loser.who]);
  assert.ok((second?.startedAt ?? 0) >= (first?.finishedAt ?? 0), "never both at once");
  assert.ok((second?.fence ?? 0) > (first?.fence ?? 0));
  assert.deepEqual(await serving(place), everywhere(place, { [v2]: WANTED }));

  await winner.line.ok("lock", "--message", "stocktaking until noon");
  await place.commit("v3");
  const { text } = await place.fails(1, "ship");
  assert.match(text, new RegExp(`${winner.who}[\\s\\S]*stocktaking until noon`));
  assert.equal((await newestOf(place)).number, second?.number, "a refusal is no release");
  await place.ok("rollback");
  assert.deepEqual(await serving(place), everywhere(place, { [v1]: WANTED }));
  await winner.line.ok("unlock");
  for (const cluster of place.clusters) {
    const lease = await leaseOf(cluster, place.service);
    assert.doesNotMatch(JSON.stringify(lease), /stocktaking/);
    assert.equal(lease.spec?.holderIdentity, "");
  }
}
