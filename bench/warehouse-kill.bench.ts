/**
 * Kills a process that stores a log (live commits and imports in turn, days sealed on the way) at random moments until it
 * has been killed so often, and compares what is stored with what was written: row counts, sums, distinct values, the
 * rollup. Writes results/warehouse-kill.md.
 *
 *   node bench/warehouse-kill.bench.ts [kills, 100] [lines of each log, 60000] [seed, 1]
 */
import { isDeepStrictEqual } from "node:util";
import { writeAtomic } from "../packages/base/src/index.ts";
import { killRounds } from "../packages/slipway/src/observe/warehouse/duckdb/kill.testing.ts";
import { machineLine, resultFile } from "./machine.ts";

const [kills = 100, lines = 60_000, seed = 1] = process.argv.slice(2).map(Number);
const began = performance.now();
let done = 0;
const rounds = await killRounds({
  kills,
  lines,
  seed,
  onRound: (round) => {
    done += round.kills;
    console.log(`${round.how}: ${round.kills} kills, ${done} of ${kills}`);
  },
});
const wrong = rounds.filter(({ expected, stored }) => !isDeepStrictEqual(stored, expected));
for (const { how, expected, stored } of wrong) console.error(`${how}: ${stored} instead of ${expected}`);
const of = (how: string) => rounds.filter((round) => round.how === how);
const sum = (some: typeof rounds): number => some.reduce((total, round) => total + round.kills, 0);
const page = [
  "# A warehouse that is killed",
  "",
  `- ${sum(rounds)} \`kill -9\` at random moments while ${rounds.length} logs of ${lines.toLocaleString("en")} lines were stored: ${sum(of("commits"))} during`,
  `  live commits, ${sum(of("import"))} during imports; days were sealed to Parquet in between`,
  `- ${wrong.length} logs stored wrong (goal: none): lines, sums of status, bytes and times, distinct paths and user agents,`,
  "  the rollup, log lines and quarantine are what was written",
  `- ${machineLine()}; ${Math.round((performance.now() - began) / 1000)} s; seed ${seed}`,
  "",
].join("\n");
console.log(`\n${page}`);
if (kills >= 100) await writeAtomic(resultFile("warehouse-kill"), page);
if (wrong.length > 0) process.exitCode = 2;
