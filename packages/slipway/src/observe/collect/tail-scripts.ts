/**
 * A stage for the reader of log files, and scripts on it: anything may happen between any two reads, and in the end every
 * line is stored, once, in the order it was written.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { seededRandom, VirtualClock } from "@slipway/base";
import fc from "fast-check";
import { Collector } from "./collector.ts";
import type { Taker } from "./passage.ts";
import { Sources } from "./sources.ts";
import { Tail, type TailOptions } from "./tail.ts";
import { labelsFor, lineReader, type MemoryWarehouse, memoryWarehouse, TestLog } from "./testing.ts";

type OpenReader = ConstructorParameters<typeof Collector>[0]["openReader"];

/** `readersOf`: how lines are read; by default each is a log line. */
export function stage(
  t: Pick<TestContext, "after">,
  readersOf: (warehouse: MemoryWarehouse, sources: Sources) => OpenReader = () =>
    ({ framing }, source) =>
      lineReader(framing, source),
) {
  const directory = mkdtempSync(join(tmpdir(), "slipway-tail-"));
  const clock = new VirtualClock();
  const warehouse = memoryWarehouse();
  const known = { pods: true };
  const tails: Tail[] = [];
  const collect = (): Collector => {
    const sources = new Sources(warehouse);
    return new Collector({
      ...{ warehouse, sources, openReader: readersOf(warehouse, sources), now: () => clock.now() },
      labelsOf: (log) => (known.pods ? labelsFor(log) : undefined),
    });
  };
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
export async function drain(tail: Tail): Promise<void> {
  for (let quiet = 0; quiet < 2; ) quiet = (await tail.round()) ? 0 : quiet + 1;
}

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

/** `reach`: how readers reach the collector. */
export async function checkScripts(
  numRuns: number,
  reach: (collector: Collector) => Promise<{ readonly taker: Taker; close(): Promise<void> }>,
  readersOf?: Parameters<typeof stage>[1],
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...steps), { minLength: 5, maxLength: 60 }),
      fc.integer(),
      async (script, seed) => {
        const ends: (() => void)[] = [];
        const { directory, log, clock, warehouse, follow, collect, stored } = stage(
          {
            after: (end: unknown) => void ends.push(end as () => void),
          },
          readersOf,
        );
        let way = { taker: {} as Taker, close: async () => {} };
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
          let made = pods.length;
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
          const away = (inner: Taker): Taker => ({
            offsets: (streams) => inner.offsets(streams),
            async take(passages) {
              const stored = await inner.take(passages);
              if (answers === "all") return stored;
              answers = "all";
              throw new Error("the answer was lost");
            },
          });
          const begin = async (): Promise<Tail> => {
            // A kill takes the collector along half of the time.
            if (random.ratio(1, 2)) {
              await way.close();
              way = await reach(collect());
            }
            return follow({ passageBytes: 300 + random.int(400), taker: away(way.taker) });
          };
          way = await reach(collect());
          let tail = await begin();
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
              tail = await begin();
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
              made += 1;
              pods[pods.indexOf(pod)] = `uid-${made}`;
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
          await way.close();
          for (const end of ends) end();
        }
      },
    ),
    // What `scripts/seed.ts` does where a test file names fast-check itself.
    { numRuns, seed: 1 },
  );
}
