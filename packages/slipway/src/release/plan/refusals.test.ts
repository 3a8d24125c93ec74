import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import { refusalError } from "./refusals.ts";

const refusal = (where: string, message: string, hint?: string): SlipwayError =>
  new SlipwayError({ code: message.toUpperCase(), where, message, hint, exitCode: 1 });

test("of several refusals each is followed by what to do about it, said once where it is the same", () => {
  const told = refusalError([
    refusal("tokyo/Service web", "lost", "Correct it."),
    refusal("osaka/Service web", "lost", "Correct it."),
    refusal("images/web", "held", "Lift it."),
    refusal("images/api", "old"),
  ]);
  assert.deepEqual([told?.code, told?.where, told?.hint], ["LOST", "tokyo/Service web", undefined]);
  assert.equal(
    told?.message,
    "lost\nosaka/Service web: lost\n  Correct it.\nimages/web: held\n  Lift it.\nimages/api: old",
  );
});

test("one refusal is itself, and the last one's advice stays the error's own", () => {
  const [one, other] = [refusal("a", "x", "Do."), refusal("b", "y", "Do that.")];
  assert.equal(refusalError([one]), one);
  assert.equal(refusalError([]), undefined);
  assert.deepEqual(
    [refusalError([one, other])?.message, refusalError([one, other])?.hint],
    ["x\n  Do.\nb: y", "Do that."],
  );
});
