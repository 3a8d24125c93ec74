import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "@slipway/base";
import type { ReleaseEvent } from "../release/events.ts";
import type { CliContext } from "./command.ts";
import { progressPrinter } from "./progress.ts";

function printerInAFile() {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const context = { clock, isTerminal: false, columns: 80, write: () => {} } as unknown as CliContext;
  const printer = progressPrinter(context, { say: (line) => lines.push(line.trim()), emit: () => {} });
  const show = (type: "progress" | "applied", line: string): void =>
    printer.show({ type } as ReleaseEvent, line);
  return { clock, lines, show, printer };
}

test("progress that is over within two seconds is not printed", async () => {
  const { clock, lines, show } = printerInAFile();
  show("progress", "0/1 ready");
  show("applied", "healthy");
  await clock.advance(10_000);
  assert.deepEqual(lines, ["healthy"]);
});

test("of progress that lasts, the newest is printed after two seconds, and once", async () => {
  const { clock, lines, show } = printerInAFile();
  show("progress", "0/1 ready");
  show("progress", "1/1 ready, waiting: 1 old pod is still terminating");
  await clock.advance(2000);
  assert.deepEqual(lines, ["1/1 ready, waiting: 1 old pod is still terminating"]);
  show("progress", "1/1 ready, waiting: 1 old pod is still terminating");
  await clock.advance(2000);
  assert.equal(lines.length, 1);
});

test("nothing is printed after the end", async () => {
  const { clock, lines, show, printer } = printerInAFile();
  show("progress", "0/1 ready");
  printer.end();
  await clock.advance(10_000);
  assert.deepEqual(lines, []);
});
