import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { renderError, SlipwayError } from "@slipway/base";
import { explainRefusal } from "./refusals.ts";

test("what the file system refuses is told with the place and what to do", () => {
  const error = Object.assign(new Error("EACCES: permission denied, mkdir '/project/.slipway'"), {
    code: "EACCES",
    syscall: "mkdir",
    path: "/project/.slipway",
  });
  const explained = explainRefusal(error);
  assert.ok(explained instanceof SlipwayError);
  assert.equal(explained.exitCode, 3);
  assert.equal(
    renderError(explained),
    "/project/.slipway: permission denied\n  Give your user the right to it, or work in a copy that is yours.",
  );
});

test("other errors stay what they are, with their stack", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-refusals-"));
  try {
    const missing = await writeFile(join(folder, "no/such/folder"), "").catch((error: unknown) => error);
    assert.equal(explainRefusal(missing), missing);
    const ours = new SlipwayError({ code: "EACCES", message: "ours" });
    assert.equal(explainRefusal(ours), ours);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
