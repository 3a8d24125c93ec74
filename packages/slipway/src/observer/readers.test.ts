import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { observeOf } from "../config/observe.ts";
import { newLineBatch } from "../observe/access/parser.ts";
import { Collector } from "../observe/collect/collector.ts";
import { Sources } from "../observe/collect/sources.ts";
import { checkScripts } from "../observe/collect/tail-scripts.ts";
import { labelsFor, memoryWarehouse, podLog } from "../observe/collect/testing.ts";
import { readersOf } from "./readers.ts";

const config = observeOf(undefined) as NonNullable<ReturnType<typeof observeOf>>;

test("the real parser: rotation × restarts × kills × refused commits × lost answers, each line once", async () => {
  await checkScripts(
    60,
    async (collector) => ({ taker: collector, close: async () => {} }),
    (warehouse, sources) => readersOf(config, warehouse, sources, () => 0),
  );
});

test("what is stored is counted twice, as it is read and as it is stored: a line that went nowhere shows", async () => {
  const warehouse = memoryWarehouse();
  const sources = new Sources(warehouse);
  const real = readersOf(config, warehouse, sources, () => 0);
  let loses = false;
  const collector = new Collector({
    ...{ warehouse, sources, labelsOf: labelsFor, now: () => 0 },
    openReader: (stream) => {
      const reader = real(stream);
      return {
        read(bytes, position, isEnd, into) {
          const taken = reader.read(bytes, position, isEnd, into);
          if (loses) into.logs.pop();
          return taken;
        },
      };
    },
  });
  const bytes = Buffer.from("one\ntwo\n");
  const send = async (start: number): Promise<number> => {
    const log = { ...podLog(), framing: "plain" as const };
    await collector.take([{ log, pieces: [{ stream: "osaka/uid-1/web/0/f", start, bytes }], isEnd: false }]);
    const { read, lines } = collector.figures();
    return read - lines;
  };
  assert.equal(await send(0), 0);
  loses = true;
  assert.equal(await send(bytes.length), 1);
});

test("how late the edge's requests are stored is told by their own time", async () => {
  const warehouse = memoryWarehouse();
  const sources = new Sources(warehouse);
  const now = Date.parse("2026-01-05T12:00:09Z");
  const collector = new Collector({
    ...{ warehouse, sources, labelsOf: labelsFor, now: () => now },
    openReader: readersOf(config, warehouse, sources, () => now),
  });
  const request = (second: string): string =>
    `10.0.0.1 - - [05/Jan/2026:12:00:${second} +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/8" 0.010 0.009\n`;
  const bytes = Buffer.from(request("01") + request("05"));
  const log = { ...podLog({ origin: "edge", container: "access.log" }), framing: "plain" as const };
  await collector.take([
    { log, pieces: [{ stream: "osaka/edge/access.log/0/f", start: 0, bytes }], isEnd: false },
  ]);
  assert.equal(collector.figures().lagMs, 4000);
});

/** Of CRI files, with parts, other streams between them, requests and garbage. */
const line = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.string({ maxLength: 12 }).map((text) => `stdout F ${text.replaceAll("\n", "")}`),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("stdout P half ", "stderr P oh ", "stderr F no", "stdout F ", "garbage"),
  },
  {
    weight: 2,
    arbitrary: fc.constant(
      'stdout F 10.0.0.1 - - [05/Jan/2026:12:00:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/8" 0.010 0.009',
    ),
  },
);

test("wherever bytes are cut, and whatever has to be sent again, lines are the same", () => {
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 30 }),
      fc.array(fc.nat(200), { maxLength: 20 }),
      (lines, cuts) => {
        const bytes = Buffer.from(lines.map((text) => `2026-01-05T12:00:00.000000001Z ${text}\n`).join(""));
        const whole = readAll(bytes, [bytes.length]);
        assert.deepEqual(readAll(bytes, cuts), whole);
      },
    ),
  );
});

/** Hands over `cut` more bytes at a time, always from where the last read ended. */
function readAll(bytes: Buffer, cuts: readonly number[]): unknown {
  const warehouse = memoryWarehouse();
  const log = podLog();
  const stream = { key: "osaka/uid-1/web/0/f", labels: labelsFor(log), framing: log.framing };
  const reader = readersOf(config, warehouse, new Sources(warehouse), () => 0)(stream);
  const batch = newLineBatch(1000);
  let [position, end] = [0, 0];
  for (const cut of [...cuts, bytes.length, bytes.length]) {
    end = Math.min(bytes.length, end + cut);
    const isEnd = end === bytes.length && cut === bytes.length;
    for (;;) {
      const taken = reader.read(bytes.subarray(position, end), position, isEnd, batch);
      position += taken;
      if (taken === 0 || position === end) break;
    }
  }
  assert.equal(position, bytes.length);
  const { access, logs, quarantine } = batch;
  assert.equal(batch.read, access.length + logs.length + quarantine.length);
  return {
    logs: batch.logs,
    quarantine: batch.quarantine.map(({ reason, position: at }) => [reason, at]),
    paths: Array.from({ length: batch.access.length }, (_, row) => batch.access.path.at(row)),
  };
}
