/** Pages that are made from the corpus: an example for each cause, and what the corpus is and how it is scored. */
import type { CauseExample } from "../release/judge/cause-pages.ts";
import type { CauseCode } from "../release/judge/causes.ts";
import { renderCause } from "../release/text.ts";
import type { PlayedCase } from "./run-case.ts";
import type { CorpusReport } from "./run-corpus.ts";
import { HEADINGS, scoreRows } from "./score.ts";

const RECORDED = {
  real: "recorded from a real cluster",
  hollow: "recorded from a real control plane with simulated nodes",
  derived: "played from a recording, under conditions that cannot be recorded",
  "by-hand": "written by hand",
} as const;

/** The first open case that was told right, by its cause; a recorded one before one written by hand. */
export function examplesOf(cases: readonly PlayedCase[]): ReadonlyMap<CauseCode, CauseExample> {
  const examples = new Map<CauseCode, CauseExample>();
  const order = ["real", "hollow", "derived", "by-hand"] as const;
  for (const place of order) {
    for (const { case: one, calm } of cases) {
      if (one.held || one.recorded !== place || calm.cause === undefined || !calm.isRight) continue;
      if (examples.has(calm.cause.code)) continue;
      const text = renderCause(calm.cause).replaceAll(/^ {2}/gm, "");
      examples.set(calm.cause.code, { case: one.id, title: one.title, recorded: RECORDED[place], text });
    }
  }
  return examples;
}

/** `docs/reference/corpus.md`: the calm score and every open case. */
export function renderCorpusPage(report: CorpusReport): string {
  const open = report.cases.filter(({ case: one }) => !one.held);
  const byHand = open.filter(({ case: one }) => one.recorded === "by-hand");
  const lines = (kind: "failures" | "transients"): string =>
    open
      .filter(({ case: one }) => one.kind === kind)
      .map(({ case: one, calm }) => {
        const expected =
          one.expect.verdict === "failed"
            ? `[${one.expect.cause}](../causes/${one.expect.cause}.md)`
            : one.expect.verdict;
        return `| ${one.id} | ${one.title.replaceAll("|", "\\|")} | ${expected} | ${one.recorded} | ${calm.isRight ? "✓" : "✗"} |`;
      })
      .join("\n");
  return `# The corpus

Ways in which a rollout fails, whose cause must be told, and troubles that pass, which must not fail a release. Objects,
events and messages of a case are recorded from a real cluster wherever that can be; a third of the cases, chosen by the
hash of their names, is held back from work on the judge and scored apart. \`slipway corpus\` plays them to the whole release
engine in virtual time and prints this table; \`bench/results/corpus.md\` has it with a thousand seeded runs, and
\`bench/results/causes.md\` one case of each cause on a real cluster, beside \`kubectl rollout status\`;
\`bench/results/corpus-real.md\` every case that can be made to happen on one.

Time to verdict is counted from the case's decisive signal: the first thing in the recorded API from which an attentive
person could know the cause. Every case says in its \`case.yaml\` which that is.

\`in one of three clusters\` is each failure once more, in one of three clusters: the cause must be told of the right one, and the
other two must become healthy (or stay as they were, where a hook fails before anything is changed).

| ${HEADINGS.join(" | ")} |
|${HEADINGS.map(() => "---").join("|")}|
${scoreRows(report.score)
  .map((row) => `| ${row.join(" | ")} |`)
  .join("\n")}

## Failures

| case | what happens | expected | recorded | right |
|---|---|---|---|---|
${lines("failures")}

## Transients

| case | what happens | expected | recorded | right |
|---|---|---|---|---|
${lines("transients")}

\`real\`: a full node ran it. \`hollow\`: a real control plane, nodes without a machine. \`derived\`: the recording of another
case, under conditions that cannot be recorded (faults of the API, late or lost events, another clock, other clusters beside it).
\`by-hand\`: written.

## Written by hand

${byHand.length === 0 ? "No open case is." : byHand.map(({ case: one }) => `- ${one.id}: ${one.because}`).join("\n")}
`;
}
