/** The report for people: failures and unknowns in full, passes as a count unless asked for. */
import { formatDuration } from "@slipway/base";
import type { CheckResult, VerifyReport } from "./run.ts";

const MARKS = { pass: "✓", fail: "✗", unknown: "?" } as const;

export function renderResults(report: VerifyReport, options: { readonly isVerbose?: boolean } = {}): string {
  if (report.results.length === 0) {
    return "no checks were collected\n  Add a spec file that calls describeImage or describeService, or correct the filter.";
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
  const parts = [
    `${report.passed} passed`,
    ...(report.failed > 0 ? [`${report.failed} failed`] : []),
    ...(report.unknown > 0 ? [`${report.unknown} unknown`] : []),
  ];
  lines.push(`${parts.join(", ")} in ${formatDuration(report.durationMs)}`);
  return lines.join("\n");
}

function renderResult(result: CheckResult): readonly string[] {
  const head = `  ${MARKS[result.verdict]} ${result.subject} › ${result.expectation}`;
  if (result.verdict === "pass") return [head];
  const label = result.verdict === "fail" ? "found" : "unknown because";
  const attempts = result.attempts > 1 ? `${result.attempts} attempts, ` : "";
  return [
    head,
    `      ${label}  ${result.evidence.split("\n").join("\n      ")}`,
    `      ${attempts}from ${result.observedFrom}, ${result.place}`,
  ];
}
