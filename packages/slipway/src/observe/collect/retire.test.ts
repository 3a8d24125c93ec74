import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "@slipway/base";
import { newLineBatch } from "../access/parser.ts";
import { streamKeys } from "../import/fingerprint.ts";
import { openWarehouse } from "../warehouse/duckdb/open.ts";
import { logKey, pointerOf } from "./passage.ts";
import { retireStreams, streamsToRetire } from "./retire.ts";
import { podLog } from "./testing.ts";

const DAY_MS = 86_400_000;
const BEFORE = 100 * DAY_MS;
const old = BEFORE - 1;
const mark = (number: number): string => number.toString(16).padStart(16, "0");
const file = (key: string, number: number): string => `${key}/${mark(number)}`;
const web = logKey(podLog({ podUid: "u1", container: "web" }));
const edge = logKey(podLog({ cluster: "", podUid: "edge", container: "access.log" }));
const [imported] = streamKeys(Buffer.alloc(2_000, "x"), "shop") as [string];
const everyPodIsGone = (): boolean => true;
const noPodIsGone = (): boolean => false;

test("of a pod that is gone everything goes that nobody was heard of since, and its pointer", () => {
  const streams = [
    { stream: file(web, 1), heardMs: old },
    { stream: pointerOf(web), heardMs: old },
    { stream: file(web, 2), heardMs: BEFORE },
  ];
  assert.deepEqual(streamsToRetire(streams, BEFORE, everyPodIsGone), [file(web, 1), pointerOf(web)]);
  assert.deepEqual(streamsToRetire(streams, BEFORE, noPodIsGone), []);
});

test("it is this pod of this cluster that is asked for", () => {
  const asked: string[] = [];
  const isGone = (cluster: string, podUid: string): boolean => asked.push(`${cluster}/${podUid}`) > 9;
  streamsToRetire([{ stream: file(web, 1), heardMs: 0 }], BEFORE, isGone);
  streamsToRetire([{ stream: pointerOf(edge), heardMs: 0 }], BEFORE, isGone);
  assert.deepEqual(asked, ["osaka/u1", "/edge"]);
});

for (const [what, key] of [
  ["a pod that is there", web],
  ["the edge", edge],
] as const) {
  test(`of ${what} the newest files stay, however long it says nothing`, () => {
    const streams = Array.from({ length: 130 }, (_, at) => ({ stream: file(key, at), heardMs: at }));
    const other = { stream: file(logKey(podLog({ podUid: "u1", container: "other" })), 1), heardMs: 0 };
    const retired = streamsToRetire([...streams, other], BEFORE, noPodIsGone);
    assert.deepEqual(new Set(retired), new Set(streams.slice(0, 30).map(({ stream }) => stream)));
    const busy = streams.map(({ stream }) => ({ stream, heardMs: BEFORE }));
    assert.deepEqual(streamsToRetire(busy, BEFORE, noPodIsGone), []);
  });
}

test("attempts of a container that crashes again and again are files of one container", () => {
  const streams = Array.from({ length: 120 }, (_, attempt) => ({
    stream: file(logKey(podLog({ podUid: "u1", attempt })), 1),
    heardMs: attempt,
  }));
  assert.equal(streamsToRetire(streams, BEFORE, noPodIsGone).length, 20);
});

test("what was imported, or is nothing that is known here, stays", () => {
  const streams = [imported, "node-1/web", ""].map((stream) => ({ stream, heardMs: 0 }));
  assert.deepEqual(streamsToRetire(streams, BEFORE, everyPodIsGone), []);
});

test("a stream is retired after what is kept and a week, and a file of that name is new then", async () => {
  const clock = new VirtualClock(0);
  const warehouse = await openWarehouse({ folder: undefined, clock });
  try {
    const lines = newLineBatch(128);
    const store = (stream: string, position: number): Promise<void> =>
      warehouse.commit({ lines, offsets: [{ stream, position }] });
    await store(file(web, 1), 10);
    await clock.advance(5 * DAY_MS);
    await store(file(web, 2), 20);
    const keepForMs = DAY_MS;
    const retire = (isGone = everyPodIsGone): Promise<void> =>
      retireStreams(warehouse, { now: clock.now(), keepForMs, isGone });
    const left = () => [1, 2].map((number) => warehouse.offsetOf(file(web, number)));
    await clock.advance(2 * DAY_MS);
    await retire();
    assert.deepEqual(left(), [10, 20], "a week is not over");
    await clock.advance(1);
    await retire(noPodIsGone);
    assert.deepEqual(left(), [10, 20]);
    await retire();
    assert.deepEqual(left(), [0, 20]);
    await store(file(web, 1), 3);
    await clock.advance(6 * DAY_MS);
    await retire();
    assert.deepEqual(left(), [3, 0]);
  } finally {
    await warehouse.close();
  }
});
