/**
 * Runs simulated releases with a bug planted into the engine: the source of its modules is changed while they are loaded, so
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
const planted = new Set<string>();
registerHooks({
  load(url, context, next) {
    const edits = bug.edits.filter(({ file }) => url.endsWith(`/src/release/${file}`));
    if (edits.length === 0) return next(url, context);
    let source = readFileSync(fileURLToPath(url), "utf8");
    for (const { file, from, to } of edits) {
      const parts = source.split(from);
      if (parts.length !== 2)
        throw new Error(`${bug.name}: its line is ${parts.length - 1} times in ${file}`);
      source = parts.join(to);
      planted.add(file);
    }
    return { format: "module-typescript", source, shortCircuit: true };
  },
});

const { simulateRelease } = await import("./simulate.ts");
const missing = bug.edits.find(({ file }) => !planted.has(file));
if (missing !== undefined) throw new Error(`${bug.name}: ${missing.file} was not loaded by the simulation`);
let verdict = "not caught";
for (let seed = Number(first); seed < Number(first) + Number(count); seed += 1) {
  const run = await simulateRelease(seed).catch((error: unknown) => ({
    violation: { message: `crashed: ${error instanceof Error ? error.message : String(error)}` },
  }));
  if (run.violation === undefined) continue;
  if (bug.by !== undefined && !run.violation.message.startsWith(`${bug.by}: `)) continue;
  verdict = `caught at seed ${seed}: ${run.violation.message}`;
  break;
}
console.log(verdict);
process.exit(0);
