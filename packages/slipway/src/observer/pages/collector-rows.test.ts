/** Two collectors as they are asked in clusters: their warehouses' answers come over connections that the test makes. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { SlipwayError, systemClock } from "@slipway/base";
import { openWarehouse } from "../../observe/warehouse/duckdb/open.ts";
import { sampleLabels, sampleLines } from "../../observe/warehouse/sample.ts";
import type { Warehouse } from "../../observe/warehouse/warehouse.ts";
import { type Control, serveControl } from "../../world/control.ts";
import { answersOf } from "../answers.ts";
import { countsByService } from "./answers/figures.ts";
import { collectorRows } from "./collector-rows.ts";
import { linesOfAll } from "./rows.ts";

const NOON = Date.UTC(2026, 10, 28, 12);
const TOKEN = "a-token-of-this-test";

let warehouse: Warehouse;
let control: Control;
let connections = 0;
before(async () => {
  warehouse = await openWarehouse({ folder: undefined });
  const source = warehouse.sourceOf(sampleLabels());
  const lines = sampleLines(warehouse, { count: 700, source, fromMs: NOON, status: 200, timeMs: 30 });
  await warehouse.commit({ lines, offsets: [] });
  const figures = () => ({ lines: 700, unread: 0, logs: 1, gaps: 0 });
  control = await serveControl(answersOf({ warehouse, figures }), TOKEN);
});
after(async () => {
  control.close();
  await warehouse.close();
});

const open = (name: string, token = TOKEN): ReturnType<typeof collectorRows> =>
  collectorRows({
    name,
    token,
    clock: systemClock,
    connect: async () => {
      connections += 1;
      return connect(Number(new URL(control.url).port), "127.0.0.1");
    },
  });

test("counts of several clusters are added, over connections that are kept", async () => {
  const rows = [open("tokyo"), open("osaka")];
  try {
    for (let time = 0; time < 5; time += 1) {
      const { counts, problems } = await countsByService(rows, { fromMs: NOON, toMs: NOON + 60_000 }, {});
      assert.deepEqual(problems, []);
      assert.equal(
        counts.reduce((sum, { requests }) => sum + requests, 0),
        1400,
      );
    }
    const lines = await linesOfAll(rows, "");
    assert.deepEqual([lines.read, lines.requests, lines.problem], [1400, 1400, undefined]);
    assert.ok(connections <= 4, String(connections));
  } finally {
    for (const one of rows) one.close();
  }
});

test("what the collector refuses is told in its words", async () => {
  const rows = open("tokyo");
  try {
    const refused = (error: unknown): boolean =>
      error instanceof SlipwayError && error.code === "QUERY_NOT_SELECT";
    await assert.rejects(rows.query("DROP TABLE hot_access"), refused);
    await assert.rejects(open("tokyo", "wrong").query("SELECT 1"), /wrong token/);
  } finally {
    rows.close();
  }
});

test("one that cannot be reached, and one that breaks off, say which cluster it is", async () => {
  const away = collectorRows({
    name: "osaka",
    token: TOKEN,
    clock: systemClock,
    connect: () => Promise.reject(new Error("pods is forbidden")),
  });
  await assert.rejects(away.query("SELECT 1"), (error: unknown) => {
    assert.ok(error instanceof SlipwayError);
    assert.equal(error.where, "clusters/osaka");
    assert.match(error.message, /does not answer: pods is forbidden/);
    return true;
  });
  const breaking = collectorRows({
    name: "osaka",
    token: TOKEN,
    clock: systemClock,
    connect: async () => {
      const socket = connect(Number(new URL(control.url).port), "127.0.0.1");
      socket.on("connect", () => socket.destroy());
      return socket;
    },
  });
  await assert.rejects(breaking.query("SELECT 1"), /its collector does not answer/);
});
