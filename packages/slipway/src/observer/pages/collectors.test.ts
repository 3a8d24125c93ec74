/** Collectors as they are looked for in clusters; what is reached is a real observer's answers. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SlipwayError, systemClock, VirtualClock } from "@slipway/base";
import { openWarehouse } from "../../observe/warehouse/duckdb/open.ts";
import { sampleLabels, sampleLines } from "../../observe/warehouse/sample.ts";
import type { Warehouse } from "../../observe/warehouse/warehouse.ts";
import { type Control, callWorld, serveControl } from "../../world/control.ts";
import { answersOf } from "../answers.ts";
import { countsByService } from "./answers/figures.ts";
import { type CollectorClient, findCollectors } from "./collectors.ts";
import { linesOfAll } from "./rows.ts";
import { turn } from "./turn.testing.ts";

const NOON = Date.UTC(2026, 10, 28, 12);
const TOKEN = "a-token-of-this-test";

let warehouse: Warehouse;
let control: Control;
before(async () => {
  warehouse = await openWarehouse({ folder: undefined });
  const source = warehouse.sourceOf(sampleLabels());
  const lines = sampleLines(warehouse, { count: 700, source, fromMs: NOON, status: 200, timeMs: 30 });
  await warehouse.commit({ lines, offsets: [] });
  const figures = () => ({ lines: 700, read: 702, unread: 0, logs: 1, gaps: 0, lagMs: 0 });
  control = await serveControl(answersOf({ warehouse, figures }), TOKEN);
});
after(async () => {
  control.close();
  await warehouse.close();
});

function client(token = TOKEN): CollectorClient {
  const to = { control: { url: control.url, token } };
  return {
    query: (sql, parameters, { maxRows, timeoutMs } = {}) =>
      callWorld(to, "query", { sql, parameters, maxRows, timeoutMs }),
    figures: () => callWorld(to, "figures"),
  };
}

test("counts of the clusters that have one are added, the others are named with the reason", async () => {
  const collectors = await findCollectors(
    ["tokyo", "osaka", "kyoto", "nara"],
    async (name) => {
      if (name === "kyoto") throw new Error("pods is forbidden");
      return name === "nara" ? undefined : client();
    },
    systemClock,
  );
  try {
    const { sources, nothing } = collectors.rows();
    assert.deepEqual(
      sources.map(({ name }) => name),
      ["tokyo", "osaka"],
    );
    assert.match(nothing, /^kyoto: pods is forbidden; nara: no collector is installed/);
    const { counts, problems } = await countsByService(sources, { fromMs: NOON, toMs: NOON + 60_000 }, {});
    assert.deepEqual(problems, []);
    assert.equal(
      counts.reduce((sum, { requests }) => sum + requests, 0),
      1400,
    );
    const lines = await linesOfAll(sources, "");
    assert.deepEqual([lines.read, lines.requests, lines.problem], [1404, 1400, undefined]);
    await assert.rejects(
      sources[0]?.query("DROP TABLE hot_access") as Promise<unknown>,
      (error: unknown) => error instanceof SlipwayError && error.code === "QUERY_NOT_SELECT",
    );
  } finally {
    collectors.close();
  }
});

test("one that is installed later is found, one that goes is missed, one with another token is asked with that", async () => {
  const clock = new VirtualClock();
  let reached: (() => CollectorClient | undefined) | undefined;
  const collectors = await findCollectors(["tokyo"], async () => reached?.(), clock);
  assert.deepEqual(collectors.rows().sources, []);
  reached = () => client();
  await turn(clock, () => collectors.rows().sources.length === 1);
  const [rows] = collectors.rows().sources;
  assert.deepEqual((await rows?.query("SELECT count(*) FROM requests"))?.rows, [[700]]);
  reached = () => client("wrong");
  await turn(clock, () => /wrong token/.test(collectors.rows().nothing));
  reached = () => client();
  await turn(clock, () => collectors.rows().nothing === "");
  reached = undefined;
  await turn(clock, () => /no collector is installed/.test(collectors.rows().nothing));
  collectors.close();
});

test("a collector that hangs is told of, and keeps nobody waiting", async () => {
  const clock = new VirtualClock();
  let hangs = false;
  const hanging: CollectorClient = {
    query: () => new Promise(() => {}),
    figures: () => (hangs ? new Promise(() => {}) : client().figures()),
  };
  const collectors = await findCollectors(["tokyo"], async () => hanging, clock);
  const [rows] = collectors.rows().sources;
  hangs = true;
  const problems: string[] = [];
  const note = (error: unknown): void => void problems.push((error as Error).message);
  void rows?.query("SELECT 1", {}, { timeoutMs: 5000 }).catch(note);
  void rows?.lines().catch(note);
  await turn(clock, () => problems.length === 2);
  assert.deepEqual(
    problems,
    [5, 7].map((s) => `its collector did not answer within ${s} s`),
  );
  collectors.close();
});
