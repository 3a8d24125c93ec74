/**
 * 1,000 seeds of 50-pod rollouts under faults: how long they take, how often each fault struck in each step, and how
 * soon each planted bug is caught. Writes results/simulation.md; exits 1 when a property was violated, a fault never
 * struck or a bug survived.
 *
 *   node bench/simulation.bench.ts [first seed, 1] [seeds, 1000]
 */
import { cpus } from "node:os";
import { renderTable, writeAtomic } from "../packages/base/src/index.ts";
import { FAULTS, FaultCounts, MANY_FAULTS } from "../packages/cluster/src/world/faults.ts";
import { PLANTED_BUGS } from "../packages/cluster/src/world/planted-bugs.ts";
import { describeFailure, STEPS, simulateRollout } from "../packages/cluster/src/world/rollout.ts";

const first = Number(process.argv[2] ?? 1);
const seeds = Number(process.argv[3] ?? 1000);
const SEEDS_PER_BUG = 200;

const counts = new FaultCounts();
let events = 0;
let virtualMs = 0;
let failures = 0;
const startedMs = performance.now();
for (let seed = first; seed < first + seeds; seed += 1) {
  const run = simulateRollout({ seed, faults: MANY_FAULTS });
  counts.merge(run.world.faultCounts);
  events += run.world.events;
  virtualMs += run.world.elapsedMs();
  if (run.violation === undefined) continue;
  failures += 1;
  if (failures === 1) console.error(describeFailure(run));
}
const tookMs = performance.now() - startedMs;

const faultTable = [
  ["fault", ...STEPS],
  ...FAULTS.map((fault) => [fault, ...STEPS.map((step) => counts.of(step, fault).toLocaleString("en"))]),
];
const missing = FAULTS.filter((fault) => STEPS.some((step) => counts.of(step, fault) === 0));

const caught = PLANTED_BUGS.map(({ name, controllers, isProtected }) => {
  for (let seed = 1; seed <= SEEDS_PER_BUG; seed += 1) {
    const { violation } = simulateRollout({ seed, faults: MANY_FAULTS, controllers, isProtected });
    if (violation !== undefined) return { name, seed, checker: violation.checker };
  }
  return { name, seed: undefined, checker: "none" };
});
const survivors = caught.filter(({ seed }) => seed === undefined);

const seconds = tookMs / 1000;
const figures = [
  `${seeds.toLocaleString("en")} seeds from ${first}, 50 pods each: ${seconds.toFixed(1)} s, ${(tookMs / seeds).toFixed(1)} ms a seed (goal: under 60 s for 1,000)`,
  `${Math.round(events / seconds).toLocaleString("en")} virtual events/s, ${Math.round(virtualMs / tookMs).toLocaleString("en")} times as fast as real time`,
  `${failures} violated a property; ${PLANTED_BUGS.length - survivors.length} of ${PLANTED_BUGS.length} planted bugs caught`,
  `Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), one process`,
];
const bugTable = [
  ["planted bug", "caught by", "at seed"],
  ...caught.map(({ name, checker, seed }) => [name, checker, String(seed ?? "never")]),
];
const page = [
  "# Simulation of rollouts under faults",
  "",
  "Made by `node bench/simulation.bench.ts`.",
  "",
  ...figures.map((line) => `- ${line}`),
  "",
  "How often each fault struck in each step:",
  "",
  "```",
  renderTable(faultTable),
  "```",
  "",
  "```",
  renderTable(bugTable),
  "```",
  "",
].join("\n");
console.log(page);
await writeAtomic(new URL("./results/simulation.md", import.meta.url).pathname, page);
process.exitCode = failures + missing.length + survivors.length === 0 ? 0 : 1;
