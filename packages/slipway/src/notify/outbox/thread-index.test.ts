/** Which files a look reads again: those that are others than before, whoever wrote them. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { until } from "@slipway/base";
import { createFileStore, type OutboxStore } from "./store.ts";
import { type Thread, withMessage } from "./thread.ts";

const MANY = 2_000;
let folder: string;
let store: OutboxStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-index-"));
  store = storeOf(1);
});
afterEach(() => rm(folder, { recursive: true }));

const storeOf = (pid: number): OutboxStore =>
  createFileStore({
    folder,
    self: { host: "laptop", pid, startTicks: "1" },
    isAlive: () => true,
    now: () => Date.now(),
  });
const thread = (number: number, title = "shop"): Thread =>
  withMessage(
    undefined,
    { service: "shop", environment: "production", number },
    "slack",
    { state: "running", title, cause: undefined, facts: [], clusters: [] },
    1_000,
  );

/** An index that says which threads it has read since it was asked last. */
function watched() {
  let read: string[] = [];
  const index = store.index(({ id, message }) => {
    read.push(id);
    return message.content.title;
  });
  const look = async () => {
    read = [];
    return { titles: await index.look(), read };
  };
  /** Until the last change is old enough to tell the next one from it. */
  const rested = () => until("nothing to be read", async () => (await look()).read.length === 0);
  return { look, rested };
}

/** As of long ago: so many take longer to write than a time must be old to be trusted, and none is read for its youth. */
async function manyThreads(): Promise<void> {
  const numbers = Array.from({ length: MANY }, (_, index) => index + 1);
  await Promise.all(
    numbers.map(async (number) => {
      const path = join(folder, `shop.production.${number}.json`);
      await writeFile(path, JSON.stringify(thread(number)));
      await utimes(path, 1_000, 1_000);
    }),
  );
}

test("of many, what was written since is read, by whichever process, and the others never again", async () => {
  await manyThreads();
  const { look, rested } = watched();
  assert.equal((await look()).titles.size, MANY);
  await rested();
  await store.write(thread(7, "ours"));
  await storeOf(2).write(thread(8, "theirs"));
  const { titles, read } = await look();
  assert.deepEqual(read, [thread(7).id, thread(8).id]);
  assert.deepEqual([titles.get(thread(7).id), titles.get(thread(8).id)], ["ours", "theirs"]);
  assert.equal(titles.size, MANY);
});

test("a claim is a change of the folder and of no thread", async () => {
  await store.write(thread(1));
  const { look, rested } = watched();
  await rested();
  assert.ok(await store.claim(thread(1).id));
  assert.deepEqual((await look()).read, []);
});

test("what is removed is gone, and what comes back is read", async () => {
  for (const number of [1, 2]) await store.write(thread(number));
  const { look, rested } = watched();
  await rested();
  await storeOf(2).remove(thread(1).id);
  assert.deepEqual([...(await look()).titles.keys()], [thread(2).id]);
  await storeOf(2).write(thread(1, "again"));
  assert.equal((await look()).titles.get(thread(1).id), "again");
});

test("changes that follow each other within a tick of the kernel are all seen", async () => {
  const { look } = watched();
  for (let change = 0; change < 50; change += 1) {
    await storeOf(2).write(thread(1, `change ${change}`));
    assert.equal((await look()).titles.get(thread(1).id), `change ${change}`);
  }
});

test("a folder that is gone, or not there yet, has no threads", async () => {
  const { look, rested } = watched();
  await store.write(thread(1));
  await rested();
  await rm(folder, { recursive: true });
  assert.equal((await look()).titles.size, 0);
  await mkdir(folder);
  await store.write(thread(1));
  assert.equal((await look()).titles.size, 1);
});
