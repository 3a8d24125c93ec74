import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import type { Target } from "../../release/model.ts";
import { inEach } from "./targets.ts";

const targets = ["tokyo", "osaka", "kyoto"].map((name) => ({ name }) as Target);

test("what fails in one cluster is told, and the others get their turn", async () => {
  const done: string[] = [];
  let said = "";
  const context = {
    signal: new AbortController().signal,
    writeError: (text: string) => {
      said += text;
    },
  };
  const exitCode = await inEach(context, targets, async ({ name }) => {
    if (name === "tokyo") throw new SlipwayError({ code: "AWAY", message: "cannot be reached", exitCode: 3 });
    done.push(name);
  });
  assert.deepEqual([exitCode, done, said], [3, ["osaka", "kyoto"], "tokyo: cannot be reached\n"]);
  assert.equal(await inEach(context, targets, async () => {}), 0);
});

test("Ctrl-C ends all of it", async () => {
  const interrupt = new AbortController();
  const done: string[] = [];
  const work = inEach({ signal: interrupt.signal, writeError: () => {} }, targets, async ({ name }) => {
    done.push(name);
    interrupt.abort();
    throw new Error("interrupted");
  });
  await assert.rejects(work, /interrupted/);
  assert.deepEqual(done, ["tokyo"]);
});
