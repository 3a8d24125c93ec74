/** What every implementation of the Warehouse port does, as tests. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SlipwayError, systemClock } from "@slipway/base";
import { AccessBatch, type LineBatch, NO_TIME } from "../access/batch.ts";
import { sampleLabels, sampleLines } from "./sample.ts";
import type { CellValue, QueryParameters, Warehouse } from "./warehouse.ts";

const NOON = Date.UTC(2026, 10, 28, 12);
const DAY = 86_400_000;
const NONE: LineBatch = { access: new AccessBatch(0), logs: [], quarantine: [] };

export function warehouseCases(name: string, open: () => Promise<Warehouse>): void {
  const withWarehouse = async (work: (warehouse: Warehouse) => Promise<void>): Promise<void> => {
    const warehouse = await open();
    try {
      await work(warehouse);
    } finally {
      await warehouse.close();
    }
  };
  const rows = async (
    warehouse: Warehouse,
    sql: string,
    parameters?: QueryParameters,
  ): Promise<readonly (readonly CellValue[])[]> => (await warehouse.query(sql, parameters)).rows;

  describe(name, () => {
    test("a commit's lines are all there, with the names of their source", () =>
      withWarehouse(async (warehouse) => {
        const source = warehouse.sourceOf(sampleLabels());
        const { access } = sampleLines(warehouse, { count: 5000, source, fromMs: NOON });
        await warehouse.commit({
          lines: {
            access,
            logs: [
              { ts: NOON, source, stream: "stderr", severity: "ERROR", text: "größer als erlaubt \0 \ud800" },
            ],
            quarantine: [
              { ts: NOON, source, position: 77, raw: Buffer.from([0xff, 0, 0x41]), reason: "status" },
            ],
          },
          offsets: [{ stream: "node-1/web", position: 123_456 }],
          gaps: [{ ts: NOON, source, from: 10, to: 20 }],
        });
        const [first] = await rows(
          warehouse,
          "SELECT service, release, commit, pod, origin, method, path, route, proto, status, bytes, ua, rt_ms, ts, probe FROM access ORDER BY ts LIMIT 1",
        );
        assert.deepEqual(first, [
          "web",
          1,
          "abc1234",
          "web-1",
          "pod",
          "GET",
          access.path.at(0),
          warehouse.dictionaries.route.valueOf(access.route[0] as number),
          "HTTP/2.0",
          access.status[0],
          access.bytes[0],
          warehouse.dictionaries.userAgent.valueOf(access.userAgent[0] as number),
          access.time[0],
          "2026-11-28T12:00:00.000Z",
          false,
        ]);
        const sum = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);
        assert.deepEqual(
          await rows(warehouse, "SELECT count(*), sum(status), sum(bytes), count(DISTINCT path) FROM access"),
          [
            [
              5000,
              sum(access.status),
              sum(access.bytes),
              new Set(Array.from(access.status, (_, row) => access.path.at(row)).slice(0, access.length))
                .size,
            ],
          ],
        );
        assert.deepEqual(await rows(warehouse, "SELECT stream, severity, text, pod FROM logs"), [
          ["stderr", "ERROR", "größer als erlaubt \0 \ufffd", "web-1"],
        ]);
        assert.deepEqual(await rows(warehouse, "SELECT position, hex(raw), reason FROM quarantine"), [
          [77, "FF0041", "status"],
        ]);
        assert.deepEqual(await rows(warehouse, 'SELECT "from", "to" FROM gaps'), [[10, 20]]);
        assert.equal(warehouse.offsetOf("node-1/web"), 123_456);
        assert.equal(warehouse.offsetOf("node-2/web"), 0);
        const figures = warehouse.figures();
        assert.deepEqual(
          [
            figures.access,
            figures.logs,
            figures.quarantine,
            figures.gaps,
            figures.committed,
            figures.oldestMs,
            figures.newestMs,
          ],
          [5000, 1, 1, 1, 1, NOON, NOON + 4999 * 10],
        );
      }));

    test("a stream that is forgotten is new, unless it was heard of meanwhile", () =>
      withWarehouse(async (warehouse) => {
        const began = systemClock.now();
        await warehouse.commit({
          lines: NONE,
          offsets: ["a", "b", "it's"].map((stream) => ({ stream, position: 7 })),
        });
        const heard = await warehouse.streams();
        assert.deepEqual(heard.map(({ stream }) => stream).sort(), ["a", "b", "it's"]);
        assert.ok(heard.every(({ heardMs }) => heardMs >= began && heardMs <= systemClock.now()));
        await warehouse.forgetStreams(["a", "it's"], began);
        assert.equal(warehouse.offsetOf("a"), 7);
        await warehouse.forgetStreams(["a", "it's", "c"], systemClock.now() + 1_000);
        assert.deepEqual(
          ["a", "b", "it's"].map((stream) => warehouse.offsetOf(stream)),
          [0, 7, 0],
        );
        assert.deepEqual(
          (await warehouse.streams()).map(({ stream }) => stream),
          ["b"],
        );
        await warehouse.commit({ lines: NONE, offsets: [{ stream: "a", position: 3 }] });
        assert.equal(warehouse.offsetOf("a"), 3);
      }));

    test("every stored request is in the view once, whatever it has as names", () =>
      withWarehouse(async (warehouse) => {
        const { access } = sampleLines(
          warehouse,
          { count: 500, source: warehouse.sourceOf(sampleLabels()), fromMs: NOON },
          { count: 100, source: warehouse.sourceOf(sampleLabels({ origin: "edge" })), fromMs: NOON + DAY },
          {
            count: 70,
            source: warehouse.sourceOf(sampleLabels()),
            fromMs: NOON + DAY,
            userAgent: "kube-probe/1",
          },
          { count: 50, source: warehouse.sourceOf(sampleLabels()), fromMs: NOON + DAY },
        );
        // What found no room in a dictionary has id 0.
        for (let row = 0; row < access.length; row += 1) {
          if (row % 7 === 0) access.route[row] = 0;
          if (row % 5 === 0) access.referer[row] = 0;
          if (row % 11 === 0) access.userAgent[row] = 0;
        }
        await warehouse.commit({ lines: { access, logs: [], quarantine: [] }, offsets: [] });
        const nameOf = (kind: "route" | "referer" | "userAgent", row: number): string =>
          warehouse.dictionaries[kind].valueOf(access[kind][row] as number);
        const expected = Array.from({ length: access.length }, (_, row) =>
          [access.path.at(row), nameOf("route", row), nameOf("referer", row), nameOf("userAgent", row)].join(
            " ",
          ),
        );
        const shown = await rows(warehouse, "SELECT concat_ws(' ', path, route, referer, ua) FROM access");
        assert.deepEqual(shown.flat().sort(), expected.sort());
        // The edge's lines count from its first minute on, pods' before; probes never.
        const others = Array.from({ length: 70 }, (_, row) => 600 + row).filter((row) => row % 11 === 0);
        assert.ok(others.length > 0);
        assert.deepEqual(
          await rows(warehouse, "SELECT origin, count(*) FROM requests GROUP BY 1 ORDER BY 1"),
          [
            ["edge", 100],
            ["pod", 500],
          ],
        );
        assert.deepEqual(await rows(warehouse, "SELECT count(*) FROM access WHERE NOT probe"), [
          [500 + 100 + others.length + 50],
        ]);
        assert.deepEqual(await rollupOf(warehouse), await recountOf(warehouse));
      }));

    test("times are numbers that can be subtracted, and what no request can take is none", () =>
      withWarehouse(async (warehouse) => {
        const source = warehouse.sourceOf(sampleLabels());
        const { access } = sampleLines(warehouse, { count: 4, source, fromMs: NOON, timeMs: 7 });
        access.upstreamTime[0] = 9;
        access.time[1] = 2 ** 31 - 1;
        // As earlier versions have stored it.
        access.time[2] = 3_000_000_000;
        access.upstreamTime[3] = NO_TIME;
        await warehouse.commit({ lines: { access, logs: [], quarantine: [] }, offsets: [] });
        assert.deepEqual(
          await rows(warehouse, "SELECT rt_ms, urt_ms, rt_ms - urt_ms FROM access ORDER BY ts"),
          [
            [7, 9, -2],
            [2 ** 31 - 1, 7, 2 ** 31 - 8],
            [null, 7, null],
            [7, null, null],
          ],
        );
      }));

    test("quantiles of the views are those of the sorted times", () =>
      withWarehouse(async (warehouse) => {
        const source = warehouse.sourceOf(sampleLabels());
        const { access } = sampleLines(warehouse, { count: 5000, source, fromMs: NOON, everyMs: 100 });
        await warehouse.commit({ lines: { access, logs: [], quarantine: [] }, offsets: [] });
        const byMinute = Map.groupBy(
          Array.from({ length: access.length }, (_, row) => row).filter(
            (row) => access.time[row] !== NO_TIME,
          ),
          (row) => Math.floor((access.ts[row] as number) / 60_000) * 60_000,
        );
        const expected = [...byMinute].map(([minute, of]) => {
          const sorted = of.map((row) => access.time[row] as number).sort((a, b) => a - b);
          const at = (q: number): number => sorted[Math.max(0, Math.ceil(sorted.length * q) - 1)] as number;
          return [new Date(minute).toISOString(), at(0.5), at(0.95), at(0.99)];
        });
        const sql = `SELECT time_bucket(INTERVAL 1 minute, ts) AS minute, quantile_disc(rt_ms, 0.5), quantile_disc(rt_ms, 0.95),
          quantile_disc(rt_ms, 0.99) FROM requests GROUP BY 1 ORDER BY 1`;
        assert.deepEqual(await rows(warehouse, sql), expected);
      }));

    test("a source is made once, and one whose labels differ is another", () =>
      withWarehouse(async (warehouse) => {
        const one = warehouse.sourceOf(sampleLabels());
        assert.equal(warehouse.sourceOf(sampleLabels()), one);
        assert.notEqual(warehouse.sourceOf(sampleLabels({ release: 2 })), one);
        assert.notEqual(warehouse.sourceOf(sampleLabels({ pod: "web-2" })), one);
      }));

    test("a release that becomes known late holds for the rows before, in requests and in the rollup", () =>
      withWarehouse(async (warehouse) => {
        const late = warehouse.sourceOf(sampleLabels({ release: 0, commit: "" }));
        const other = warehouse.sourceOf(sampleLabels({ pod: "web-2", release: 0, commit: "" }));
        const lines = sampleLines(
          warehouse,
          { count: 300, source: late, fromMs: NOON },
          { count: 200, source: other, fromMs: NOON },
        );
        await warehouse.commit({ lines, offsets: [] });
        await warehouse.relabel([{ source: late, release: 7, commit: "f00" }]);
        assert.deepEqual(
          await rows(warehouse, "SELECT release, commit, count(*) FROM access GROUP BY ALL ORDER BY 1"),
          [
            [0, "", 200],
            [7, "f00", 300],
          ],
        );
        assert.deepEqual(await rollupOf(warehouse), await recountOf(warehouse));
        await warehouse.commit({
          lines: sampleLines(warehouse, { count: 5, source: late, fromMs: NOON }),
          offsets: [],
        });
        assert.deepEqual(await rollupOf(warehouse), await recountOf(warehouse));
        assert.equal(warehouse.sourceOf(sampleLabels({ release: 7, commit: "f00" })), late);
      }));

    test("a source may get its release before its first line is stored", () =>
      withWarehouse(async (warehouse) => {
        const source = warehouse.sourceOf(sampleLabels({ release: 0, commit: "" }));
        await warehouse.relabel([{ source, release: 3, commit: "c3" }]);
        await warehouse.commit({
          lines: sampleLines(warehouse, { count: 3, source, fromMs: NOON }),
          offsets: [],
        });
        assert.deepEqual(await rows(warehouse, "SELECT DISTINCT release, commit FROM requests"), [[3, "c3"]]);
        assert.deepEqual(await rollupOf(warehouse), await recountOf(warehouse));
      }));

    test("lines that come late, and from clocks that jump, are counted in their own minute", () =>
      withWarehouse(async (warehouse) => {
        const source = warehouse.sourceOf(sampleLabels());
        for (const fromMs of [NOON, NOON - 3 * 86_400_000, NOON + 86_400_000 * 400, 0, NOON - 60_000]) {
          await warehouse.commit({
            lines: sampleLines(warehouse, { count: 100, source, fromMs }),
            offsets: [],
          });
        }
        assert.deepEqual(await rollupOf(warehouse), await recountOf(warehouse));
        assert.deepEqual(await rows(warehouse, "SELECT min(ts) FROM access"), [["1970-01-01T00:00:00.000Z"]]);
      }));

    test("health checks are stored, and count as no requests", () =>
      withWarehouse(async (warehouse) => {
        const source = warehouse.sourceOf(sampleLabels());
        const lines = sampleLines(
          warehouse,
          { count: 10, source, fromMs: NOON },
          { count: 90, source, fromMs: NOON, userAgent: "kube-probe/1.30" },
        );
        await warehouse.commit({ lines, offsets: [] });
        assert.deepEqual(
          await rows(warehouse, "SELECT count(*) FILTER (WHERE probe), count(*) FROM access"),
          [[90, 100]],
        );
        assert.deepEqual(await rows(warehouse, "SELECT count(*) FROM requests"), [[10]]);
        assert.deepEqual(await rows(warehouse, "SELECT sum(n) FROM rollup WHERE counts"), [[10]]);
      }));

    test("a request through the edge counts once: the edge's line, from its first minute on", () =>
      withWarehouse(async (warehouse) => {
        const pod = warehouse.sourceOf(sampleLabels());
        const edge = warehouse.sourceOf(sampleLabels({ origin: "edge", container: "" }));
        const silent = warehouse.sourceOf(sampleLabels({ service: "worker", pod: "worker-1" }));
        const minute = 60_000;
        const lines = sampleLines(
          warehouse,
          { count: 30, source: pod, fromMs: NOON, everyMs: minute },
          { count: 10, source: edge, fromMs: NOON + 20 * minute + 500, everyMs: minute },
          { count: 4, source: silent, fromMs: NOON, everyMs: minute },
        );
        await warehouse.commit({ lines, offsets: [] });
        const wanted = [
          ["web", "edge", 10],
          ["web", "pod", 20],
          ["worker", "pod", 4],
        ];
        assert.deepEqual(
          await rows(warehouse, "SELECT service, origin, count(*) FROM requests GROUP BY ALL ORDER BY ALL"),
          wanted,
        );
        assert.deepEqual(
          await rows(
            warehouse,
            "SELECT service, origin, sum(n) FROM rollup WHERE counts GROUP BY ALL ORDER BY ALL",
          ),
          wanted,
        );
      }));

    test("releases are shown as last told", () =>
      withWarehouse(async (warehouse) => {
        const release = { number: 4, commit: "c4", kind: "deploy", startedAt: NOON } as const;
        await warehouse.recordReleases([{ ...release, outcome: "running", finishedAt: undefined }]);
        await warehouse.recordReleases([{ ...release, outcome: "healthy", finishedAt: NOON + 60_000 }]);
        assert.deepEqual(await rows(warehouse, "FROM releases"), [
          [4, "c4", "deploy", "healthy", "2026-11-28T12:00:00.000Z", "2026-11-28T12:01:00.000Z"],
        ]);
      }));

    test("listeners hear of each change, after it can be read", () =>
      withWarehouse(async (warehouse) => {
        const heard: number[] = [];
        warehouse.onCommit((committed) => heard.push(committed));
        const source = warehouse.sourceOf(sampleLabels());
        await Promise.all(
          [1, 2, 3].map((n) =>
            warehouse.commit({
              lines: sampleLines(warehouse, { count: n, source, fromMs: NOON }),
              offsets: [{ stream: "s", position: n }],
            }),
          ),
        );
        assert.deepEqual(heard, [1, 2, 3]);
        assert.equal(warehouse.offsetOf("s"), 3);
        const answer = await warehouse.query("SELECT count(*) FROM access");
        assert.deepEqual([answer.committed, answer.rows], [3, [[6]]]);
      }));

    test("an empty commit moves its streams on", () =>
      withWarehouse(async (warehouse) => {
        await warehouse.commit({
          lines: NONE,
          offsets: [
            { stream: "s", position: 9 },
            { stream: "s", position: 12 },
          ],
        });
        assert.equal(warehouse.offsetOf("s"), 12);
      }));

    test("parameters are bound by name, as times too", () =>
      withWarehouse(async (warehouse) => {
        const source = warehouse.sourceOf(sampleLabels());
        await warehouse.commit({
          lines: sampleLines(warehouse, { count: 100, source, fromMs: NOON, everyMs: 1000 }),
          offsets: [],
        });
        const sql =
          "SELECT count(*) FROM access WHERE ts >= $from AND ts < $to AND service = $service AND status > $over";
        const parameters = {
          from: "2026-11-28T12:00:10Z",
          to: "2026-11-28 12:00:20",
          service: "web",
          over: 0,
        };
        assert.deepEqual(await rows(warehouse, sql, parameters), [[10]]);
        assert.deepEqual(
          await rows(warehouse, "SELECT $a IS NULL, $b, $c LIMIT $d", { a: null, b: true, c: 1.5, d: 1 }),
          [[true, true, 1.5]],
        );
        await assert.rejects(warehouse.query(sql, { from: "2026-11-28" }), hasCode("QUERY_FAILED"));
      }));

    test("columns have types, and values are plain", () =>
      withWarehouse(async (warehouse) => {
        const { columns, rows } = await warehouse.query(
          "SELECT 1 AS n, 'x' AS t, true AS b, TIMESTAMP '2026-01-02 03:04:05.678' AS at, DATE '2026-01-02' AS day, 9007199254740993 AS big, 1.25::DECIMAL(9,2) AS d, [1, 2] AS l, 'nan'::DOUBLE AS nan",
        );
        assert.deepEqual(
          columns.map(({ name, type }) => `${name} ${type}`),
          [
            "n number",
            "t text",
            "b boolean",
            "at time",
            "day time",
            "big number",
            "d number",
            "l text",
            "nan number",
          ],
        );
        assert.deepEqual(rows, [
          [1, "x", true, "2026-01-02T03:04:05.678Z", "2026-01-02", "9007199254740993", 1.25, "[1, 2]", null],
        ]);
      }));

    test("no more rows than the cap", () =>
      withWarehouse(async (warehouse) => {
        const cut = await warehouse.query("SELECT * FROM range(1000000000000)", {}, { maxRows: 50 });
        assert.deepEqual([cut.rows.length, cut.isTruncated], [50, true]);
        const whole = await warehouse.query("SELECT * FROM range(50)", {}, { maxRows: 50 });
        assert.deepEqual([whole.rows.length, whole.isTruncated], [50, false]);
        assert.equal((await warehouse.query("FROM range(1000000)")).rows.length, 10_000);
      }));

    test("what makes small values, and what reads nothing, is run", () =>
      withWarehouse(async (warehouse) => {
        for (const sql of [
          "WITH a AS (SELECT 1 AS n) SELECT n FROM a",
          "WITH a AS (SELECT 1 AS n), b AS (SELECT n FROM a) SELECT (WITH c AS (FROM b) SELECT n FROM c) FROM a",
          "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT max(n) FROM r",
          "SELECT regexp_replace(replace(path, '/', ':'), '[0-9]+', ':id', 'g') FROM access",
          "SELECT unnest(range(0, 24))",
          "SELECT lpad('7', 3, '0'), repeat('ab', 3), format('{:>10}', 'x')",
          "SELECT * FROM generate_series(TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-02', INTERVAL 1 hour)",
          "FROM requests SELECT count(*)",
          "SELECT quantile_disc(rt_ms, [0.5, 0.95]) OVER () FROM access QUALIFY true",
          "PIVOT (SELECT status, service FROM access) ON status IN (200, 500) USING count(*)",
          "VALUES (1), (2)",
        ]) {
          await warehouse.query(sql);
        }
      }));

    for (const [what, sql, code] of REFUSED) {
      test(`refused: ${what}`, () =>
        withWarehouse(async (warehouse) => {
          await assert.rejects(warehouse.query(sql), hasCode(code));
          assert.deepEqual(await rows(warehouse, "SELECT count(*) FROM access"), [[0]]);
        }));
    }
  });
}

export function hasCode(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SlipwayError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}

/** Requests by key, from the rollup. */
function rollupOf(warehouse: Warehouse): Promise<readonly (readonly CellValue[])[]> {
  return warehouse
    .query(`SELECT minute, service, release, class, probe, sum(n) AS n, sum(bytes) AS bytes FROM rollup
      GROUP BY ALL HAVING sum(n) <> 0 ORDER BY ALL`)
    .then(({ rows }) => rows);
}

