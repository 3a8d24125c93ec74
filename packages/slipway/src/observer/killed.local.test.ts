/**
 * kill -9 of an observer, with its real warehouse, at random moments while logs are written, rotated and begun anew: in
 * the end every line is there once. `SLIPWAY_KILLS` says how often; 12 by default, because each start takes its time.
 */
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { seededRandom, systemClock, until } from "@slipway/base";
import { TestLog } from "../observe/collect/testing.ts";
import { openWarehouse } from "../observe/warehouse/duckdb/open.ts";

const KILLS = Number(process.env["SLIPWAY_KILLS"] ?? 12);
const SEED = Number(process.env["SLIPWAY_SEED"] ?? 7);
const root = mkdtempSync(join(tmpdir(), "slipway-killed-"));
let child: ChildProcess | undefined;
after(() => {
  child?.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});

async function start(): Promise<{ readonly process: ChildProcess; readonly pods: readonly string[] }> {
  const started = fork(
    join(import.meta.dirname, "testing-observer.ts"),
    [join(root, "logs"), join(root, "store")],
    {
      execArgv: ["--disable-warning=ExperimentalWarning"],
    },
  );
  child = started;
  const pods = await new Promise((resolve) => started.once("message", resolve));
  return { process: started, pods: pods as readonly string[] };
}

const gone = (process: ChildProcess): Promise<unknown> =>
  new Promise((resolve) => process.once("exit", resolve));

test(`${KILLS} × kill -9 while logs are written and rotated: each line once`, async (t) => {
  const random = seededRandom(SEED);
  let running = await start();
  const logs = running.pods.map((pod) => ({ pod, attempt: 0, log: logOf(pod, 0), rotations: 0 }));
  let written = 0;
  /** Lines, as it has told. */
  let stored = 0;
  let sum = 0;
  const write = (): void => {
    const one = random.pick(logs);
    for (let count = 1 + random.int(40); count > 0; count -= 1) {
      written += 1;
      sum += written;
      const request = `10.0.0.${written % 250} - - [05/Jan/2026:12:00:00 +0000] "GET /n/${written} HTTP/1.1" 200 5 "-" "curl/8" 0.010 0.009`;
      // Half of them requests; some in parts, the second of which may be behind a rotation.
      if (written % 2 === 0) one.log.line(request);
      else if (random.ratio(1, 5)) {
        one.log.line("n ", "P");
        if (random.ratio(1, 3)) rotate(one);
        one.log.line(String(written));
      } else one.log.line(`n ${written}`);
    }
    if (random.ratio(1, 4)) rotate(one);
    if (random.ratio(1, 30)) {
      one.attempt += 1;
      one.log = logOf(one.pod, one.attempt);
      one.rotations = 0;
    }
  };
  const rotate = (one: (typeof logs)[number]): void => {
    if (statSync(one.log.path).size > 0) one.log.rotate(1000); // none is thrown away: that is a gap, and another test
    one.rotations += 1;
  };

  const listen = ({ process: observing }: typeof running): void =>
    void observing.on("message", (message) => {
      if (typeof message === "number") stored = message;
    });
  for (let kill = 0; kill < KILLS; kill += 1) {
    listen(running);
    // Every other one when it has stored something, however long that takes: the others mostly die before that.
    const before = stored;
    const isStoring = (): boolean => {
      write();
      return stored > before;
    };
    if (kill % 2 === 1) await until("lines of this one to be stored", isStoring, { everyMs: 20 });
    const moment = systemClock.monotonic() + random.int(1500);
    while (systemClock.monotonic() < moment) {
      write();
      await systemClock.sleep(random.int(20));
    }
    running.process.kill("SIGKILL");
    await gone(running.process);
    running = await start();
  }
  listen(running);
  const last = running.process;
  write();
  await until("all lines", () => stored >= written, {
    timeoutMs: 60_000,
    describe: () => `${stored} of ${written}`,
  });
  last.disconnect();
  await gone(last);

  const warehouse = await openWarehouse({ folder: join(root, "store") });
  const ask = async (sql: string): Promise<readonly unknown[]> => (await warehouse.query(sql)).rows[0] ?? [];
  const numbers = `SELECT CAST(regexp_extract(path, '\\d+$') AS BIGINT) AS n FROM access
    UNION ALL SELECT CAST(regexp_extract(text, '\\d+$') AS BIGINT) FROM logs`;
  const found = await ask(`SELECT count(*), count(DISTINCT n), CAST(sum(n) AS DOUBLE) FROM (${numbers})`);
  assert.deepEqual(found, [written, written, sum]);
  assert.deepEqual(await ask("SELECT count(*) FROM quarantine"), [0]);
  assert.deepEqual(await ask("SELECT count(*) FROM gaps"), [0]);
  await warehouse.close();
  t.diagnostic(`${written} lines, seed ${SEED}`);
});

function logOf(pod: string, attempt: number): TestLog {
  return new TestLog(join(root, "logs", pod, "web", `${attempt}.log`));
}
