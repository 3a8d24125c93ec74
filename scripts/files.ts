/**
 * Runs test files, each a process of its own for a bounded time: `node scripts/files.ts CONCURRENCY LIMIT_MS FILE…`. Prints what
 * `reporter.ts` says of each file when it is over, and one line for all of them.
 *
 * `node --test` would do, but for a file whose process does not end after its tests: nothing there limits it, and the lane waits for
 * ever. Each file therefore has a process group, and what is left of it when its time is over is ended.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SHOWN_CHARACTERS = 8_000;

const [concurrency, limitMs] = process.argv.slice(2, 4).map(Number) as [number, number];
const files = process.argv.slice(4);
const reports = await mkdtemp(join(tmpdir(), "slipway-tests-"));
const running = new Set<ChildProcess>();
const totals = { passed: 0, failed: 0, skipped: 0 };

// The groups are not the terminal's: what ends this process does not reach them by itself.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, giveUp);
process.stdout.on("error", giveUp); // whoever started this is gone

const waiting = files.entries();
await Promise.all(Array.from({ length: concurrency }, work));
await rm(reports, { recursive: true, force: true });
process.stdout.write(`lane: ${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`);
process.exitCode = totals.failed > 0 ? 1 : 0;

async function work(): Promise<void> {
  for (const [index, file] of waiting) {
    const { report, problem } = await run(file, join(reports, String(index)));
    const [, passed = 0, failed = 0, skipped = 0] = (
      /^lane: (\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(report) ?? []
    ).map(Number);
    totals.passed += passed;
    totals.skipped += skipped;
    totals.failed += problem === undefined ? failed : failed + 1;
    process.stdout.write(report.replace(/^lane: .*\n/m, ""));
    if (problem !== undefined) process.stdout.write(`✗ ${file}:1  ${problem}\n`);
  }
}

/** `problem`: what is wrong with the file as a whole, beside tests that failed. */
async function run(
  file: string,
  reportPath: string,
): Promise<{ readonly report: string; readonly problem: string | undefined }> {
  const hasProperties = (await readFile(file, "utf8").catch(() => "")).includes('from "fast-check"');
  const child = spawn(
    process.execPath,
    [
      ...(hasProperties ? ["--import=./scripts/seed.ts"] : []),
      "--test-reporter=./scripts/reporter.ts",
      `--test-reporter-destination=${reportPath}`,
      "--disable-warning=ExperimentalWarning",
      file,
    ],
    { stdio: ["ignore", "pipe", "pipe"], detached: true },
  );
  running.add(child);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (piece: string) => {
      if (process.env["SLIPWAY_TEST_OUTPUT"]) process.stdout.write(piece);
      said = (said + piece).slice(-SHOWN_CHARACTERS);
    });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    end(child);
  }, limitMs);
  // Not "close": something that a test left behind may hold its output open for longer.
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  running.delete(child);
  for (const stream of [child.stdout, child.stderr]) stream?.destroy();
  const report = await readFile(reportPath, "utf8").catch(() => "");
  const hasFailed = /^lane: \d+ passed, [1-9]/m.test(report);
  // Without it the tests were not over: one ended the process, or there is none.
  const isWhole = /^lane: /m.test(report);
  if (!isLate && (code === 0 ? isWhole : hasFailed)) return { report, problem: undefined };
  const how = isLate
    ? `did not end within ${limitMs / 1000} s`
    : code === 0
      ? "has no tests, or its process ended before they were over"
      : signal === null
        ? `its process ended with exit code ${code}`
        : `its process was ended by ${signal}`;
  const printed = said.trimEnd().replaceAll(/^/gm, "    ");
  return { report, problem: `${how}; it printed${said === "" ? " nothing" : `:\n${printed}`}` };
}

function giveUp(): void {
  for (const child of running) end(child);
  rmSync(reports, { recursive: true, force: true });
  process.exit(130);
}

function end({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended already.
  }
}
