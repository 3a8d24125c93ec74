import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SlipwayError, systemClock, until } from "@slipway/base";
import { type ObserveConfig, observeOf } from "../config/observe.ts";
import type { LogOrigin } from "../observe/collect/passage.ts";
import { parseQueryFile } from "../observe/queries/query-file.ts";
import { createQueryRunner } from "../observe/queries/run.ts";
import { startWatch } from "./watch.ts";

const log: LogOrigin = {
  ...{ origin: "edge", cluster: "", node: "", namespace: "shop", pod: "", podUid: "edge" },
  ...{ container: "access.log", attempt: 0, framing: "plain" },
};

test("incidents that cannot be read cost the alerts, and neither lines, figures nor queries", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-watch-"));
  await mkdir(join(folder, "observe/alerts.json"), { recursive: true });
  const path = join(folder, "access.log");
  await writeFile(path, "hello\n");
  const said: string[] = [];
  const watch = await startWatch({
    config: {
      name: "shop",
      environment: "local",
      namespace: "shop",
      clusters: [],
      notify: { slack: undefined },
    },
    observe: observeOf({}) as ObserveConfig,
    targets: [],
    places: [{ kind: "file", path, log }],
    folder: join(folder, "observe"),
    outbox: join(folder, "outbox"),
    again: "start it again",
    ...{ process, clock: systemClock, log: (line) => void said.push(line) },
  });
  t.after(async () => {
    await watch.close();
    await rm(folder, { recursive: true, force: true });
  });
  assert.equal(watch.alerts, undefined);
  assert.match(said.join("\n"), /^no alerts: EISDIR/m);
  await assert.rejects(
    watch.answers.alerts(),
    (error) =>
      error instanceof SlipwayError &&
      error.code === "ALERTS_NONE" &&
      /start it again/.test(error.hint ?? ""),
  );
  await until("the line to be stored", () => watch.observer.figures().lines === 1);
  assert.deepEqual((await watch.answers.query({ sql: "SELECT count(*) FROM access" })).rows.length, 1);
  assert.match(await watch.metrics(), /^slipway_ingest_lines_total\{kind="\w+"\} 1$/m);

  const text = '-- title: Lines\n-- schedule: { cron: "0 4 29 2 *", timeZone: UTC }\nSELECT 1 AS one\n';
  const query = parseQueryFile("lines", text, "queries/lines.sql");
  const scheduler = await watch.schedule({
    library: async () => ({ queries: [query], problems: [] }),
    runner: createQueryRunner({
      dialect: "duckdb",
      committed: () => undefined,
      query: (sql, parameters, limits) => watch.warehouse.query(sql, parameters, limits),
    }),
  });
  assert.equal(scheduler.lastRun("lines"), undefined, "its first time has not come");
});
