/**
 * Every case of the corpus that a real cluster can show, on one: the release engine with the generated rights deploys the
 * change, and what it says is compared with what the case expects. Writes results/corpus-real.md; exits 1 when a case that
 * ran was told wrongly.
 *
 * It takes most of an hour. What has run is kept in a file, so that it can be stopped and gone on with; the table says which
 * cases have not run yet.
 *
 *   node bench/corpus-real.bench.ts [minutes, 60] [file of what has run, in the folder for temporary files] [case…]
 */
import { appendFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { disturbs, realClusters, runOnReal } from "../corpus/on-real.ts";
import { whyNot } from "../corpus/places.ts";
import { assertSaid, casesFor, taking } from "../corpus/running.ts";
import { readTextIfExists, renderTable, systemClock, writeAtomic } from "../packages/base/src/index.ts";
import { type CorpusCase, loadCases } from "../packages/slipway/src/corpus/case.ts";

interface Ran {
  readonly id: string;
  readonly isRight: boolean;
  readonly said: string;
  readonly seconds: number;
}

const AT_A_TIME = 8;
const endsAt = systemClock.monotonic() + Number(process.argv[2] ?? 60) * 60_000;
const kept = process.argv[3] ?? join(tmpdir(), "slipway-corpus-real.jsonl");
const wanted = process.argv.slice(4);
const cases = await loadCases(join(import.meta.dirname, "../corpus"));
const all = casesFor(cases, "real");

if (process.env["SLIPWAY_REAL_KUBERNETES"] === undefined) {
  console.error("corpus-real: NOT MEASURED, SLIPWAY_REAL_KUBERNETES is not set: there is no real Kubernetes");
} else {
  await measure();
}

async function measure(): Promise<void> {
  const done = await readDone();
  const due = all.filter(({ id }) => (wanted.length === 0 || wanted.includes(id)) && !done.has(id));
  const isAlone = (one: CorpusCase): boolean => disturbs(one) || one.recorded === "hollow";
  const clusters = realClusters(process.env);
  const run = async (one: CorpusCase): Promise<void> => {
    if (systemClock.monotonic() >= endsAt) return;
    const beganAt = systemClock.monotonic();
    const problem = await clusters
      .for(one)
      .then((cluster) => runOnReal(one, cluster))
      .then((ran) => assertSaid(one, ran))
      .then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
    const seconds = Math.round((systemClock.monotonic() - beganAt) / 1000);
    const made: Ran = { id: one.id, isRight: problem === undefined, said: problem ?? "", seconds };
    done.set(one.id, made);
    await appendFile(kept, `${JSON.stringify(made)}\n`);
    if (!one.held) console.log(`${made.isRight ? "✓" : "✗"} ${one.id}, ${seconds} s ${made.said}`);
  };
  try {
    const inTurn = taking<void>(AT_A_TIME);
    await Promise.all(due.filter((one) => !isAlone(one)).map((one) => inTurn(() => run(one))));
    for (const one of due.filter(isAlone)) await run(one);
  } finally {
    await clusters.close();
  }
  const page = render(done);
  console.log(page);
  await writeAtomic(join(import.meta.dirname, "results/corpus-real.md"), page);
  process.exitCode = [...done.values()].every(({ isRight }) => isRight) ? 0 : 1;
}

/** The last result of a case counts. */
async function readDone(): Promise<Map<string, Ran>> {
  const lines = ((await readTextIfExists(kept)) ?? "").split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => JSON.parse(line) as Ran).map((ran) => [ran.id, ran]));
}

function render(done: ReadonlyMap<string, Ran>): string {
  const groups = (["failures", "transients"] as const).flatMap((kind) =>
    [false, true].map((held) => {
      const own = all.filter((one) => one.kind === kind && one.held === held);
      const ran = own.flatMap(({ id }) => done.get(id) ?? []);
      const right = ran.filter(({ isRight }) => isRight).length;
      return [`${kind}${held ? ", held back" : ""}`, own.length, ran.length, right].map(String);
    }),
  );
  const open = all.filter(({ held }) => !held);
  const rows = open.flatMap((one) => {
    const ran = done.get(one.id);
    if (ran === undefined) return [];
    const expected = one.expect.verdict === "failed" ? one.expect.cause : one.expect.verdict;
    return [[one.id, expected, ran.isRight ? "right" : "WRONG", `${ran.seconds} s`]];
  });
  const missing = open.filter(({ id }) => !done.has(id)).map(({ id }) => id);
  const elsewhere = Map.groupBy(
    cases.filter((one) => !all.includes(one) && !one.held),
    (one) => whyNot(one, "real") ?? "",
  );
  return [
    "# The corpus on a real cluster\n",
    "Made by `node bench/corpus-real.bench.ts`: each case through the release engine on a real Kubernetes, with the rights that",
    "`slipway rights` prints: the same cause, cluster and container as in the corpus. The time is that of the whole case: the",
    `service before, the release before, the change; ${AT_A_TIME} at a time. Of cases that are held back only the sums are told.\n`,
    "```",
    renderTable([["group", "can be made real", "ran", "right"], ...groups]),
    "```\n",
    "```",
    renderTable([["case", "expected", "", "took"], ...rows]),
    "```\n",
    ...open.flatMap(({ id }) => {
      const ran = done.get(id);
      return ran === undefined || ran.isRight ? [] : [`- WRONG: ${id}: ${ran.said.split("\n")[0]}`];
    }),
    ...(missing.length === 0 ? [] : [`- not run: ${missing.join(", ")}`]),
    "\nWhat cannot be made real:\n",
    ...[...elsewhere].map(([why, group]) => `- ${group.map(({ id }) => id).join(", ")}: ${why}`),
    `\nNode ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? "unknown"})`,
    "",
  ].join("\n");
}
