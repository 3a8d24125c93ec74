import assert from "node:assert/strict";
import { test } from "node:test";
import { ParseContext } from "./context.ts";
import { Dictionary } from "./dictionary.ts";
import { clearLineBatch, hasNoRoom, LineParser, MIN_CAPACITY, newLineBatch } from "./parser.ts";
import type { StreamKey } from "./source.ts";
import { LABELS, NOW, readLines } from "./testing.ts";

const COMBINED =
  '192.0.2.7 - - [05/Jan/2026:13:55:36 +0100] "GET /recipes/42?x=1 HTTP/1.1" 200 512 "-" "curl/8.5.0"';

test("a combined line becomes a row", () => {
  const { rows, parser } = readLines(`${COMBINED}\n`);
  assert.equal(parser.format, "combined");
  assert.deepEqual(rows, [
    {
      ts: "2026-01-05T12:55:36.000Z",
      source: 1,
      ip: "192.0.2.7",
      method: "GET",
      path: "/recipes/42?x=1",
      route: "/recipes/:id",
      protocol: "HTTP/1.1",
      status: 200,
      bytes: 512,
      referer: "-",
      userAgent: "curl/8.5.0",
      ms: undefined,
      upstreamMs: undefined,
      attempts: 0,
    },
  ]);
});

const cri = (text: string, tag = "F", stream = "stdout"): string =>
  `2026-01-05T12:00:01.123456789Z ${stream} ${tag} ${text}\n`;

test("CRI parts are joined, and lines of the other stream wait behind them", () => {
  const text = [
    cri("GET-", "P"),
    cri("an error", "F", "stderr"),
    cri("tog", "P"),
    cri("ether"),
    cri("after"),
  ].join("");
  const { logs, parser } = readLines(text, { framing: "cri" });
  assert.deepEqual(logs, [
    "2026-01-05T12:00:01.123Z 1 stdout - GET-together",
    "2026-01-05T12:00:01.123Z 1 stderr - an error",
    "2026-01-05T12:00:01.123Z 1 stdout - after",
  ]);
  assert.deepEqual(parser.counts, { lines: 3, access: 0, logs: 3, quarantine: 0 });
  assert.deepEqual(parser.offsets(), [{ stream: "k", position: Buffer.byteLength(text) }]);
});

function fresh(): { context: ParseContext; batch: ReturnType<typeof newLineBatch> } {
  const dictionaries = {
    referer: new Dictionary("referer", 10),
    userAgent: new Dictionary("userAgent", 10),
    route: new Dictionary("route", 10),
  };
  const context = new ParseContext({ sourceOf: () => 1, dictionaries, now: () => NOW });
  return { context, batch: newLineBatch(MIN_CAPACITY) };
}

const stream = (key: string): StreamKey => ({ key, labels: LABELS, framing: "cri" });

test("an offset stays before a part until its end was read, and covers no line behind it", () => {
  const { context, batch } = fresh();
  const whole = cri("one");
  const parser = new LineParser(stream("a"), context, 100);
  parser.feed(Buffer.from(whole + cri("two", "P") + cri("three", "F", "stderr")), batch);
  assert.deepEqual(
    batch.logs.map(({ text }) => text),
    ["one"],
  );
  assert.deepEqual(parser.offsets(), [{ stream: "a", position: 100 + whole.length }]);
});

test("a rotation between P and F: both files' offsets move together", () => {
  const { context, batch } = fresh();
  const old = new LineParser(stream("old"), context, 0);
  const whole = cri("one");
  const part = cri("two-", "P");
  old.feed(Buffer.from(whole + part), batch);
  clearLineBatch(batch);
  const next = new LineParser(stream("new"), context, 0, old);
  const stderr = cri("held back", "F", "stderr");
  next.feed(Buffer.from(stderr), batch);
  assert.deepEqual(batch.logs, []);
  assert.deepEqual(next.offsets(), [
    { stream: "old", position: whole.length },
    { stream: "new", position: 0 },
  ]);
  const end = cri("three");
  next.feed(Buffer.from(end), batch);
  assert.deepEqual(
    batch.logs.map(({ text }) => text),
    ["two-three", "held back"],
  );
  assert.deepEqual(next.offsets(), [
    { stream: "old", position: whole.length + part.length },
    { stream: "new", position: stderr.length + end.length },
  ]);
});

test("a full batch takes no further line, and what was taken is exactly what the offset says", () => {
  const { context, batch } = fresh();
  const text = Buffer.from(cri("line").repeat(1000));
  const parser = new LineParser(stream("a"), context, 0);
  let lines = 0;
  for (let at = 0; at < text.length; ) {
    at += parser.feed(text.subarray(at), batch);
    lines += batch.logs.length;
    assert.deepEqual(parser.offsets(), [{ stream: "a", position: lines * cri("line").length }]);
    assert.ok(hasNoRoom(batch) || at === text.length);
    clearLineBatch(batch);
  }
  assert.equal(lines, 1000);
});
