import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Worker } from "node:worker_threads";
import { SlipwayError, thisProcess } from "@slipway/base";
import { hasCode } from "../cases.ts";
import { sampleLabels, sampleLines } from "../sample.ts";
import { closeDatabase, connect, openDatabase, rowsOf } from "./connection.ts";
import { openWarehouse } from "./open.ts";
import { SCHEMA_VERSION } from "./schema.ts";
import { prepareSchema } from "./upgrade.ts";

const root = mkdtempSync(join(tmpdir(), "slipway-warehouse-"));
after(() => rmSync(root, { recursive: true, force: true }));
let number = 0;
const newFolder = (): string => {
  number += 1;
  return join(root, String(number));
};
const module = JSON.stringify(new URL("open.ts", import.meta.url).href);
const opening = (folder: string): string =>
  `const { openWarehouse } = await import(${module});
   try { await openWarehouse({ folder: ${JSON.stringify(folder)} }); tell("opened"); } catch (error) { tell(error.code + ": " + error.message); }`;

test("what was stored is there after a restart: rows, positions, ids", async () => {
  const folder = newFolder();
  const first = await openWarehouse({ folder });
  const source = first.sourceOf(sampleLabels());
  await first.commit({
    lines: sampleLines(first, { count: 3000, source, fromMs: 1e12 }),
    offsets: [{ stream: "s", position: 5 }],
  });
  const route = first.dictionaries.route.idOf("/recipes");
  await first.close();
  const second = await openWarehouse({ folder });
  try {
    assert.equal(second.sourceOf(sampleLabels()), source);
    assert.equal(second.dictionaries.route.idOf("/recipes"), route);
    assert.equal(second.offsetOf("s"), 5);
    assert.deepEqual((await second.query("SELECT count(*) FROM requests")).rows, [[3000]]);
    const { access, committed, oldestMs, newestMs } = second.figures();
    assert.deepEqual([access, committed, oldestMs, newestMs], [3000, 1, 1e12, 1e12 + 29_990]);
    assert.ok(second.figures().bytes > 20_000);
  } finally {
    await second.close();
  }
});

test("a second opening in the same process is refused, and allowed after the first is closed", async () => {
  const folder = newFolder();
  const first = await openWarehouse({ folder });
  await assert.rejects(openWarehouse({ folder }), (error) => {
    assert.ok(error instanceof SlipwayError);
    assert.equal(error.code, "WAREHOUSE_HELD");
    assert.match(error.message, /this process/);
    return true;
  });
  await assert.rejects(openWarehouse({ folder: `${folder}/../${number}` }), hasCode("WAREHOUSE_HELD"));
  await first.close();
  await (await openWarehouse({ folder })).close();
});

test("a worker thread is refused while the main thread has it open", async () => {
  const folder = newFolder();
  const first = await openWarehouse({ folder });
  const code = `import { parentPort } from "node:worker_threads"; const tell = (text) => parentPort.postMessage(text); ${opening(folder)}`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  const [said] = await once(worker, "message");
  assert.match(String(said), /^WAREHOUSE_HELD: this process/);
  await worker.terminate();
  await first.close();
});

