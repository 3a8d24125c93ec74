import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError, VirtualClock } from "@slipway/base";
import { type Asker, BuildAnswers, type Stream } from "./build-answers.ts";
import type { Version } from "./git.ts";

const clean: Version = { commit: "c1", dirty: false, message: "m", author: "a", timeMs: 0 };
const dirty: Version = { ...clean, dirty: true, changed: ["a"] };

/** Somebody who asks, and what came of it: what was said, then the exit code, or that it has to build by itself. */
function asker(): Asker & { readonly got: readonly string[] } {
  const got: string[] = [];
  return {
    got,
    say: (stream, text) => void got.push(`${stream}${text.trimEnd()}`),
    end: (exitCode) => void got.push(`=${exitCode}`),
    leave: () => void got.push("alone"),
  };
}

function answering(isJson = false) {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const now: { version: Version | undefined } = { version: clean };
  let wanted = 0;
  const answers = new BuildAnswers({
    clock,
    signal: stop.signal,
    isJson,
    look: async () => now.version,
    again: () => {
      wanted += 1;
    },
  });
  /** Returns what tells of a change. */
  const begins = (version: Version | undefined = clean): (() => void) => {
    let isOutdated = false;
    answers.begin({ isOutdated: () => isOutdated }, Promise.resolve(version));
    return () => {
      isOutdated = true;
    };
  };
  /** A round that goes on until it is told to end. */
  const begin = (version: Version | undefined = clean) => ({ changes: begins(version), ...runs() });
  const runs = () => {
    const over = Promise.withResolvers<number>();
    let say: (stream: Stream, text: string) => void = () => {};
    const round = answers.run((given) => {
      say = given;
      return over.promise;
    });
    round.catch(() => {});
    return {
      say: (text: string) => say(1, `${text}\n`),
      async ends(exitCode = 0) {
        over.resolve(exitCode);
        assert.equal(await round, exitCode);
      },
      async fails(error: unknown) {
        over.reject(error);
        await assert.rejects(round);
      },
    };
  };
  return { answers, begins, runs, begin, clock, now, stop, wanted: () => wanted };
}

test("before a round, one is made, and its words and exit code are the answer", async () => {
  const { answers, begin, wanted } = answering();
  const one = asker();
  await answers.ask(one);
  assert.equal(wanted(), 1);
  const round = begin();
  round.say("built");
  await round.ends(4);
  assert.deepEqual(one.got, ["1built", "=4"]);
});

test("a round that has begun answers with all that it says, unless it began long before", async () => {
  const { answers, begin, clock, wanted } = answering();
  const round = begin();
  round.say("first");
  const [during, last, late] = [asker(), asker(), asker()];
  await answers.ask(during);
  assert.deepEqual(during.got, ["1first"]);
  round.say("second");
  const asking = answers.ask(last);
  await round.ends();
  await asking;
  for (const one of [during, last]) assert.deepEqual(one.got, ["1first", "1second", "=0"]);
  assert.equal(wanted(), 0);
  begin();
  await clock.advance(1001);
  await answers.ask(late);
  assert.deepEqual([late.got, wanted()], [[], 1]);
});

test("what changed since it began is answered by the next", async (t) => {
  for (const [what, isChanged, version] of [
    ["a file", true, clean],
    ["what git says", false, dirty],
    ["what git says, to nothing that may be built", false, undefined],
  ] as const)
    await t.test(what, async () => {
      const { answers, begin, now, wanted } = answering();
      const round = begin();
      if (isChanged) round.changes();
      now.version = version;
      const one = asker();
      await answers.ask(one);
      round.say("old");
      await round.ends();
      assert.deepEqual([one.got, wanted()], [[], 1]);
      const next = begin();
      next.say("new");
      await next.ends();
      assert.deepEqual(one.got, ["1new", "=0"]);
    });
});

test("a round that has begun and does not run yet answers as one that does", async (t) => {
  await t.test("nothing has changed", async () => {
    const { answers, begins, runs, wanted } = answering();
    begins();
    const one = asker();
    await answers.ask(one);
    await runs().ends();
    assert.deepEqual([one.got, wanted()], [["=0"], 0]);
  });
  await t.test("git says something else", async () => {
    const { answers, begin, begins, runs, now, wanted } = answering();
    begins();
    now.version = dirty;
    const one = asker();
    await answers.ask(one);
    await runs().ends();
    assert.deepEqual([one.got, wanted()], [[], 1]);
    await begin(dirty).ends();
    assert.deepEqual(one.got, ["=0"]);
  });
  await t.test("it is begun once more, also while git is asked", async () => {
    const { answers, begins, runs, wanted } = answering();
    const [one, other, third] = [asker(), asker(), asker()];
    await answers.ask(one);
    begins();
    await answers.ask(other);
    const asking = answers.ask(third);
    begins();
    await asking;
    await runs().ends();
    for (const { got } of [one, other, third]) assert.deepEqual(got, ["=0"]);
    assert.equal(wanted(), 1);
  });
  await t.test("it never runs", async () => {
    const { answers, begins, wanted } = answering();
    begins();
    const [one, other] = [asker(), asker()];
    await answers.ask(one);
    answers.leave();
    assert.deepEqual(one.got, ["alone"]);
    await answers.ask(other);
    assert.deepEqual([other.got, wanted()], [[], 1]);
  });
});

test("a round that is over is no answer, whether it went well or not", async () => {
  for (const exitCode of [0, 1]) {
    const { answers, begin, wanted } = answering();
    await begin().ends(exitCode);
    const one = asker();
    await answers.ask(one);
    assert.deepEqual([one.got, wanted()], [[], 1]);
  }
});

test("a change that comes after the question leaves the answer as it is", async () => {
  const { answers, begin, wanted } = answering();
  const round = begin();
  const one = asker();
  const asking = answers.ask(one);
  round.changes();
  await asking;
  await round.ends();
  assert.deepEqual([one.got, wanted()], [["=0"], 0]);
});

test("a mistake is told as the command tells it", async (t) => {
  const mistake = new SlipwayError({
    code: "DOCKERFILE_INVALID",
    where: "Dockerfile:2",
    message: "no",
    exitCode: 2,
  });
  for (const [isJson, expected] of [
    [false, ["2slipway: Dockerfile:2: no", "=2"]],
    [true, ['1{"error":{"code":"DOCKERFILE_INVALID","where":"Dockerfile:2","message":"no"}}', "=2"]],
  ] as const)
    await t.test(`--json: ${isJson}`, async () => {
      const { answers, begin } = answering(isJson);
      const round = begin();
      const one = asker();
      await answers.ask(one);
      await round.fails(mistake);
      assert.deepEqual(one.got, expected);
    });
});

test("who asked builds by itself where the round is broken off, or there is none", async () => {
  const { answers, begin, stop } = answering();
  const [first, second] = [asker(), asker()];
  await answers.ask(first);
  answers.leave();
  assert.deepEqual(first.got, ["alone"]);
  const round = begin();
  await answers.ask(second);
  stop.abort();
  await round.fails(new Error("broken off"));
  assert.deepEqual(second.got, ["alone"]);
});
