import assert from "node:assert/strict";
import { test } from "node:test";
import { detailedExitCode } from "./plan-step.ts";

test("whether something changes is an exit code, and that it is not known is another one", () => {
  const code = (hasChanges: boolean, silent: readonly "requeued"[]): number => {
    const found = silent.map((fate) => ({ cluster: "osaka", fate }));
    return detailedExitCode({ hasChanges, order: { silent: found } });
  };
  assert.equal(code(false, []), 0);
  assert.equal(code(true, []), 5);
  assert.equal(code(true, ["requeued"]), 5);
  assert.equal(code(false, ["requeued"]), 3);
});
