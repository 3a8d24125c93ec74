import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readlinkSync, rmSync, truncateSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Taker } from "./passage.ts";
import { checkScripts, drain, stage } from "./tail-scripts.ts";
import { podLog, TestLog } from "./testing.ts";

test("lines written between the last read and a rename are read before the next file's", async (t) => {
  const { log, follow, stored } = stage(t);
  const web = log();
  web.line("one");
  const tail = follow();
  await drain(tail);
  assert.deepEqual(stored(), ["one"]);
  web.line("two");
  web.rotate();
  web.line("three");
  await drain(tail);
  assert.deepEqual(stored(), ["one", "two", "three"]);
});

test("a line whose parts lie in two files is one line, also when both are read anew in between", async (t) => {
  const { log, follow, stored } = stage(t);
  const web = log();
  web.line("half", "P");
  const first = follow();
  await drain(first);
  assert.deepEqual(stored(), []);
  first.close();
  web.rotate();
  web.line(" and half");
  await drain(follow());
  assert.deepEqual(stored(), ["half and half"]);
});

test("a last line without an end is a line once nobody goes on with it", async (t) => {
  const { log, follow, stored, clock } = stage(t);
  const web = log();
  web.line("Error: no memory", "P");
  const tail = follow();
  await drain(tail);
  assert.deepEqual(stored(), []);
  await clock.advance(5000);
  await drain(tail);
  assert.deepEqual(stored(), ["Error: no memory"]);
});

test("a container's last line is a line as soon as the next attempt has begun", async (t) => {
  const { log, follow, stored } = stage(t);
  log().line("the end", "P");
  log("uid-1/web/1.log").line("again");
  await drain(follow());
  assert.deepEqual(stored().toSorted(), ["again", "the end"]);
});

test("what a deleted pod had written is read to its end", async (t) => {
  const { log, follow, stored, directory } = stage(t);
  const web = log();
  web.line("one");
  const tail = follow({ passageBytes: 60 });
  await tail.round();
  web.line("two");
  web.line("three");
  web.line("fou", "P");
  rmSync(join(directory, "uid-1"), { recursive: true });
  await drain(tail);
  assert.deepEqual(stored(), ["one", "two", "three", "fou"]);
});

test("a pod is followed for as long as its files are there, also when all of them are stored", async (t) => {
  const { log, follow, directory, clock } = stage(t);
  log().line("one");
  log("uid-1/web/1.log").line("again");
  const tail = follow();
  assert.equal(tail.follows("osaka", "uid-1"), false);
  await drain(tail);
  await clock.advance(3_600_000);
  await drain(tail);
  assert.equal(tail.follows("osaka", "uid-1"), true);
  assert.deepEqual([tail.follows("osaka", "uid"), tail.follows("tokyo", "uid-1")], [false, false]);
  rmSync(join(directory, "uid-1"), { recursive: true });
  await drain(tail);
  await clock.advance(3_600_000);
  await drain(tail);
  assert.equal(tail.follows("osaka", "uid-1"), false);
});

test("lines of a pod that is not known yet wait for it, also when it is deleted meanwhile", async (t) => {
  const { log, follow, stored, known, directory } = stage(t);
  log().line("early");
  known.pods = false;
  const tail = follow();
  await drain(tail);
  rmSync(join(directory, "uid-1"), { recursive: true });
  await drain(tail);
  assert.deepEqual(stored(), []);
  known.pods = true;
  await drain(tail);
  assert.deepEqual(stored(), ["early"]);
});

test("a pod that comes right after its folder was listed is found, also when this process had to wait just then", async (t) => {
  const { log, follow, stored, directory, clock } = stage(t);
  const tick = new Date(Date.UTC(2026, 0, 1));
  log().line("one");
  utimesSync(directory, tick, tick);
  let come = (): void => {
    log("uid-2/web/0.log").line("two");
    utimesSync(directory, tick, tick); // within the same tick of the kernel
    come = () => undefined;
  };
  const late = (): number => {
    come();
    return clock.now() + 2000;
  };
  const sleep: typeof clock.sleep = (ms, signal) => clock.sleep(ms, signal);
  const tail = follow({ clock: { now: late, monotonic: () => clock.monotonic(), sleep } });
  await drain(tail);
  assert.deepEqual(stored().toSorted(), ["one", "two"]);
});

test("a file that is cut off is a new one; what was in it unread is a gap", async (t) => {
  const { log, follow, stored, warehouse } = stage(t);
  const web = log();
  web.line("one");
  const tail = follow();
  await drain(tail);
  truncateSync(web.path);
  web.line("two");
  await drain(tail);
  assert.deepEqual(stored(), ["one", "two"]);
  assert.deepEqual(warehouse.gaps, []);
});

