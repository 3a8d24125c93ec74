import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SlipwayError, systemClock, until } from "@slipway/base";
import type { CliContext } from "./command.ts";
import { runOnChange } from "./run-on-change.ts";

test("a change runs it again, a mistake waits for the next change, an interruption ends it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-watch-"));
  const file = join(folder, "web.ts");
  const stop = new AbortController();
  const said: string[] = [];
  const errors: string[] = [];
  const context = {
    clock: systemClock,
    signal: stop.signal,
    writeError: (text: string) => errors.push(text),
  } as unknown as CliContext;
  const output = { say: (line: string) => void said.push(line), emit: () => {} };
  let seen = "";
  await writeFile(file, "1");
  const ended = runOnChange(context, output, [{ path: folder }], async () => {
    seen = await readFile(file, "utf8");
    if (seen === "oops") throw new SlipwayError({ code: "VERIFY_SPEC_INVALID", message: seen, exitCode: 2 });
  });
  try {
    for (const text of ["2", "oops", "3"]) {
      await writeFile(file, text);
      // How often it runs for that is nobody's business: one write may be seen as two changes.
      await until(`it has read ${text}`, () => seen === text);
    }
    assert.match(errors.join(""), /oops/);
    await until("it waits", () => said.includes("  waiting for changes"));
    stop.abort();
    assert.equal(await ended, 130);
  } finally {
    stop.abort();
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
});
