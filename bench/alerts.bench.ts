/**
 * From a line in a log to Slack's request, end to end: the observer tails the file, parses, stores, counts, decides, and
 * the outbox sends; Slack is the stand-in of the tests. Then 10,000 failed requests in a minute, and how often Slack
 * hears of them. And how fast batches are counted. Writes results/alerts.md.
 *
 *   node bench/alerts.bench.ts [rounds, 25] [seconds of the flood, 60]
 */
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { renderTable, seededRandom, systemClock, until, writeAtomic } from "../packages/base/src/index.ts";
import { startFakeSlack } from "../packages/slipway/src/notify/slack/testing.ts";
import { batchOf, countsForTests, labelsForTests } from "../packages/slipway/src/observe/counts/testing.ts";
import { type WatchedLog, watchLog } from "../packages/slipway/src/observer/alerts/testing.ts";
import { MISSED_GOAL } from "./machine.ts";

const GOAL_MS = 2_000;
const GOAL_PER_SECOND = 1_000_000;
const FLOOD = 10_000;
const EDIT_EVERY_S = 30;
const rounds = Number(process.argv[2] ?? 25);
const floodSeconds = Number(process.argv[3] ?? 60);
const random = seededRandom(7);

async function withLog<T>(
  work: (watched: WatchedLog, slack: Awaited<ReturnType<typeof startFakeSlack>>) => Promise<T>,
): Promise<T> {
  const slack = await startFakeSlack();
  const folder = await mkdtemp(join(tmpdir(), "slipway-bench-alerts-"));
  const watched = await watchLog({
    folder,
    slack: { botToken: "xoxb-1", channel: "#deploys", apiUrl: slack.url },
  });
  try {
    // Requests come before: what is measured is a service that runs.
    await watched.append(Array<number>(1_000).fill(200));
    await until("the first lines", () => watched.stored() === 1_000, { timeoutMs: 60_000 });
    return await work(watched, slack);
  } finally {
    await watched.close();
    await slack.close();
    await rm(folder, { recursive: true });
  }
}

/** ms from the line's writing to the request. */
function firstFailure(): Promise<number> {
  return withLog(async (watched, slack) => {
    // Anywhere between two looks at the file.
    await systemClock.sleep(random.int(1_000));
    const written = systemClock.monotonic();
    await watched.append([200, 502, 200]);
    await until("the request", () => slack.calls.some(({ method }) => method === "chat.postMessage"), {
      timeoutMs: 60_000,
      everyMs: 2,
    });
    return systemClock.monotonic() - written;
  });
}

interface Flood {
  readonly written: number;
  readonly counted: number;
  readonly posts: number;
  readonly edits: number;
  readonly replies: number;
  /** From the first line until all were counted. */
  readonly tookS: number;
}

function flood(): Promise<Flood> {
  return withLog(async (watched, slack) => {
    const each = Math.round(FLOOD / 600);
    const count = Math.round(floodSeconds * 10) * each;
    const begin = systemClock.monotonic();
    for (let tick = 0; tick * each < count; tick += 1) {
      await watched.append(Array<number>(each).fill(500));
      await systemClock.sleep(Math.max(0, begin + (tick + 1) * 100 - systemClock.monotonic()));
    }
    await until("all lines", () => watched.stored() === 1_000 + count, { timeoutMs: 60_000 });
    let counted = 0;
    const areCounted = async (): Promise<boolean> => {
      const open = (await watched.running.port.list()).open[0];
      const five = open?.facts.find(({ name }) => name === "5xx")?.value ?? "";
      counted = Number(/^[\d,]+/.exec(five)?.[0].replaceAll(",", "") ?? 0);
      return counted === count;
    };
    // They are looked at a moment after they were stored; what is not counted by then never is, and is told below.
    await until("all to be counted", areCounted).catch(() => undefined);
    return {
      written: count,
      counted,
      posts: slack.messages.filter(({ thread }) => thread === undefined).length,
      edits: slack.calls.filter(({ method }) => method === "chat.update").length,
      replies: slack.messages.filter(({ thread }) => thread !== undefined).length,
      tookS: (systemClock.monotonic() - begin) / 1_000,
    };
  });
}

/** Rows per second of one core, best of 5. */
function counting(): number {
  const { counts, dictionaries } = countsForTests();
  for (let source = 1; source <= 20; source += 1) {
    const cluster = source % 2 === 0 ? "tokyo" : "osaka";
    counts.label(source, labelsForTests({ pod: `web-${source}`, release: 1 + (source % 3), cluster }), 0);
  }
  const now = systemClock.now();
  const size = 50_000;
  const batch = batchOf(
    Array.from({ length: size }, (_, index) => ({
      at: now - (size - index) * 2,
      source: 1 + ((index * 7) % 20),
      status: index % 100 === 0 ? 502 : 200,
      ms: (index * 31) % 900,
      path: `/p${index % 50}`,
    })),
    dictionaries,
  );
  let best = 0;
  for (let round = 0; round < 5; round += 1) {
    const { user, system } = process.cpuUsage();
    for (let time = 0; time < 20; time += 1) counts.add(batch, now);
    const used = process.cpuUsage();
    best = Math.max(best, (20 * size) / ((used.user - user + used.system - system) / 1e6));
  }
  return best;
}

const perSecond = counting();
const times: number[] = [];
for (let round = 0; round < rounds; round += 1) times.push(await firstFailure());
times.sort((a, b) => a - b);
const at = (share: number): number => Math.round(times[Math.ceil(share * times.length) - 1] as number);
const flooded = await flood();
const mostEdits = Math.ceil(flooded.tookS / EDIT_EVERY_S);

const text = [
  "# Alerts",
  "",
  `- a line is written to its log → the request to Slack: ${rounds} starts of the observer (goal: p95 at most ${GOAL_MS / 1000} s)`,
  `- ${flooded.written.toLocaleString("en-US")} failed requests in ${floodSeconds} s (goal: one message, at most one edit in ${EDIT_EVERY_S} s)`,
  `- batches of 50,000 requests counted by one core (goal: ${GOAL_PER_SECOND.toLocaleString("en-US")} rows/s)`,
  `- Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model.split(" ").slice(0, 2).join(" ")})`,
  "",
  "```",
  renderTable([
    ["line → Slack, ms", "p50", "p95", "longest"],
    ["", `${at(0.5)}`, `${at(0.95)}`, `${at(1)}`],
  ]),
  "",
  renderTable([
    ["failures", "counted", "messages", "edits", "replies in its thread"],
    [
      flooded.written.toLocaleString("en-US"),
      flooded.counted.toLocaleString("en-US"),
      `${flooded.posts}`,
      `${flooded.edits}`,
      `${flooded.replies}`,
    ],
  ]),
  "",
  `counted: ${Math.round(perSecond).toLocaleString("en-US")} rows/s of one core`,
  "```",
  "",
].join("\n");
console.log(text);
if (process.argv.length <= 2) await writeAtomic(join(import.meta.dirname, "results/alerts.md"), text);
// What is counted and sent is no matter of time: a busy machine does not excuse it.
if (flooded.posts !== 1 || flooded.edits > mostEdits || flooded.counted !== flooded.written) {
  console.error(`alerts: ${JSON.stringify(flooded)} with at most ${mostEdits} edits expected`);
  process.exit(2);
}
process.exit(at(0.95) <= GOAL_MS && perSecond >= GOAL_PER_SECOND ? 0 : MISSED_GOAL);
