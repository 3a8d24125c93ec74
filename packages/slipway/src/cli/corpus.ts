import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { SlipwayError } from "@slipway/base";
import { type CommandDeclaration, isSet, textOption } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "play recorded failures and transients to the judge and print the score",
  description:
    "Plays every case of the corpus to the whole release engine in virtual time: ways in which a rollout fails, whose cause must be told, and troubles that pass, which must not fail a release. Each runs once calm and then with seeded troubles of network and API. Exit code 1 when a goal is missed.",
  arguments: [{ flags: "[group]", description: "failures or transients; both when absent" }],
  options: [
    { flags: "--case <id>", description: "only this case, told in detail" },
    { flags: "--seeds <n>", description: "seeded runs over all transients together", default: "1000" },
    { flags: "--failure-seeds <n>", description: "seeded runs of each failure", default: "3" },
    { flags: "--corpus <folder>", description: "another folder with failures/ and transients/" },
    { flags: "--open-held", description: "also tell about cases that are held back from work on the judge" },
  ],
  examples: [
    "slipway corpus",
    "slipway corpus transients --seeds 200",
    "slipway corpus --case crash-at-once",
  ],
  async run(context, input) {
    const { runCorpus } = await import("../corpus/run-corpus.ts");
    const { renderScore } = await import("../corpus/score.ts");
    const { causeSentence } = await import("../release/judge/causes.ts");
    const [group] = input.arguments;
    const id = textOption(input, "case");
    const isJson = isSet(input, "json");
    const report = await runCorpus({
      corpus: folder(context.cwd, textOption(input, "corpus")),
      kinds: kindsOf(group),
      id,
      seeds: numberOf(input, "seeds"),
      seedsOfFailures: numberOf(input, "failureSeeds"),
      openHeld: isSet(input, "openHeld"),
      onResult: ({ case: one, calm, seeded, beside }) => {
        if (isJson) return;
        if (beside?.isRight === false)
          context.write(`✗ ${one.kind}/${one.id}, in one of three clusters: ${beside.problem}\n`);
        const wrong = [{ ...calm, seed: 0 }, ...seeded].filter((run) => !run.isRight);
        for (const run of wrong.slice(0, 3)) {
          const seed = run.seed === 0 ? "" : `, seed ${run.seed}`;
          context.write(`✗ ${one.kind}/${one.id}${seed}: ${run.problem}\n`);
        }
        if (id === undefined || wrong.length > 0) return;
        const told = calm.cause === undefined ? "healthy" : causeSentence(calm.cause);
        const took =
          calm.verdictMs === undefined ? "" : `, ${(calm.verdictMs / 1000).toFixed(1)} s after the signal`;
        context.write(`✓ ${one.kind}/${one.id}: ${told}${took}\n`);
      },
    });
    if (isJson) {
      const cases = report.cases.map(({ case: one, calm, seeded, beside }) => ({
        id: one.id,
        kind: one.kind,
        title: one.title,
        recorded: one.recorded,
        because: one.because,
        calm,
        seeded,
        beside,
      }));
      context.write(`${JSON.stringify({ score: report.score, cases, missing: report.missing })}\n`);
    } else {
      if (report.missing.length > 0) context.write(`not recorded: ${report.missing.join(", ")}\n`);
      context.write(`\n${renderScore(report.score)}\n`);
    }
    return report.score.isMet ? 0 : 1;
  },
};

function kindsOf(group: string | undefined): readonly ("failures" | "transients")[] {
  if (group === undefined) return ["failures", "transients"];
  if (group === "failures" || group === "transients") return [group];
  throw new SlipwayError({
    code: "USAGE",
    where: "group",
    message: `"${group}" is no group of the corpus`,
    hint: "It is failures or transients.",
    exitCode: 2,
  });
}

function numberOf(input: Parameters<CommandDeclaration["run"]>[1], name: string): number {
  const text = textOption(input, name) ?? "0";
  if (/^\d+$/.test(text)) return Number(text);
  throw new SlipwayError({
    code: "USAGE",
    where: `--${name === "seeds" ? "seeds" : "failure-seeds"}`,
    message: `"${text}" is not a whole number`,
    exitCode: 2,
  });
}

/** The one that is named, the one of the folder where we are, or the one of this repository. */
function folder(cwd: string, named: string | undefined): string {
  const candidates =
    named === undefined
      ? [join(cwd, "corpus"), resolve(import.meta.dirname, "../../../../corpus")]
      : [resolve(cwd, named)];
  const found = candidates.find((one) => existsSync(join(one, "failures")));
  if (found !== undefined) return found;
  throw new SlipwayError({
    code: "CORPUS_MISSING",
    where: candidates[0] as string,
    message: "there is no corpus here",
    hint: "Run it in a checkout of Slipway, or name the folder: slipway corpus --corpus FOLDER.",
    exitCode: 2,
  });
}
