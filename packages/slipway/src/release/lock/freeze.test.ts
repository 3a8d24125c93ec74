/** Freezes of several people over two clusters: what one person froze, another does not change by freezing again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReleaseContext } from "../model.ts";
import { apiClient, contextOf } from "../testing.ts";
import { freeze, unlock } from "./freeze.ts";
import { readLock } from "./lease.ts";

function people(): { readonly mio: ReleaseContext; readonly aki: ReleaseContext } {
  const context = contextOf(["osaka", "tokyo"].map((name) => ({ name, client: apiClient(name) })));
  return { mio: { ...context, who: "mio" }, aki: { ...context, who: "aki" } };
}

const reasons = async (context: ReleaseContext): Promise<readonly (string | undefined)[]> =>
  Promise.all(context.targets.map(async ({ client }) => (await readLock(client, context)).freeze?.message));

for (const dryRun of [false, true]) {
  test(`another person's freeze stays as it is${dryRun ? ", which a dry run tells, too" : ""}`, async () => {
    const { mio, aki } = people();
    await freeze(mio, { message: "the sale" });
    await assert.rejects(freeze(aki, { message: "a minute", lastsMs: 60_000, dryRun }), {
      code: "LOCK_FROZEN",
      where: "osaka/lock",
      message: /^shop is frozen already, by mio for .*, "the sale"$/,
      hint: /^Nothing was changed\. Ask mio; slipway unlock --force lifts it/,
    });
    assert.deepEqual(await reasons(aki), ["the sale", "the sale"]);
  });
}

test("one's own freeze is replaced, and one that is over is in nobody's way", async () => {
  const { mio, aki } = people();
  await freeze(mio, { message: "the sale", lastsMs: 0 });
  await freeze(aki, { message: "moving house" });
  await freeze(aki, { message: "still moving" });
  assert.deepEqual(await reasons(mio), ["still moving", "still moving"]);
});

test("where only some clusters are frozen by another person, the others are frozen, and that is told", async () => {
  const { mio, aki } = people();
  await freeze({ ...mio, targets: mio.targets.slice(0, 1) }, { message: "the sale" });
  const { frozen, failed } = await freeze(aki, { message: "moving house" });
  assert.deepEqual(frozen, ["tokyo"]);
  assert.deepEqual(
    failed.map(({ cluster }) => cluster),
    ["osaka"],
  );
  assert.match(failed[0]?.reason ?? "", /^shop is frozen already, by mio /);
  const [osaka, tokyo] = await unlock(aki);
  assert.match(osaka?.failed ?? "", /the freeze by mio .* stays; --force takes it away/);
  assert.match(tokyo?.did ?? "", /unlocked the freeze by aki/);
});
