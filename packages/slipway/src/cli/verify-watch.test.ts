import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SlipwayError, systemClock, until } from "@slipway/base";
import type { CliContext } from "./command.ts";
import { watchAndRun } from "./verify-watch.ts";

test("a change of a watched file runs the checks again, a mistake waits for the next change, Ctrl-C ends it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-watch-"));
  const stop = new AbortController();
  const said: string[] = [];
  const context = {
    clock: systemClock,
    signal: stop.signal,
    write: (text: string) => said.push(text),
    writeError: (text: string) => said.push(text),
  } as unknown as CliContext;
  try {
    await writeFile(join(folder, "web.ts"), "1");
    let runs = 0;
    const ended = watchAndRun(context, [folder], () => {
      runs += 1;
      if (runs === 2) throw new SlipwayError({ code: "VERIFY_SPEC_INVALID", message: "oops", exitCode: 2 });
      return Promise.resolve();
    });
    const waiting = (times: number) =>
      until("it waits", () => said.filter((text) => text.includes("waiting for changes")).length === times);
    await waiting(1);
    await writeFile(join(folder, "web.ts"), "2");
    await waiting(2);
    assert.match(said.join(""), /oops/);
    await writeFile(join(folder, "web.ts"), "3");
    await waiting(3);
    assert.equal(runs, 3);
    stop.abort();
    assert.equal(await ended, 130);
  } finally {
    stop.abort();
    await rm(folder, { recursive: true, force: true });
  }
});
