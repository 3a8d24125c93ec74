import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "@slipway/base";
import type { ReleaseEvent } from "../release/events.ts";
import type { CliContext } from "./command.ts";
import { progressPrinter } from "./progress.ts";

const nothing = { old: 0, new: 0, ready: 0, total: 1, serving: 0, waitingFor: [] };

function printerIn(place: "file" | "terminal") {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const texts: string[] = [];
  const writes: string[] = [];
  const context = {
    clock,
    isTerminal: place === "terminal",
    columns: 80,
    write: (text: string) => writes.push(text),
  } as unknown as CliContext;
  const say = (line: string): void => {
    texts.push(line);
    lines.push(line.trim());
  };
  const printer = progressPrinter(context, { say, emit: () => {} });
  const show = (type: "progress" | "applied", line: string): void =>
    printer.show(
      { type, cluster: "tokyo", at: clock.now(), progress: nothing } as unknown as ReleaseEvent,
      line,
    );
  const begin = (): void =>
    printer.show(
      { type: "wave-started", wave: 0, waves: 1, clusters: ["tokyo"], at: clock.now() } as ReleaseEvent,
      "wave 1 of 1: tokyo",
    );
  return { clock, lines, texts, writes, show, begin, printer };
}

const printerInAFile = () => printerIn("file");

for (const place of ["file", "terminal"] as const)
  test(`of what has several lines each is indented, in a ${place}`, () => {
    const { texts, show, printer } = printerIn(place);
    show("applied", "warning: one\nwarning: two\n  more of it");
    printer.end();
    assert.deepEqual(texts, ["  warning: one\n  warning: two\n    more of it"]);
  });

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

test("thirty quiet seconds in a log say what is still waited for, and not more often", async () => {
  const { clock, lines, begin, printer } = printerInAFile();
  begin();
  await clock.advance(29_000);
  assert.deepEqual(lines, ["wave 1 of 1: tokyo"]);
  await clock.advance(62_000);
  assert.deepEqual(lines.slice(1), [
    "still:  tokyo  applying",
    "still:  tokyo  applying",
    "still:  tokyo  applying",
  ]);
  printer.end();
});

test("on a terminal the moving lines are written over, and finished lines go above them", async () => {
  const { clock, lines, writes, begin, show, printer } = printerIn("terminal");
  begin();
  assert.deepEqual(writes.splice(0).join(""), "  tokyo  applying\x1b[K\n");
  show("progress", "not printed");
  assert.equal(writes.splice(0).join(""), "\x1b[1A\r  tokyo  ░░░░░░░░░░ 0/1 ready\x1b[K\n");
  show("applied", "tokyo: 3 objects applied");
  assert.deepEqual(lines, ["wave 1 of 1: tokyo", "tokyo: 3 objects applied"]);
  assert.equal(writes.splice(0).join(""), "\x1b[1A\r\x1b[J  tokyo  ░░░░░░░░░░ 0/1 ready\x1b[K\n");
  // Nothing has changed, so nothing is written: no flicker.
  await clock.advance(5_000);
  assert.deepEqual(writes, []);
  printer.end();
  assert.equal(writes.join(""), "\x1b[1A\r\x1b[J");
});

test("what others say meanwhile goes above the moving lines too", () => {
  const { lines, writes, begin, printer } = printerIn("terminal");
  begin();
  writes.splice(0);
  printer.say("a message of another");
  assert.equal(writes.join(""), "\x1b[1A\r\x1b[J  tokyo  applying\x1b[K\n");
  assert.equal(lines.at(-1), "a message of another");
  printer.end();
});

test("with --json nothing else is written, on a terminal neither", () => {
  const written: string[] = [];
  const context = {
    clock: new VirtualClock(),
    isTerminal: true,
    columns: 80,
    write: (text: string) => written.push(text),
  } as unknown as CliContext;
  const printer = progressPrinter(context, { isJson: true, say: () => {}, emit: () => {} });
  const begun = { type: "wave-started", wave: 0, waves: 1, clusters: ["tokyo"], at: 0 } as ReleaseEvent;
  printer.show(begun, "wave 1 of 1: tokyo");
  printer.end();
  assert.deepEqual(written, []);
});
