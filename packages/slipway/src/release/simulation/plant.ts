/**
 * Runs simulated releases with a bug planted into the engine: the source of one module is changed while it is loaded, so
 * that the shipped code knows nothing of it. Used as a program in a process of its own, since modules are loaded once:
 *
 *   node plant.ts BUG FIRST-SEED SEEDS      prints `caught at seed N: promise: …` or `not caught`
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { plantedBugs } from "./planted-bugs.ts";

const [name = "", first = "0", count = "0"] = process.argv.slice(2);
const bug = plantedBugs.find((one) => one.name === name);
if (bug === undefined) throw new Error(`no planted bug "${name}"`);
let isPlanted = false;
registerHooks({
  load(url, context, next) {
    if (!url.endsWith(`/src/release/${bug.file}`)) return next(url, context);
    const source = readFileSync(fileURLToPath(url), "utf8");
    const parts = source.split(bug.from);
    if (parts.length !== 2)
      throw new Error(`${bug.name}: its line is ${parts.length - 1} times in ${bug.file}`);
    isPlanted = true;
    return { format: "module-typescript", source: parts.join(bug.to), shortCircuit: true };
  },
});

const { simulateRelease } = await import("./simulate.ts");
if (!isPlanted) throw new Error(`${bug.name}: ${bug.file} was not loaded by the simulation`);
let verdict = "not caught";
for (let seed = Number(first); seed < Number(first) + Number(count); seed += 1) {
  const run = await simulateRelease(seed).catch((error: unknown) => ({
    violation: { message: `crashed: ${error instanceof Error ? error.message : String(error)}` },
  }));
  if (run.violation === undefined) continue;
  verdict = `caught at seed ${seed}: ${run.violation.message}`;
  break;
}
console.log(verdict);
process.exit(0);
