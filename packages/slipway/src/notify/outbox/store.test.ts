/** Threads on disk: whole after a crash, and sent by one process at a time. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { ProcessIdentity } from "@slipway/base";
import { createFileStore, type OutboxStore } from "./store.ts";
import { type Thread, withMessage } from "./thread.ts";

let folder: string;
let dead: Set<number>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-store-"));
  dead = new Set();
});
afterEach(() => rm(folder, { recursive: true }));

const thread: Thread = withMessage(
  undefined,
  { service: "shop", environment: "production", number: 7 },
  "slack",
  { state: "running", title: "shop", cause: undefined, facts: [], clusters: [] },
  1_000,
);
const { id } = thread;

const storeOf = (pid: number, host = "laptop", now = () => Date.now()): OutboxStore =>
  createFileStore({
    folder,
    self: { host, pid, startTicks: "1" },
    isAlive: (sender: ProcessIdentity) => (sender.host === host ? !dead.has(sender.pid) : undefined),
    now,
  });

test("what is written is read again, and its file is for its owner alone", async () => {
  const store = storeOf(1);
  await store.write(thread);
  assert.deepEqual(await storeOf(2).read(id), JSON.parse(JSON.stringify(thread)));
  assert.equal((await stat(join(folder, "shop.production.7.json"))).mode & 0o777, 0o600);
});

test("of many that claim at once one gets it", async () => {
  const got = await Promise.all(Array.from({ length: 20 }, (_, index) => storeOf(index + 1).claim(id)));
  assert.equal(got.filter(Boolean).length, 1);
});

test("one that claims many at once gets them all, and each of them stands", async () => {
  const ids = Array.from({ length: 50 }, (_, index) => `shop/production/${index}`);
  const store = storeOf(1);
  const got: Promise<boolean>[] = [];
  // One a moment after the other, so that each is at another of its steps.
  for (const one of ids) {
    got.push(store.claim(one));
    await turn();
  }
  assert.deepEqual(
    await Promise.all(got),
    ids.map(() => true),
  );
  const other = storeOf(2);
  assert.deepEqual(
    await Promise.all(ids.map((one) => other.claim(one))),
    ids.map(() => false),
  );
});

test("of many that take over from a dead one, one gets it", async () => {
  assert.ok(await storeOf(1).claim(id));
  dead.add(1);
  const got = await Promise.all(Array.from({ length: 20 }, (_, index) => storeOf(index + 2).claim(id)));
  assert.equal(got.filter(Boolean).length, 1);
});

test("whoever had to wait while others took it and gave it back does not take a number that they have left", async () => {
  assert.ok(await storeOf(1).claim(id));
  const claim = (number: number): string => join(folder, `shop.production.7.claim-${number}`);
  const slow = createFileStore({
    folder,
    self: { host: "laptop", pid: 2, startTicks: "1" },
    // What happens while it waits between two of its steps: the second claim was made and given back, the third stands.
    isAlive: () => {
      rmSync(claim(1));
      writeFileSync(claim(3), JSON.stringify({ host: "laptop", pid: 3, startTicks: "1" }));
      return false;
    },
    now: () => Date.now(),
  });
  assert.equal(await slow.claim(id), false);
  assert.deepEqual(await readdir(folder), ["shop.production.7.claim-3"]);
});

test("a claim of a living process stands until it is given back", async () => {
  const [first, second] = [storeOf(1), storeOf(2)];
  assert.ok(await first.claim(id));
  assert.ok(await first.claim(id), "it is its own");
  assert.equal(await second.claim(id), false);
  await first.release(id);
  assert.ok(await second.claim(id));
  assert.equal(await first.claim(id), false);
});

test("whoever was taken for dead and is not writes no more, and gives back nothing that is another's", async () => {
  const [slow, next] = [storeOf(1), storeOf(2)];
  assert.ok(await slow.claim(id));
  await slow.write(thread);
  dead.add(1);
  assert.ok(await next.claim(id));
  await assert.rejects(slow.write({ ...thread, createdAt: 2 }), /another process has taken over/);
  await slow.release(id);
  assert.equal(await storeOf(3).claim(id), false);
  assert.equal((await next.read(id))?.createdAt, 1_000);
});

test("a claim from another host counts while its thread is being written", async () => {
  const there = storeOf(1, "ci");
  assert.ok(await there.claim(id));
  await there.write(thread);
  assert.equal(await storeOf(1).claim(id), false);
  const old = Date.now() / 1000 - 600;
  await utimes(join(folder, "shop.production.7.json"), old, old);
  assert.ok(await storeOf(1).claim(id));
});

test("a damaged file is set aside and does not stop the others", async () => {
  const store = storeOf(1);
  await store.write(thread);
  await writeFile(join(folder, "shop.production.8.json"), '{"id":"shop/pro');
  assert.deepEqual([...(await store.index(({ createdAt }) => createdAt).look())], [[id, 1_000]]);
  assert.ok((await readdir(folder)).includes("shop.production.8.json.damaged"));
});