test("compressed files are read where they were left, by their fingerprint", async (t) => {
  const { log, follow, stored } = stage(t);
  const web = log();
  const old: string[] = [];
  for (let number = 0; number < 5; number += 1) web.line(`a${number}`);
  const first = follow({ passageBytes: 150 });
  await first.round();
  assert.ok(stored().length > 0 && stored().length < 5);
  first.close();
  web.rotateByTime(old);
  for (let number = 0; number < 5; number += 1) web.line(`b${number}`);
  web.rotateByTime(old);
  web.line("c");
  await drain(follow());
  assert.deepEqual(stored(), ["a0", "a1", "a2", "a3", "a4", "b0", "b1", "b2", "b3", "b4", "c"]);
});

test("files that went while nobody read are a gap, told once", async (t) => {
  const { log, follow, stored, warehouse } = stage(t);
  const web = log();
  web.line("seen");
  const first = follow();
  await drain(first);
  first.close();
  for (let number = 0; number < 4; number += 1) {
    web.rotate(2);
    web.line(`later ${number}`);
  }
  await drain(follow());
  await drain(follow());
  assert.deepEqual(stored(), ["seen", "later 1", "later 2", "later 3"]);
  assert.deepEqual(
    warehouse.gaps.map(({ from, to }) => [from, to]),
    [[0, 0]],
  );
});

test("a store that is away for long costs the oldest files and says how many bytes", async (t) => {
  const { log, follow, stored, warehouse, collect } = stage(t);
  const web = log();
  web.line("seen");
  const collector = collect();
  const away = { is: false };
  const taker: Taker = {
    offsets: (streams) => collector.offsets(streams),
    take: (passages) => (away.is ? Promise.reject(new Error("away")) : collector.take(passages)),
  };
  const tail = follow({ taker });
  await drain(tail);
  away.is = true;
  for (let number = 0; number < 12; number += 1) {
    web.line(`line ${number}`);
    await tail.round().catch(() => undefined);
    web.rotate(2);
  }
  await tail.round().catch(() => undefined);
  away.is = false;
  web.line("last");
  await drain(tail);
  const kept = stored();
  assert.equal(kept[0], "seen");
  assert.equal(kept.at(-1), "last");
  assert.ok(kept.length < 14);
  assert.equal(warehouse.gaps.length, 1);
  assert.ok((warehouse.gaps[0]?.to ?? 0) > (warehouse.gaps[0]?.from ?? 0));
});

test("however many files are there, none of them is given up", async (t) => {
  const { log, follow, stored, warehouse } = stage(t);
  const web = log();
  const lines = Array.from({ length: 30 }, (_, number) => `line ${number}`);
  for (const line of lines) {
    web.line(line);
    web.rotate(40);
  }
  await drain(follow());
  assert.deepEqual(stored(), lines);
  assert.deepEqual(warehouse.gaps, []);
});

test("a single file is followed with what was rotated away from it", async (t) => {
  const { follow, stored, directory } = stage(t);
  const access = new TestLog(join(directory, "access.log"));
  access.raw('{"a":1}\n');
  access.rotate();
  access.raw('{"b":2}\n{"c":');
  const log = podLog({ origin: "edge", podUid: "edge", container: "access.log", framing: "plain" });
  const tail = follow({ places: [{ kind: "file", path: access.path, log }] });
  await drain(tail);
  assert.deepEqual(stored(), ['{"a":1}', '{"b":2}']);
  access.raw("3}\n");
  await drain(tail);
  assert.deepEqual(stored(), ['{"a":1}', '{"b":2}', '{"c":3}']);
});

test("a log that cannot be read is told, and keeps no other one waiting", async (t) => {
  const { log, follow, stored, directory } = stage(t);
  mkdirSync(join(directory, "uid-0/web/0.log"), { recursive: true });
  log().line("one");
  const problems: unknown[] = [];
  await drain(follow({ onProblem: (error) => problems.push(error) }));
  assert.deepEqual(stored(), ["one"]);
  assert.match(String(problems[0]), /EISDIR/);
});

test("files stored whole are not held open", async (t) => {
  const { log, follow, clock } = stage(t);
  const web = log();
  const tail = follow();
  const isOpen = (name: string): boolean =>
    readdirSync("/proc/self/fd").some((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).endsWith(name);
      } catch {
        return false;
      }
    });
  web.line("one");
  await drain(tail);
  web.rotate();
  web.line("two");
  await drain(tail);
  assert.ok(isOpen("/0.log.1"), "its writer may not have noticed yet");
  await clock.advance(2000);
  await drain(tail);
  assert.ok(!isOpen("/0.log.1"));
  assert.ok(isOpen("/0.log"));
});

test("rotation × restarts × kills × refused commits × lost answers: each line once and in order", async () => {
  await checkScripts(150, async (collector) => ({ taker: collector, close: async () => {} }));
});
