/** How `slipway verify` shows its results: live on a terminal, as lines elsewhere, and in the forms that CI reads. */
import { resolve } from "node:path";
import { SlipwayError, writeAtomic } from "@slipway/base";
import { renderGithub, renderJunit, renderTap } from "../verify/report/formats.ts";
import type { CheckResult, VerifyReport } from "../verify/report/result.ts";
import { renderResults } from "../verify/report/text.ts";
import type { CliContext } from "./command.ts";
import type { StepOutput } from "./steps.ts";
import { indent } from "./width.ts";

export interface ShowOptions {
  readonly verbose?: boolean;
  /** TAP instead of the text for people. */
  readonly tap?: boolean;
  /** Default: when GITHUB_ACTIONS says so. */
  readonly github?: boolean;
  /** A file that gets JUnit XML. */
  readonly junit?: string | undefined;
  /** What to do when there are no checks at all. */
  readonly emptyHint?: string;
}

export async function showReport(
  context: CliContext,
  output: StepOutput,
  report: VerifyReport,
  options: ShowOptions,
): Promise<void> {
  output.emit({ step: "verify", ...report });
  if (options.junit !== undefined) await writeJunit(resolve(context.cwd, options.junit), report);
  if (output.isJson === true) return;
  if (options.tap === true) {
    context.write(renderTap(report));
    return;
  }
  const { verbose: isVerbose = false, emptyHint } = options;
  const text = renderResults(report, { isVerbose, ...(emptyHint === undefined ? {} : { emptyHint }) });
  output.say(indent(text.trimEnd()));
  if (options.github ?? context.env["GITHUB_ACTIONS"] === "true") {
    const annotations = renderGithub(report);
    if (annotations !== "") context.write(`${annotations}\n`);
  }
}

/** `specs`: what the configuration names under `verify`; `asked`: the options that left checks out. */
export function emptyHintOf(specs: readonly string[], asked: readonly string[]): string {
  const calls = "describeImage, describeCompose, describeCluster or describeService";
  if (specs.length === 0)
    return `slipway.config.ts names no spec files: add verify: ["spec/"], and a file in spec/ that calls ${calls}.`;
  if (asked.length > 0)
    return `The spec files have no check for ${asked.join(" ")}; correct that, or leave it out.`;
  return `No file under verify calls ${calls}.`;
}

async function writeJunit(path: string, report: VerifyReport): Promise<void> {
  try {
    await writeAtomic(path, renderJunit(report));
  } catch (error) {
    throw new SlipwayError({
      code: "VERIFY_JUNIT_UNWRITABLE",
      where: path,
      message: `cannot be written: ${error instanceof Error ? error.message : String(error)}`,
      hint: "Name a file in a folder that is there.",
      cause: error,
      exitCode: 2,
    });
  }
}

export interface LiveLine {
  readonly onResult: (result: CheckResult) => void;
  end(): void;
}

/** One line that is written over: how many checks are decided and what failed. Nothing where there is no terminal. */
export function liveLine(context: CliContext, output: StepOutput): LiveLine {
  if (!context.isTerminal || output.isJson === true) return { onResult: () => {}, end: () => {} };
  const counts = { pass: 0, fail: 0, unknown: 0 };
  let isShown = false;
  return {
    onResult(result) {
      counts[result.verdict] += 1;
      const { pass, fail, unknown } = counts;
      const bad = `${fail > 0 ? `, ${fail} failed` : ""}${unknown > 0 ? `, ${unknown} unknown` : ""}`;
      const text = `  ${pass} passed${bad} · ${result.target} › ${result.subject}`;
      context.write(`\r${[...text].slice(0, Math.max(1, context.columns - 1)).join("")}\x1b[K`);
      isShown = true;
    },
    end() {
      if (isShown) context.write("\r\x1b[K");
    },
  };
}
