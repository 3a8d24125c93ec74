/**
 * Releases under faults in virtual time: how often each fault struck at each step, that no promise was broken, and at
 * which seed each planted bug is caught. Writes results/release-faults.md; exits 1 when a promise was broken, a cell is
 * empty or a bug survived.
 *
 *   node bench/release-faults.bench.ts [first seed, 0] [seeds, 540]
 */
import { cpus } from "node:os";
import { exec, renderTable, writeAtomic } from "../packages/base/src/index.ts";
import { CELLS, FAULTS } from "../packages/slipway/src/release/simulation/faults.ts";
import { plantedBugs } from "../packages/slipway/src/release/simulation/planted-bugs.ts";
import { describeRun, simulateRelease } from "../packages/slipway/src/release/simulation/simulate.ts";
import { STEPS } from "../packages/slipway/src/release/simulation/steps.ts";

const first = Number(process.argv[2] ?? 0);
const seeds = Number(process.argv[3] ?? 540);

const counts = new Map<string, number>();
const outcomes = new Map<string, number>();
let broken = 0;
let virtualMs = 0;
const began = performance.now();
for (let seed = first; seed < first + seeds; seed += 1) {
  const run = await simulateRelease(seed);
  virtualMs += run.virtualMs;
  if (run.struckAt !== undefined) {
    const cell = `${run.fault} ${run.struckAt}`;
    counts.set(cell, (counts.get(cell) ?? 0) + 1);
  }
  const outcome =
    /release \d+ ([a-z-]+),/.exec(run.outcome)?.[1] ??
    (run.outcome.startsWith("its process") ? "died" : "refused");
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  if (run.violation === undefined) continue;
  broken += 1;
  console.error(describeRun(run));
}
const seconds = (performance.now() - began) / 1000;
const isWhole = seeds >= CELLS.length;
const empty = CELLS.filter(({ fault, step }) => !counts.has(`${fault} ${step}`));

const caught: { readonly name: string; readonly told: string }[] = [];
for (const { name, seed } of plantedBugs) {
  if (!isWhole) break;
  // Where a bug shows moves when the engine changes: then it is looked for from the first seed on.
  const near = await withBug(name, seed, 1);
  const told = near.startsWith("caught") ? near : await withBug(name, 0, 3 * CELLS.length);
  caught.push({ name, told });
}

async function withBug(name: string, firstSeed: number, count: number): Promise<string> {
  const plant = new URL("../packages/slipway/src/release/simulation/plant.ts", import.meta.url).pathname;
  const argv = [
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    plant,
    name,
    String(firstSeed),
    String(count),
  ];
  const { stdout, stderr } = await exec(argv);
  return stdout.trim() || stderr.trim().split("\n").at(-1) || "no answer";
}
const survivors = caught.filter(({ told }) => !told.startsWith("caught"));

const page = [
  "# Releases under faults",
  "",
  "Made by `node bench/release-faults.bench.ts`. Two clusters, two waves, the real engine and controllers, virtual time.",
  "",
  `- ${seeds} runs from seed ${first}: ${seconds.toFixed(1)} s, ${Math.round(virtualMs / seconds / 1000)} times as fast as real time`,
  `- ${broken} broke a promise; ${empty.length} of ${CELLS.length} cells empty; ${caught.length - survivors.length} of ${caught.length} planted bugs caught`,
  `- how the struck releases ended: ${[...outcomes].map(([name, times]) => `${times} ${name}`).join(", ")}`,
  `- Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), one process`,
  "",
  "How often each fault struck at each step:",
  "",
  "```",
  renderTable([
    ["fault", ...STEPS],
    ...FAULTS.map((fault) => [fault, ...STEPS.map((step) => String(counts.get(`${fault} ${step}`) ?? 0))]),
  ]),
  "```",
  "",
  "```",
  renderTable([
    ["planted bug", "caught"],
    ...caught.map(({ name, told }) => [
      name,
      /^caught at seed (\d+): (\w+)/.exec(told)?.slice(1, 3).reverse().join(", seed ") ?? told,
    ]),
  ]),
  "```",
  "",
].join("\n");
console.log(page);
if (isWhole) await writeAtomic(new URL("./results/release-faults.md", import.meta.url).pathname, page);
process.exitCode = broken + (isWhole ? empty.length + survivors.length : 0) === 0 ? 0 : 1;
