/**
 * An access log from the file to durable rows that SQL finds, by the code of `slipway logs import`; beside it Debian's
 * GoAccess 1.7, which makes its report of the same file. Each in a process of its own. Writes results/ingest.md.
 *
 *   node bench/ingest.bench.ts [rounds, 3] [lines, 3000000] [lines for GoAccess, the same]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderTable, systemClock, writeAtomic } from "../packages/base/src/index.ts";
import { importFiles, THREADS_BESIDE_PARSER } from "../packages/slipway/src/observe/import/import.ts";
import { openDuckWarehouse } from "../packages/slipway/src/observe/warehouse/duckdb/open.ts";
import { accessLogFile, THREE_MILLION } from "./access-fixture.ts";
import { MISSED_GOAL, machineLine, resultFile } from "./machine.ts";

const GOAL_PER_SECOND = 500_000;
const GOAL_RATIO = 18;
const GOAL_RSS_MB = 700;

interface Run {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Peak. */
  readonly rssMb: number;
  readonly bytes: number;
}

if (process.argv[2] === "--one") await one(process.argv[3] as string, process.argv[4] as string);
else await main();

/** One import, in its own process: opened, imported, closed. */
async function one(folder: string, file: string): Promise<void> {
  const began = performance.now();
  const warehouse = await openDuckWarehouse({ folder, threads: THREADS_BESIDE_PARSER });
  await importFiles([file], { warehouse, service: "web", now: () => systemClock.now() });
  const { access, logs, quarantine } = warehouse.figures();
  await warehouse.close();
  const seconds = (performance.now() - began) / 1000;
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  const bytes = readdirSync(folder)
    .map((name) => statSync(join(folder, name)))
    .reduce((sum, found) => sum + (found.isFile() ? found.size : 0), 0);
  const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6;
  console.log(
    JSON.stringify({ seconds, cpuSeconds, rssMb: maxRSS / 1000, bytes, lines: access + logs + quarantine }),
  );
}

async function main(): Promise<void> {
  const [rounds = 3, lines = THREE_MILLION.lines, peerLines = lines] = process.argv.slice(2).map(Number);
  const directory = mkdtempSync(join(tmpdir(), "slipway-bench-ingest-"));
  try {
    const file = accessLogFile(join(directory, "access"), { ...THREE_MILLION, lines });
    const peerFile = accessLogFile(join(directory, "access"), { ...THREE_MILLION, lines: peerLines });
    const own = Array.from({ length: rounds }, (_, round) =>
      imported(join(directory, String(round)), file, lines),
    );
    const peer = goaccess(peerFile, join(directory, "report.json"));
    await tell(rounds, lines, peerLines, own, peer);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function imported(folder: string, file: string, lines: number): Run {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [import.meta.filename, "--one", folder, file],
    {
      encoding: "utf8",
    },
  );
  rmSync(folder, { recursive: true, force: true });
  if (status !== 0) throw new Error(`the import failed:\n${stderr}`);
  const run = JSON.parse(stdout) as Run & { lines: number };
  if (run.lines !== lines) throw new Error(`of ${lines} lines ${run.lines} are stored`);
  return run;
}

/** Undefined where it is not installed. */
function goaccess(file: string, report: string): Pick<Run, "seconds" | "cpuSeconds"> | undefined {
  const format = '%h %^[%d:%t %^] "%r" %s %b "%R" "%u" %T %^';
  const script = `goaccess "$1" --no-global-config --no-progress --log-format='${format}' --date-format=%d/%b/%Y --time-format=%H:%M:%S -o "$2" >/dev/null && times`;
  const began = performance.now();
  const { status, stdout } = spawnSync("sh", ["-c", script, "sh", file, report], { encoding: "utf8" });
  if (status !== 0) return undefined;
  const seconds = (performance.now() - began) / 1000;
  const times = (stdout.trim().split("\n")[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g);
  const cpuSeconds = [...times].reduce(
    (sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest),
    0,
  );
  return { seconds, cpuSeconds };
}

async function tell(
  rounds: number,
  lines: number,
  peerLines: number,
  own: readonly Run[],
  peer: ReturnType<typeof goaccess>,
): Promise<void> {
  const best = own.reduce((a, b) => (a.seconds <= b.seconds ? a : b));
  const leastCpu = Math.min(...own.map(({ cpuSeconds }) => cpuSeconds));
  const rssMb = Math.max(...own.map((run) => run.rssMb));
  const figure = (value: number): string => Math.round(value).toLocaleString("en");
  const perSecond = lines / best.seconds;
  const table = renderTable([
    ["what", "lines/s", "wall s", "CPU s", "lines/s of CPU", "peak MB", "bytes a line"],
    ...own.map((run) => [
      "slipway logs import",
      figure(lines / run.seconds),
      run.seconds.toFixed(1),
      run.cpuSeconds.toFixed(1),
      figure(lines / run.cpuSeconds),
      figure(run.rssMb),
      (run.bytes / lines).toFixed(1),
    ]),
    ...(peer === undefined
      ? []
      : [
          [
            "GoAccess 1.7",
            figure(peerLines / peer.seconds),
            peer.seconds.toFixed(1),
            peer.cpuSeconds.toFixed(1),
            figure(peerLines / peer.cpuSeconds),
            "",
            "",
          ],
        ]),
  ]);
  const ratio = peer === undefined ? undefined : perSecond / (peerLines / peer.seconds);
  const cpuRatio = peer === undefined ? undefined : lines / leastCpu / (peerLines / peer.cpuSeconds);
  const page = [
    "# From a log file to durable rows",
    "",
    `- ${lines.toLocaleString("en")} lines, best of ${rounds}: ${figure(perSecond)} lines/s (goal: ${figure(GOAL_PER_SECOND)}), ${figure(rssMb)} MB at most (goal: ${GOAL_RSS_MB})`,
    ratio === undefined || cpuRatio === undefined
      ? "- GoAccess is not installed"
      : `- ${ratio.toFixed(1)} times GoAccess by the clock (goal: ${GOAL_RATIO}), ${cpuRatio.toFixed(1)} times by CPU seconds; it read ${peerLines.toLocaleString("en")} lines of the same kind`,
    `- ${machineLine()}`,
    "- On a machine that is busy with other work the clock measures that work too; the ratios are of one run",
    "",
    "```",
    table,
    "```",
    "",
  ].join("\n");
  console.log(page);
  if (lines >= THREE_MILLION.lines) await writeAtomic(resultFile("ingest"), page);
  const missed = [
    perSecond < GOAL_PER_SECOND && "lines/s",
    (ratio ?? GOAL_RATIO) < GOAL_RATIO && "ratio",
    rssMb > GOAL_RSS_MB && "memory",
  ].filter(Boolean);
  if (missed.length === 0) return;
  console.error(`missed: ${missed.join(", ")}`);
  process.exitCode = MISSED_GOAL;
}
