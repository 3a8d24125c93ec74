import assert from "node:assert/strict";
import { closeSync, mkdtempSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pump, within } from "./children.ts";
import { Fifos } from "./fifos.ts";
import { findTool } from "./system.ts";

async function pipe(t: { after(work: () => void): void }) {
  const directory = mkdtempSync(join(tmpdir(), "slipway-pipes-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { reader, writeEnd } = await new Fifos(directory, findTool("mkfifo") as string).output(undefined);
  t.after(() => reader.destroy());
  let text = "";
  const drained = pump(reader, (chunk) => {
    text += chunk.toString();
  });
  return { drained, writeEnd, text: () => text };
}

test("the last output is read also by a process that was paused for longer than it waits", async (t) => {
  const { drained, writeEnd, text } = await pipe(t);
  writeSync(writeEnd, "last words");
  closeSync(writeEnd);
  const waited = within(drained, 20);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60); // what a busy machine does to a process
  await waited;
  assert.equal(text(), "last words");
});

test("a pipe that was handed elsewhere is not waited for without end", async (t) => {
  const { drained, writeEnd, text } = await pipe(t);
  t.after(() => closeSync(writeEnd));
  writeSync(writeEnd, "still open");
  await within(drained, 20);
  assert.equal(text(), "still open");
});
