/**
 * What watching costs while a service is asked 1,000 times a second: an observer in a process of its own, with its real
 * warehouse, follows the logs of 20 pods; each request's line carries the time at which it was written. Counted are the
 * observer's processor time and how old lines are when they can be queried. Writes results/steady.md.
 *
 *   node bench/steady.bench.ts [seconds, 30] [lines a second, 1000]
 */
import { type ChildProcess, fork } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderTable, systemClock, until, writeAtomic } from "../packages/base/src/index.ts";
import { observeOf } from "../packages/slipway/src/config/observe.ts";
import { openWarehouse } from "../packages/slipway/src/observe/warehouse/duckdb/open.ts";
import { startObserver } from "../packages/slipway/src/observer/observer.ts";
import { readersOf } from "../packages/slipway/src/observer/readers.ts";
import { MISSED_GOAL, machineLine, resultFile } from "./machine.ts";

const GOAL_CORE = 0.03;
const GOAL_AGE_MS = 2000;
const PODS = 20;
const WARM_UP_MS = 5000;
const TICK_MS = 20;

interface Report {
  readonly lines: number;
  readonly cpuMs: number;
  readonly rssMb: number;
  /** Of each line, when its commit was over. */
  readonly ageMs: { readonly p50: number; readonly p95: number; readonly max: number };
}

if (process.argv[2] === "--observer") await observe(process.argv[3] as string);
else await main();

/** Answers each message with a Report since the last one. */
async function observe(root: string): Promise<void> {
  const config = observeOf(undefined);
  if (config === undefined) throw new Error("no defaults");
  const warehouse = await openWarehouse({ folder: join(root, "store") });
  const observer = startObserver({
    ...{ service: "shop", namespace: "shop", config, targets: [], warehouse, clock: systemClock },
    places: [{ kind: "kubelet", directory: join(root, "pods"), cluster: "osaka", node: "node-1" }],
    readers: (sources) => readersOf(config, warehouse, sources, () => systemClock.now()),
    log: (line) => console.error(line),
  });
  let ages: number[] = [];
  let lines = 0;
  let cpu = process.cpuUsage();
  observer.onLines(({ access }) => {
    const now = systemClock.now();
    lines += access.length;
    for (let line = 0; line < access.length; line += 1) ages.push(now - (access.ts[line] as number));
  });
  process.on("message", () => {
    const { user, system } = process.cpuUsage(cpu);
    ages.sort((a, b) => a - b);
    const at = (share: number): number =>
      ages[Math.min(ages.length - 1, Math.floor(ages.length * share))] ?? 0;
    const report: Report = {
      ...{ lines, cpuMs: (user + system) / 1000, rssMb: process.memoryUsage().rss / 1e6 },
      ageMs: { p50: at(0.5), p95: at(0.95), max: at(1) },
    };
    [ages, lines, cpu] = [[], 0, process.cpuUsage()];
    process.send?.(report);
  });
  process.once("disconnect", () => void observer.close().then(() => process.exit(0)));
  process.send?.("ready");
}

async function main(): Promise<void> {
  const [seconds = 30, rate = 1000] = process.argv.slice(2).map(Number);
  const root = mkdtempSync(join(tmpdir(), "slipway-bench-steady-"));
  try {
    const files = Array.from({ length: PODS }, (_, pod) => {
      const folder = join(root, `pods/shop_web-${pod}_uid-${pod}/web`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "0.log"), "");
      return join(folder, "0.log");
    });
    const child = fork(import.meta.filename, ["--observer", root], {
      execArgv: ["--disable-warning=ExperimentalWarning"],
      env: { ...process.env, UV_THREADPOOL_SIZE: "16" },
    });
    await message(child);
    const stop = new AbortController();
    const writing = write(files, rate, stop.signal);
    await systemClock.sleep(WARM_UP_MS);
    await ask(child);
    await systemClock.sleep(seconds * 1000);
    const report = await ask(child);
    stop.abort();
    const written = await writing;
    let rest = 0;
    await until("the last lines", async () => {
      rest += (await ask(child)).lines;
      return rest > 0;
    });
    child.disconnect();
    await tell(seconds, written.perSecond, report);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function message(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => child.once("message", resolve));
}

function ask(child: ChildProcess): Promise<Report> {
  const answer = message(child);
  child.send("report");
  return answer as Promise<Report>;
}

/** In small pieces, as services write; what a busy machine has delayed is made up for. */
async function write(
  files: readonly string[],
  rate: number,
  signal: AbortSignal,
): Promise<{ readonly perSecond: number }> {
  const began = systemClock.monotonic();
  let written = 0;
  while (!signal.aborted) {
    const due = Math.floor(((systemClock.monotonic() - began) / 1000) * rate);
    for (; written < due; written += 1) {
      const now = new Date(systemClock.now()).toISOString();
      appendFileSync(
        files[written % files.length] as string,
        `${now.slice(0, -1)}000000Z stdout F {"time":"${now}","httpRequest":{"requestMethod":"GET","requestUrl":"/items/${written % 1000}?q=${written}","requestSize":"120","status":200,"responseSize":"512","userAgent":"Mozilla/5.0 (${written % 50})","remoteIp":"10.0.${written % 200}.${written % 99}","referer":"-","latency":"0.0${10 + (written % 90)}s","protocol":"HTTP/1.1"},"upstream_time":"0.010","upstream_status":"200"}\n`,
      );
    }
    await systemClock.sleep(TICK_MS, signal).catch(() => {});
  }
  return { perSecond: written / ((systemClock.monotonic() - began) / 1000) };
}

async function tell(seconds: number, perSecond: number, report: Report): Promise<void> {
  const core = report.cpuMs / (seconds * 1000);
  const { p50, p95, max } = report.ageMs;
  const rows = [
    ["lines written a second", perSecond.toFixed(0), ""],
    ["lines stored a second", (report.lines / seconds).toFixed(0), ""],
    ["processor time", `${(core * 100).toFixed(1)} % of a core`, `at most ${GOAL_CORE * 100} %`],
    ["age when stored, p50", `${p50.toFixed(0)} ms`, ""],
    ["age when stored, p95", `${p95.toFixed(0)} ms`, `at most ${GOAL_AGE_MS} ms`],
    ["age when stored, most", `${max.toFixed(0)} ms`, ""],
    ["memory", `${report.rssMb.toFixed(0)} MB`, ""],
  ];
  const table = renderTable([["what", "measured", "goal"], ...rows]);
  console.log(table);
  await writeAtomic(
    resultFile("steady"),
    `# Watching a service that is asked all the time\n\n${machineLine()}\n\n${seconds} s, ${PODS} pods, \`node bench/steady.bench.ts\`.\n\n\`\`\`\n${table}\n\`\`\`\n`,
  );
  if (core > GOAL_CORE || p95 > GOAL_AGE_MS) process.exitCode = MISSED_GOAL;
}
