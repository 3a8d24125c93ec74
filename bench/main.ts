/**
 * Runs the benchmarks one after the other: `node bench/main.ts` for the figures in results/, `--short` to see that each
 * still runs. A goal that is missed fails only the full run: a busy machine must not fail a build.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { MISSED_GOAL } from "./machine.ts";

const isShort = process.argv.includes("--short");
const benchmarks: readonly {
  readonly file: string;
  readonly short: readonly string[];
  readonly hasTimedGoal: boolean;
}[] = [
  { file: "simulation.bench.ts", short: ["1", "60"], hasTimedGoal: false },
  // Its calm form is a test of the simulation lane.
  { file: "corpus.bench.ts", short: [], hasTimedGoal: false },
  // Ten minutes, because kubectl waits so long; it says so and ends where there is no real Kubernetes.
  { file: "causes.bench.ts", short: [], hasTimedGoal: true },
  // Most of an hour, on a real Kubernetes; it keeps what has run.
  { file: "corpus-real.bench.ts", short: [], hasTimedGoal: false },
  { file: "release-faults.bench.ts", short: ["0", "20"], hasTimedGoal: false },
  { file: "store.bench.ts", short: ["1"], hasTimedGoal: true },
  // No goal of it is a time.
  { file: "push.bench.ts", short: ["10", "64"], hasTimedGoal: false },
  // Starts Debian's Docker beside; says so where there is none.
  { file: "build.bench.ts", short: ["2", "100"], hasTimedGoal: true },
  { file: "local.bench.ts", short: ["1", "3"], hasTimedGoal: true },
  { file: "verify.bench.ts", short: ["3", "short"], hasTimedGoal: true },
  // In the sandbox; no goal of it is a time.
  { file: "verify-killed.bench.ts", short: ["3"], hasTimedGoal: false },
  { file: "compose.bench.ts", short: ["1"], hasTimedGoal: true },
  { file: "preflight.bench.ts", short: ["1", "50", "500"], hasTimedGoal: true },
  // Its first part says so and is left out where there is no real Kubernetes.
  { file: "deploy.bench.ts", short: ["1", "clusters"], hasTimedGoal: true },
  { file: "edge.bench.ts", short: ["2", "1"], hasTimedGoal: true },
  { file: "ingest.bench.ts", short: ["1", "100000"], hasTimedGoal: true },
  { file: "panels.bench.ts", short: ["500000", "2"], hasTimedGoal: true },
  // No goal of it is a time.
  { file: "warehouse-kill.bench.ts", short: ["3", "20000"], hasTimedGoal: false },
  { file: "parse.bench.ts", short: ["1", "200000"], hasTimedGoal: true },
  { file: "steady.bench.ts", short: ["3", "200"], hasTimedGoal: true },
  { file: "alerts.bench.ts", short: ["2", "6"], hasTimedGoal: true },
  // Memory is no time; the short form lets time go twenty times faster.
  { file: "dashboard.bench.ts", short: ["0.33", "20"], hasTimedGoal: true },
  { file: "demo.bench.ts", short: [], hasTimedGoal: true },
];

let failed = 0;
for (const { file, short, hasTimedGoal } of benchmarks) {
  if (isShort && short.length === 0) continue; // long by nature
  console.log(`\n── ${file} ${isShort ? short.join(" ") : ""}`);
  const { status } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, file), ...(isShort ? short : [])],
    { stdio: "inherit" },
  );
  const isMissedGoal = status === MISSED_GOAL && hasTimedGoal;
  if (status !== 0 && !(isShort && isMissedGoal)) {
    failed += 1;
    console.error(`bench: ${file} ended with ${status}`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;
