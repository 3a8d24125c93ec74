import assert from "node:assert/strict";
import { test } from "node:test";
import { createRemembering } from "./remembering.ts";

/** A disk of which each write ends when the test says so. */
function stage() {
  let state = 0;
  const begun: number[] = [];
  const ends: { resolve(): void; reject(error: Error): void }[] = [];
  const remembering = createRemembering(() => {
    begun.push(state);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    ends.push({ resolve, reject });
    return promise;
  });
  const change = (): Promise<void> => {
    state += 1;
    return remembering.remember();
  };
  /** The event loop runs every promise callback that is due before the next immediate. */
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return { remembering, begun, ends, change, settled };
}

test("a change is written after the one before it, as it is by then, and several that wait at once", async () => {
  const { begun, ends, change, settled } = stage();
  const first = change();
  await settled();
  const [second, third] = [change(), change()];
  await settled();
  assert.deepEqual(begun, [1], "the first is not done");
  ends[0]?.resolve();
  await first;
  await settled();
  assert.deepEqual(begun, [1, 3]);
  ends[1]?.resolve();
  await Promise.all([second, third]);
  assert.deepEqual(begun, [1, 3]);
});

test("a write that fails is told to who asked for it, and the next one is made", async () => {
  const { begun, ends, change, settled } = stage();
  const first = assert.rejects(change(), /full/);
  await settled();
  const second = change();
  ends[0]?.reject(new Error("the disk is full"));
  await first;
  await settled();
  ends[1]?.resolve();
  await second;
  assert.deepEqual(begun, [1, 2]);
});

test("at the end what is being written is waited for, and nothing is written after it", async () => {
  const { remembering, begun, ends, change, settled } = stage();
  const first = change();
  await settled();
  const second = change();
  let isOver = false;
  const ended = remembering.end().then(() => {
    isOver = true;
  });
  await settled();
  assert.equal(isOver, false);
  ends[0]?.resolve();
  await Promise.all([first, second, ended, change()]);
  assert.deepEqual(begun, [1]);
});
