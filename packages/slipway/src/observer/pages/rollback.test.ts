import assert from "node:assert/strict";
import { test } from "node:test";
import { recordOf } from "../../release/testing.ts";
import { NOTHING_KNOWN } from "./answers/releases.ts";
import type { Call } from "./http/route.ts";
import { createRollback } from "./rollback.ts";

const known = {
  ...NOTHING_KNOWN,
  clusters: ["tokyo"],
  records: [recordOf(2, { content: "other" }), recordOf(1)],
};
const call = { part: "", body: { release: 2, to: 1 } } as unknown as Call;

/** `read`: resolves the reading of records that is going on. */
function stage() {
  const reads: (() => void)[] = [];
  const started: number[] = [];
  const ended = Promise.withResolvers<string>();
  const rollBack = createRollback({
    rollBack: ({ to }) => {
      started.push(to);
      return ended.promise;
    },
    release: { who: "aki" },
    records: {
      current: () => new Promise((resolve) => reads.push(() => resolve(known))),
      expire: () => undefined,
    },
    ...{ signal: new AbortController().signal, onEnd: () => undefined, log: () => undefined },
  });
  return { rollBack, started, ended, read: () => reads.splice(0).forEach((one) => void one()) };
}

test("of two that ask while the records are still being read, one starts", async () => {
  const { rollBack, started, read } = stage();
  const answers = [rollBack(call), rollBack(call)];
  read();
  assert.deepEqual((await Promise.all(answers)).map((one) => one.started).sort(), [false, true]);
  assert.deepEqual(started, [1]);
});

test("what was not as the page showed it, or is over, keeps the next one from nothing", async () => {
  const { rollBack, started, ended, read } = stage();
  const ask = async (body: object): Promise<boolean> => {
    const answer = rollBack({ ...call, body } as Call);
    read();
    return (await answer).started;
  };
  assert.equal(await ask({ release: 1, to: 7 }), false);
  assert.equal(await ask({ release: 2, to: 1 }), true);
  assert.equal(await ask({ release: 2, to: 1 }), false);
  ended.resolve("release 3");
  await ended.promise;
  assert.equal(await ask({ release: 2, to: 1 }), true);
  assert.deepEqual(started, [1, 1]);
});
