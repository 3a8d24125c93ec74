import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { RotatedFile } from "./rotated-file.ts";

test("the newest lines are kept in order over a bounded number of files, whole lines in each", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-rotated-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "access.log");
  const onProblem = (error: unknown): void => assert.fail(String(error));
  let number = 0;
  // As after a restart of the world: the second goes on where the first has stopped.
  for (let run = 0; run < 2; run += 1) {
    const file = new RotatedFile(path, { maxBytes: 100, keep: 3, onProblem });
    for (let count = 0; count < 100; count += 1) {
      number += 1;
      file.write(`line ${number}\n`);
    }
    await file.end();
  }
  assert.deepEqual(readdirSync(folder).sort(), [
    "access.log",
    "access.log.1",
    "access.log.2",
    "access.log.3",
  ]);
  const text = [".3", ".2", ".1", ""].map((age) => readFileSync(`${path}${age}`, "utf8")).join("");
  const lines = text.trimEnd().split("\n");
  const first = Number(lines[0]?.split(" ")[1]);
  assert.deepEqual(
    lines,
    Array.from({ length: 200 - first + 1 }, (_, index) => `line ${first + index}`),
  );
});

test("nobody else reads it, also when an earlier one was open to all", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-rotated-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "access.log");
  writeFileSync(path, "", { mode: 0o644 });
  const file = new RotatedFile(path, {
    maxBytes: 1,
    keep: 1,
    onProblem: (error) => assert.fail(String(error)),
  });
  file.write("line\n");
  await file.end();
  for (const name of readdirSync(folder))
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
});
