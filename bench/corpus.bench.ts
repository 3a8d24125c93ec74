/**
 * The corpus with a thousand seeded runs of its transients: how often the cause is right, how soon it is told, how
 * often it is a false alarm. Writes results/corpus.md; exits 1 when a goal is missed.
 *
 *   node bench/corpus.bench.ts [seeds over all transients, 1000] [seeds of each failure, 10]
 */
import { cpus } from "node:os";
import { join } from "node:path";
import { renderTable, writeAtomic } from "../packages/base/src/index.ts";
import { runCorpus } from "../packages/slipway/src/corpus/run-corpus.ts";
import { renderScore } from "../packages/slipway/src/corpus/score.ts";

const seeds = Number(process.argv[2] ?? 1000);
const seedsOfFailures = Number(process.argv[3] ?? 10);
const startedMs = performance.now();
const report = await runCorpus({
  corpus: join(import.meta.dirname, "../corpus"),
  kinds: ["failures", "transients"],
  seeds,
  seedsOfFailures,
  openHeld: false,
  onResult: ({ case: one, calm, seeded, beside }) => {
    const wrong = [{ ...calm, seed: 0 }, ...seeded].find((run) => !run.isRight);
    if (beside?.isRight === false)
      console.log(`✗ ${one.kind}/${one.id}, in one of three clusters: ${beside.problem}`);
    if (wrong !== undefined) console.log(`✗ ${one.kind}/${one.id}, seed ${wrong.seed}: ${wrong.problem}`);
  },
});
const tookMs = performance.now() - startedMs;
const runs = report.score.groups.reduce((sum, group) => sum + group.runs, 0);
const times = report.cases
  .filter(({ calm }) => calm.verdictMs !== undefined)
  .sort((a, b) => (b.calm.verdictMs ?? 0) - (a.calm.verdictMs ?? 0))
  .slice(0, 10)
  .map(({ case: one, calm }) => [
    one.id,
    calm.cause?.code ?? "",
    `${((calm.verdictMs ?? 0) / 1000).toFixed(1)} s`,
  ]);
const page = [
  "# Corpus\n",
  "Recorded failures and transients, played to the whole release engine in virtual time, calm and with seeded troubles of",
  "network and API. What each column means: [the corpus](../../docs/reference/corpus.md).\n",
  "```",
  renderScore(report.score),
  "```\n",
  "The verdicts that took longest after their decisive signal, of the open cases:\n",
  "```",
  renderTable([["case", "cause", "after the signal"], ...times]),
  "```\n",
  `${runs.toLocaleString("en")} runs in ${(tookMs / 1000).toFixed(1)} s, ${(tookMs / Math.max(1, runs)).toFixed(0)} ms each; Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), one process.\n`,
].join("\n");
console.log(page);
if (process.argv.length <= 2) await writeAtomic(join(import.meta.dirname, "results/corpus.md"), page);
process.exitCode = report.score.isMet ? 0 : 1;
