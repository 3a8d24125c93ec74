/** The report for people: failures and unknowns in full, passes as a count unless asked for. */
import { stripVTControlCharacters } from "node:util";
import { formatDuration } from "@slipway/base";
import type { CheckResult, VerifyReport } from "./result.ts";

const MARKS = { pass: "✓", fail: "✗", unknown: "?" } as const;

export interface RenderOptions {
  readonly isVerbose?: boolean;
  /** What to do when there are no checks at all. */
  readonly emptyHint?: string;
}

export function renderResults(report: VerifyReport, options: RenderOptions = {}): string {
  if (report.results.length === 0) {
    return `no checks were collected\n  ${options.emptyHint ?? "Add a spec file with checks, or correct the filter."}`;
  }
  const lines: string[] = [];
  for (const [target, results] of Map.groupBy(report.results, (result) => result.target)) {
    const digest = results[0]?.digest;
    const passed = results.filter((result) => result.verdict === "pass").length;
    const at = digest === undefined ? "" : ` (${digest.slice(0, 19)})`;
    lines.push(`${target}${at}: ${passed} of ${results.length} passed`);
    for (const result of results) {
      if (result.verdict !== "pass" || options.isVerbose === true) lines.push(...renderResult(result));
    }
  }
  lines.push(summaryLine(report));
  return lines.join("\n");
}

function summaryLine(report: VerifyReport): string {
  const parts = [
    `${report.passed} passed`,
    ...(report.failed > 0 ? [`${report.failed} failed`] : []),
    ...(report.unknown > 0 ? [`${report.unknown} unknown`] : []),
  ];
  return `${parts.join(", ")} in ${formatDuration(report.durationMs)}`;
}

function renderResult(result: CheckResult): readonly string[] {
  const says = plain(`${result.subject} › ${result.expectation}`).replaceAll("\n", "\\n");
  const head = `  ${MARKS[result.verdict]} ${says}`;
  return result.verdict === "pass" ? [head] : [head, ...details(result).map((line) => `      ${line}`)];
}

/** Expected, found, closest, how it was looked for, why, and where to go on. */
export function details(result: CheckResult): readonly string[] {
  const rows: (readonly [label: string, text: string])[] =
    result.verdict === "fail"
      ? [["expected", result.expectation]]
      : [
          ["unknown", result.evidence],
          ...(result.remedy === undefined ? [] : [["decide", result.remedy] as const]),
        ];
  if (result.verdict === "fail") rows.push(["found", result.evidence]);
  if (result.closest !== undefined) rows.push(["closest", result.closest]);
  const lines = rows.flatMap(([label, text]) => row(label, text));
  const tried =
    result.attempts > 1 ? `${result.attempts} attempts over ${formatDuration(result.durationMs)}` : undefined;
  const from = result.where ?? (result.observedFrom === "nothing" ? undefined : result.observedFrom);
  const facts = [result.cost, tried, from].filter((one) => one !== undefined);
  if (facts.length > 0) lines.push(facts.join(" · "));
  for (const why of result.why) lines.push(...row("why", why));
  lines.push(result.rerun === undefined ? result.place : `${result.place}  rerun: ${result.rerun}`);
  return lines;
}

function row(label: string, text: string): readonly string[] {
  const [first = "", ...rest] = plain(text).split("\n");
  return [`${label.padEnd(10)}${first}`, ...rest.map((line) => `${" ".repeat(10)}${line}`)];
}

/** What a container wrote must not move the cursor of who reads it: colours go, other control characters are shown. */
const plain = (text: string): string =>
  stripVTControlCharacters(text).replaceAll(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