test("another process is refused with who holds it, and takes over when that one was killed", async () => {
  const folder = newFolder();
  const script = `const tell = (text) => console.log(text); ${opening(folder)}; setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said] = await once(child.stdout, "data");
  assert.equal(String(said).trim(), "opened");
  await assert.rejects(openWarehouse({ folder }), (error) => {
    assert.ok(error instanceof SlipwayError);
    assert.equal(error.code, "WAREHOUSE_HELD");
    assert.match(error.message, new RegExp(`process ${child.pid} on .* has the warehouse open`));
    return true;
  });
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.ok(existsSync(join(folder, "warehouse.lock")), "the killed one left its lock");
  const taken = await openWarehouse({ folder });
  assert.equal(JSON.parse(readFileSync(join(folder, "warehouse.lock"), "utf8")).pid, process.pid);
  await taken.close();
  assert.equal(existsSync(join(folder, "warehouse.lock")), false);
});

test("a lock of another host is not taken: whether its holder lives cannot be seen", async () => {
  const folder = newFolder();
  await (await openWarehouse({ folder })).close();
  const other = { ...thisProcess(), host: "elsewhere", pid: 17 };
  writeFileSync(join(folder, "warehouse.lock"), JSON.stringify(other));
  await assert.rejects(openWarehouse({ folder }), (error) => {
    assert.ok(error instanceof SlipwayError);
    assert.match(error.message, /process 17 on elsewhere had the warehouse open/);
    return true;
  });
});

test("a lock whose number was given to another process is taken over", async () => {
  const folder = newFolder();
  await (await openWarehouse({ folder })).close();
  writeFileSync(join(folder, "warehouse.lock"), JSON.stringify({ ...thisProcess(), startTicks: "1" }));
  await (await openWarehouse({ folder })).close();
});

test("what is not a warehouse is told, and the lock is free again", async () => {
  const folder = newFolder();
  await (await openWarehouse({ folder })).close();
  writeFileSync(
    join(folder, "warehouse.duckdb"),
    "not a database, but long enough to be read as one".repeat(500),
  );
  await assert.rejects(openWarehouse({ folder }), hasCode("WAREHOUSE_OPEN"));
  assert.equal(existsSync(join(folder, "warehouse.lock")), false);
});

test("what an earlier version knew of streams is kept, and heard of just now", async () => {
  const folder = newFolder();
  const before = Date.now();
  const first = await openWarehouse({ folder });
  await first.commit({ lines: sampleLines(first), offsets: [{ stream: "s", position: 5 }] });
  await first.close();
  const database = await openDatabase(join(folder, "warehouse.duckdb"), { threads: "1" });
  const connection = await connect(database);
  await connection.sql.run("ALTER TABLE off DROP COLUMN heard");
  await connection.sql.run("UPDATE meta SET value = 1 WHERE key = 'version'");
  connection.sql.disconnectSync();
  closeDatabase(database);
  const second = await openWarehouse({ folder });
  try {
    const [stream] = await second.streams();
    assert.ok(stream !== undefined && stream.heardMs >= before && stream.heardMs <= Date.now());
    assert.equal(second.offsetOf("s"), 5);
    await second.commit({ lines: sampleLines(second), offsets: [{ stream: "s", position: 6 }] });
    assert.equal(second.offsetOf("s"), 6);
  } finally {
    await second.close();
  }
});

test("sources without a line are gone after a restart, and their ids are nobody else's while others are higher", async () => {
  const folder = newFolder();
  const first = await openWarehouse({ folder });
  const pod = (number: number) => sampleLabels({ pod: `web-${number}` });
  const ids = Array.from({ length: 1_200 }, (_, number) => first.sourceOf(pod(number)));
  const used = ids[700] as number;
  await first.commit({
    lines: sampleLines(first, { count: 10, source: used, fromMs: 1e12 }),
    offsets: [],
    gaps: [{ ts: 1e12, source: ids[3] as number, from: 0, to: 1 }],
  });
  await first.close();
  const second = await openWarehouse({ folder });
  try {
    assert.deepEqual((await second.query("SELECT pod FROM sources ORDER BY id")).rows, [
      ["web-3"],
      ["web-700"],
    ]);
    assert.equal(second.sourceOf(pod(700)), used);
    const again = second.sourceOf(pod(0));
    assert.ok(again > used);
    await second.commit({
      lines: sampleLines(second, { count: 5, source: again, fromMs: 1e12 }),
      offsets: [],
    });
    assert.deepEqual(
      (await second.query("SELECT pod, count(*) FROM access GROUP BY pod ORDER BY pod")).rows,
      [
        ["web-0", 5],
        ["web-700", 10],
      ],
    );
  } finally {
    await second.close();
  }
});

test("a later schema is refused, an earlier one is brought up step by step, all or nothing", async () => {
  const database = await openDatabase(":memory:", { threads: "1" });
  const connection = await connect(database);
  const next = SCHEMA_VERSION + 1;
  await prepareSchema(connection, "here");
  await prepareSchema(connection, "here");
  const failing = { [SCHEMA_VERSION]: ["ALTER TABLE off ADD COLUMN note VARCHAR", "SELECT nothing"] };
  await assert.rejects(prepareSchema(connection, "here", failing, next));
  const steps = { [SCHEMA_VERSION]: ["ALTER TABLE off ADD COLUMN note VARCHAR DEFAULT 'new'"] };
  await prepareSchema(connection, "here", steps, next);
  await connection.sql.run("INSERT INTO off (stream, position) VALUES ('s', 1)");
  assert.deepEqual(await rowsOf(connection, "SELECT note FROM off"), [{ note: "new" }]);
  await assert.rejects(prepareSchema(connection, "here"), (error) => {
    assert.ok(error instanceof SlipwayError);
    assert.equal(error.code, "WAREHOUSE_NEWER");
    assert.match(error.message, new RegExp(`schema ${next}`));
    return true;
  });
  connection.sql.disconnectSync();
  closeDatabase(database);
});
