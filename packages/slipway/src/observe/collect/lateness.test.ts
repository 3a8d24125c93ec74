import assert from "node:assert/strict";
import { test } from "node:test";
import { Collector } from "./collector.ts";
import { Lateness, writtenAt } from "./lateness.ts";
import { Sources } from "./sources.ts";
import { labelsFor, lineReader, memoryWarehouse, podLog } from "./testing.ts";

const NOON = Date.parse("2026-11-30T12:00:00Z");

test("the newest of some lines, whatever the node's zone", () => {
  const table: readonly (readonly [string, number | undefined])[] = [
    ["2026-11-30T11:59:58.5Z stdout F one\n2026-11-30T11:59:59.123456789Z stdout F two\n", NOON - 877],
    ["2026-11-30T20:59:59+09:00 stdout F one\n", NOON - 1000],
    ["no time\n", undefined],
    ["", undefined],
  ];
  for (const [text, at] of table) assert.equal(writtenAt(Buffer.from(text)), at, text);
});

test("the latest of half a minute; a clock that is set back forgets what was ahead", () => {
  const lateness = new Lateness();
  lateness.add(NOON - 400_000, NOON);
  lateness.add(NOON + 900, NOON + 1000);
  assert.equal(lateness.longest(NOON + 1000), 400_000);
  assert.equal(lateness.longest(NOON + 30_500), 100);
  assert.equal(lateness.longest(NOON + 60_000), 0);
  assert.equal(lateness.longest(NOON - 60_000), 0);
});

test("a collector tells how late lines are stored, by the agent that is furthest behind", async () => {
  const warehouse = memoryWarehouse();
  const collector = new Collector({
    ...{ warehouse, sources: new Sources(warehouse), labelsOf: labelsFor, now: () => NOON },
    openReader: ({ framing }, source) => lineReader(framing, source),
  });
  const passage = (podUid: string, text: string) => ({
    ...{ log: podLog({ podUid }), isEnd: false },
    pieces: [{ stream: `osaka/${podUid}/web/0/f`, start: 0, bytes: Buffer.from(text) }],
  });
  assert.equal(collector.figures().lagMs, 0);
  await collector.take([
    passage("a", "2026-11-30T11:59:59.000000000Z stdout F now\n"),
    passage(
      "b",
      "2026-11-30T11:50:00.000000000Z stdout F behind\n2026-11-30T11:59:59.900000000Z stdout P no e",
    ),
  ]);
  assert.equal(collector.figures().lagMs, 600_000);
});
