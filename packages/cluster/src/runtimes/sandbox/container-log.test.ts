import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { systemClock } from "@slipway/base";
import type { RuntimeLogOptions } from "../runtime.ts";
import { LogWriter, readLog } from "./container-log.ts";

const directory = mkdtempSync(join(tmpdir(), "slipway-log-"));
after(() => rmSync(directory, { recursive: true, force: true }));
let made = 0;

function newLog(rotateBytes?: number): { path: string; writer: LogWriter; at: (ms: number) => void } {
  made += 1;
  const path = join(directory, String(made), "0.log");
  let now = Date.UTC(2026, 0, 2, 3, 4, 5);
  return {
    path,
    writer: new LogWriter(path, () => now, rotateBytes),
    at: (ms) => {
      now = Date.UTC(2026, 0, 2, 3, 4, 5) + ms;
    },
  };
}

test("nobody else on the machine reads them", () => {
  const { path, writer } = newLog(10);
  writer.write("stdout", Buffer.from("one\ntwo\n"));
  writer.close();
  for (const name of [path, `${path}.1`]) assert.equal(statSync(name).mode & 0o777, 0o600);
});

async function read(
  path: string,
  over: Partial<RuntimeLogOptions> = {},
  isRunning = () => false,
): Promise<string> {
  const options: RuntimeLogOptions = {
    follow: false,
    tailLines: undefined,
    sinceMs: undefined,
    timestamps: false,
    limitBytes: undefined,
    signal: new AbortController().signal,
    ...over,
  };
  const pieces: Uint8Array[] = [];
  for await (const piece of readLog({ path, clock: systemClock, isRunning }, options)) pieces.push(piece);
  return Buffer.concat(pieces).toString("utf8");
}

test("lines come back in order, whatever pieces they were written in", async () => {
  const { path, writer } = newLog();
  for (const piece of ["on", "e\ntw", "o\n", "\nthree"]) writer.write("stdout", Buffer.from(piece));
  writer.write("stderr", Buffer.from("oops\n"));
  writer.close();
  assert.equal(await read(path), "one\ntwo\n\noops\nthree");
});

test("one stream can be read by itself, its last part without an end too", async () => {
  const { path, writer } = newLog();
  for (const [stream, piece] of [
    ["stdout", "one\nhalf"],
    ["stderr", "oops\n"],
    ["stdout", " a line\nend"],
  ] as const)
    writer.write(stream, Buffer.from(piece));
  writer.close();
  assert.equal(await read(path, { stream: "stdout" }), "one\nhalf a line\nend");
  assert.equal(await read(path, { stream: "stderr" }), "oops\n");
});

test("the options of kubectl logs: tail, since, timestamps, limit", async () => {
  const { path, writer, at } = newLog();
  for (const [index, line] of ["a", "b", "c"].entries()) {
    at(index * 1000 + 0.25);
    writer.write("stdout", Buffer.from(`${line}\n`));
  }
  writer.close();
  assert.equal(await read(path, { tailLines: 2 }), "b\nc\n");
  assert.equal(await read(path, { tailLines: 0 }), "");
  assert.equal(await read(path, { sinceMs: Date.UTC(2026, 0, 2, 3, 4, 6) }), "b\nc\n");
  assert.equal(await read(path, { timestamps: true, tailLines: 1 }), "2026-01-02T03:04:07.000250000Z c\n");
  assert.equal(await read(path, { limitBytes: 3 }), "a\nb");
});

test("a long line is stored in parts and read as one", async () => {
  const { path, writer } = newLog();
  const long = "x".repeat(50_000);
  writer.write("stdout", Buffer.from(`${long}\nshort\n`));
  writer.close();
  assert.equal(await read(path), `${long}\nshort\n`);
});

test("rotation keeps five files, and reading goes through them from the oldest on", async () => {
  const { path, writer } = newLog(1000);
  const lines = Array.from({ length: 200 }, (_, index) => `line ${index}`);
  for (const line of lines) writer.write("stdout", Buffer.from(`${line}\n`));
  writer.close();
  assert.deepEqual(readdirSync(join(path, "..")).sort(), [
    "0.log",
    "0.log.1",
    "0.log.2",
    "0.log.3",
    "0.log.4",
  ]);
  const kept = (await read(path)).trimEnd().split("\n");
  assert.deepEqual(kept, lines.slice(-kept.length), "the newest, without a gap");
  assert.ok(kept.length > 60, `${kept.length} lines`);
});

test("following goes on across rotations and ends when the container has", async () => {
  const { path, writer } = newLog(500);
  let running = true;
  const options = { follow: true, timestamps: false, signal: new AbortController().signal };
  const log = readLog(
    { path, clock: systemClock, isRunning: () => running },
    { ...options, tailLines: undefined, sinceMs: undefined, limitBytes: undefined },
  );
  for (let index = 0; index < 60; index += 1) {
    writer.write("stdout", Buffer.from(`line ${index}\n`));
    const { value } = await log.next();
    assert.equal(Buffer.from(value ?? "").toString(), `line ${index}\n`);
  }
  writer.write("stdout", Buffer.from("rest"));
  writer.close();
  running = false;
  assert.equal(Buffer.from((await log.next()).value ?? "").toString(), "rest");
  assert.equal((await log.next()).done, true);
});
