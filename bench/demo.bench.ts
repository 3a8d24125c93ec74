/**
 * The demo, whole, as a benchmark: how long each step takes, how many requests it sent and lost, and how soon the cause of
 * the crash was named. Writes results/demo.md; exits 1 when it took longer than 120 s or did not go as it must.
 */
import { cpus } from "node:os";
import { join } from "node:path";
import { exec, writeAtomic } from "../packages/base/src/index.ts";

const GOAL_SECONDS = 120;
const began = performance.now();
const { exitCode, stdout, stderr } = await exec([
  process.execPath,
  join(import.meta.dirname, "../examples/demo/demo.ts"),
]);
const seconds = (performance.now() - began) / 1000;
const table = /^STEP[\s\S]*?(?=\n\n)/m.exec(stdout)?.[0] ?? "no table";
const named = /the cause was named (.*?) after the first crash/.exec(stdout)?.[1] ?? "never";
const text = `# Demo

\`node bench/demo.bench.ts\` on ${cpus().length} x ${cpus()[0]?.model.trim()}, Node ${process.versions.node}: ${seconds.toFixed(0)} s (goal: at most ${GOAL_SECONDS} s), ended with ${exitCode}.
The cause of the crash was named ${named} after the first crash (goal: within 10 s).

\`\`\`
${table}
\`\`\`

Excused are only POSTs on their way to the lost cluster in that instant, and answers from it that had begun.
`;
console.log(text, stderr);
if (exitCode === 0) await writeAtomic(join(import.meta.dirname, "results/demo.md"), text);
process.exitCode = exitCode === 0 && seconds <= GOAL_SECONDS ? 0 : 1;