/** The same, counted from the requests themselves. */
function recountOf(warehouse: Warehouse): Promise<readonly (readonly CellValue[])[]> {
  return warehouse
    .query(`SELECT date_trunc('minute', ts) AS minute, service, release, class, probe, count(*) AS n, sum(bytes) AS bytes
      FROM access GROUP BY ALL ORDER BY ALL`)
    .then(({ rows }) => rows);
}

const NOT_SELECT = "QUERY_NOT_SELECT";

const REFUSED: readonly (readonly [string, string, string])[] = [
  ["INSERT", "INSERT INTO off VALUES ('a', 1)", NOT_SELECT],
  ["DELETE", "DELETE FROM hot_access", NOT_SELECT],
  ["DROP", "DROP VIEW access", NOT_SELECT],
  ["CREATE", "CREATE TABLE t (a INT)", NOT_SELECT],
  ["WITH that writes", "WITH a AS (SELECT 1) INSERT INTO off SELECT 'a', 1", NOT_SELECT],
  ["two statements", "SELECT 1; DROP TABLE off", NOT_SELECT],
  ["two SELECTs", "SELECT 1; SELECT 2", NOT_SELECT],
  ["no statement", "-- nothing", NOT_SELECT],
  ["ATTACH", "ATTACH '/tmp/other.duckdb'", NOT_SELECT],
  ["COPY", "COPY (SELECT 1) TO '/tmp/out.csv'", NOT_SELECT],
  ["EXPORT", "EXPORT DATABASE '/tmp/out'", NOT_SELECT],
  ["INSTALL", "INSTALL httpfs", NOT_SELECT],
  ["LOAD", "LOAD httpfs", NOT_SELECT],
  ["SET", "SET memory_limit = '100GB'", NOT_SELECT],
  ["RESET", "RESET memory_limit", NOT_SELECT],
  ["PRAGMA", "PRAGMA database_list", NOT_SELECT],
  ["CALL", "CALL duckdb_tables()", NOT_SELECT],
  ["EXPLAIN ANALYZE", "EXPLAIN ANALYZE SELECT 1", NOT_SELECT],
  ["CHECKPOINT", "CHECKPOINT", NOT_SELECT],
  ["BEGIN", "BEGIN", NOT_SELECT],
  ["PREPARE", "PREPARE p AS SELECT 1", NOT_SELECT],
  ["DESCRIBE", "DESCRIBE access", NOT_SELECT],
  ["read_csv", "SELECT * FROM read_csv('/etc/passwd')", NOT_SELECT],
  ["read_text", "SELECT * FROM read_text('/etc/passwd')", NOT_SELECT],
  ["read_blob", "SELECT * FROM read_blob('/etc/passwd')", NOT_SELECT],
  ["read_parquet", "SELECT * FROM read_parquet('days/*.parquet')", NOT_SELECT],
  ["read_json in a subquery", "SELECT (SELECT count(*) FROM read_json('/etc/passwd'))", NOT_SELECT],
  ["glob", "SELECT * FROM glob('/etc/*')", NOT_SELECT],
  ["a file as a table", "SELECT * FROM '/etc/passwd'", NOT_SELECT],
  ["an address as a table", "SELECT * FROM 'https://example.com/x.parquet'", NOT_SELECT],
  ["sniff_csv", "FROM sniff_csv('/etc/passwd')", NOT_SELECT],
  ["SQL in a string", "SELECT * FROM query('DROP TABLE off')", NOT_SELECT],
  ["a table in a string", "SELECT * FROM query_table('off')", NOT_SELECT],
  ["settings", "SELECT * FROM duckdb_settings()", NOT_SELECT],
  ["secrets", "SELECT * FROM duckdb_secrets()", NOT_SELECT],
  ["one setting", "SELECT current_setting('memory_limit')", NOT_SELECT],
  ["the environment", "SELECT getenv('HOME')", NOT_SELECT],
  ["the catalog", "SELECT * FROM information_schema.tables", NOT_SELECT],
  ["tables behind the views", "SELECT * FROM hot_access", NOT_SELECT],
  ["a text of any length", "SELECT length(repeat('x', 2000000000))", NOT_SELECT],
  [
    "a text as long as a value",
    "SELECT sum(length(rpad(path, status * 1000000, 'x'))) FROM access",
    NOT_SELECT,
  ],
  ["a list of any length", "SELECT len(generate_series(1, 1000000000000))", NOT_SELECT],
  ["a text of a text of a text", "SELECT length(repeat(repeat(repeat('x', 1000), 1000), 1000))", NOT_SELECT],
  [
    "a text that each part makes longer",
    "WITH a AS (SELECT repeat(path, 1000) AS t FROM access), b AS (SELECT replace(t, '/', repeat('x', 1000)) AS t FROM a) SELECT max(t) FROM b",
    NOT_SELECT,
  ],
  ["a list of lists", "SELECT list_transform(range(1000), x -> range(1000))", NOT_SELECT],
  ["a fold that doubles", "SELECT length(list_reduce(range(45)::VARCHAR[], (a, b) -> a || a))", NOT_SELECT],
  [
    "a recursion that multiplies",
    "WITH RECURSIVE r(t) AS (SELECT 'x' UNION ALL SELECT repeat(t, 1000) FROM r) SELECT max(length(t)) FROM r",
    NOT_SELECT,
  ],
  [
    "a table under a name that WITH gives elsewhere",
    "SELECT * FROM off, (WITH off AS (SELECT 1) FROM off)",
    NOT_SELECT,
  ],
  [
    "a table under a name that WITH gives later",
    "WITH a AS (FROM off), off AS (SELECT 1) FROM a",
    NOT_SELECT,
  ],
  ["a table under the name that WITH gives it", "WITH off AS (FROM off) FROM off", NOT_SELECT],
  [
    "a table as the beginning of a recursion of its name",
    "WITH RECURSIVE off(a) AS (SELECT stream FROM off UNION ALL SELECT a FROM off WHERE false) FROM off",
    NOT_SELECT,
  ],
  ["a wide format", "SELECT format('{:>2000000000}', 'x')", NOT_SELECT],
  ["no such column", "SELECT nothing FROM access", "QUERY_SYNTAX"],
  ["no such function", "SELECT nothing_like_it(1)", "QUERY_SYNTAX"],
  ["a slip of the pen", "SELEC 1", "QUERY_SYNTAX"],
  ["an empty text", "", NOT_SELECT],
];
