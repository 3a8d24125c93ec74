import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { seededRandom, VirtualClock } from "@slipway/base";
import fc from "fast-check";
import { Collector } from "./collector.ts";
import type { Taker } from "./passage.ts";
import { Sources } from "./sources.ts";
import { Tail, type TailOptions } from "./tail.ts";
import { labelsFor, lineReader, memoryWarehouse, podLog, TestLog } from "./testing.ts";

function stage(t: Pick<TestContext, "after">) {
  const directory = mkdtempSync(join(tmpdir(), "slipway-tail-"));
  const clock = new VirtualClock();
  const warehouse = memoryWarehouse();
  const known = { pods: true };
  const tails: Tail[] = [];
  const collect = (): Collector =>
    new Collector({
      warehouse,
      sources: new Sources(warehouse),
      labelsOf: (log) => (known.pods ? labelsFor(log) : undefined),
      openReader: ({ framing }, source) => lineReader(framing, source),
      now: () => clock.now(),
    });
  const follow = (options: Partial<TailOptions> = {}): Tail => {
    const places = [{ kind: "slipway", directory, cluster: "osaka", node: "" } as const];
    const problem = (error: unknown): void => assert.fail(String(error));
    const tail = new Tail({ places, taker: collect(), clock, onProblem: problem, ...options });
    tails.push(tail);
    return tail;
  };
  t.after(() => {
    for (const tail of tails) tail.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    directory,
    clock,
    warehouse,
    known,
    follow,
    collect,
    log: (path = "uid-1/web/0.log") => new TestLog(join(directory, path)),
    stored: () => warehouse.logs.map(({ text }) => text),
  };
}

/** Until nothing moves any more. */
async function drain(tail: Tail): Promise<void> {
  for (let quiet = 0; quiet < 2; ) quiet = (await tail.round()) ? 0 : quiet + 1;
}

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

/** Anything may happen between any two reads; in the end every line is stored, once, in the order it was written. */
const steps = [
  "write",
  "write",
  "write",
  "burst",
  "part",
  "rotate",
  "rotate by time",
  "round",
  "round",
  "kill",
  "refuse",
  "lose the answer",
  "restart",
  "delete",
  "wait",
] as const;

test("rotation × restarts × kills × refused commits × lost answers: each line once and in order", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...steps), { minLength: 5, maxLength: 60 }),
      fc.integer(),
      async (script, seed) => {
        const ends: (() => void)[] = [];
        const { directory, log, clock, warehouse, follow, collect, stored } = stage({
          after: (end: unknown) => void ends.push(end as () => void),
        });
        try {
          const random = seededRandom(seed);
          const written = new Map<string, string[]>();
          const pods = ["uid-1", "uid-2"];
          const logs = new Map<string, { log: TestLog; old: string[]; name: string; isPart: boolean }>();
          const attempts = new Map<string, number>();
          const open = (pod: string): { log: TestLog; old: string[]; name: string; isPart: boolean } => {
            const attempt = attempts.get(pod) ?? 0;
            const name = `${pod}/${attempt}`;
            const made = { log: log(`${pod}/web/${attempt}.log`), old: [], name, isPart: false };
            logs.set(pod, made);
            written.set(name, written.get(name) ?? []);
            return made;
          };
          let next = 0;
          const write = (pod: string, tag: "F" | "P"): void => {
            const here = logs.get(pod) ?? open(pod);
            const text = `${here.name}:${next}${"x".repeat(random.int(40))};`;
            next += 1;
            const lines = written.get(here.name) as string[];
            if (here.isPart) lines.push(`${lines.pop()}${text}`);
            else lines.push(text);
            here.isPart = tag === "P";
            here.log.line(text, tag);
          };
          let answers: "all" | "lost" = "all";
          const away = (collector: Collector): Taker => ({
            offsets: (streams) => collector.offsets(streams),
            async take(passages) {
              const stored = await collector.take(passages);
              if (answers === "all") return stored;
              answers = "all";
              throw new Error("the answer was lost");
            },
          });
          const begin = (): Tail => {
            // A kill takes the collector along half of the time.
            if (random.ratio(1, 2)) collector = collect();
            return follow({ passageBytes: 300 + random.int(400), taker: away(collector) });
          };
          let collector = collect();
          let tail = begin();
          for (const step of script) {
            const pod = random.pick(pods);
            if (step === "write") write(pod, "F");
            else if (step === "part") write(pod, logs.get(pod)?.isPart === true ? "F" : "P");
            else if (step === "burst")
              for (let count = random.int(12); count > 0; count -= 1) write(pod, "F");
            else if (step === "rotate" || step === "rotate by time") {
              const here = logs.get(pod);
              // A kubelet names its files one way only, and what is rotated was written.
              const wants = pod === "uid-1" ? "rotate" : "rotate by time";
              if (here === undefined || step !== wants || readFileSync(here.log.path).length === 0) continue;
              await tail.round().catch(() => undefined); // rotated away unseen is for the tests above
              if (step === "rotate") here.log.rotate(40);
              else here.log.rotateByTime(here.old, 40);
            } else if (step === "round") await tail.round().catch(() => undefined);
            else if (step === "kill") {
              tail.close();
              tail = begin();
            } else if (step === "refuse") {
              warehouse.beforeCommit = () => {
                warehouse.beforeCommit = () => {};
                throw new Error("the disk is full");
              };
            } else if (step === "lose the answer") answers = "lost";
            else if (step === "restart") {
              attempts.set(pod, (attempts.get(pod) ?? 0) + 1);
              logs.delete(pod);
            } else if (step === "wait") {
              // A line that is left half for long is one: another test.
              if (![...logs.values()].some(({ isPart }) => isPart)) await clock.advance(random.int(3000));
            } else if (logs.has(pod)) {
              await tail.look(); // gone before it was ever seen is for the collector's other end
              rmSync(join(directory, pod), { recursive: true });
              logs.delete(pod);
              pods[pods.indexOf(pod)] = `uid-${next + 10}`;
              // Whoever deletes a pod does not kill the tail at the same moment: what is held is read first.
              answers = "all";
              warehouse.beforeCommit = () => {};
              await drain(tail);
            }
          }
          answers = "all";
          warehouse.beforeCommit = () => {};
          await drain(tail);
          await clock.advance(5000);
          await drain(tail);
          const found = new Map([...written.keys()].map((name) => [name, [] as string[]]));
          for (const text of stored()) found.get(text.slice(0, text.indexOf(":")))?.push(text);
          assert.deepEqual(Object.fromEntries(found), Object.fromEntries(written));
          assert.equal(stored().length, [...written.values()].flat().length);
          assert.deepEqual(warehouse.gaps, []);
        } finally {
          for (const end of ends) end();
        }
      },
    ),
    { numRuns: 150 },
  );
  t.diagnostic("150 scripts");
});
