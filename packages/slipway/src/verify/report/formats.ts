/** The report for other programs: JUnit XML, annotations of GitHub Actions, and TAP. */
import { formatDuration } from "@slipway/base";
import type { CheckResult, VerifyReport } from "./result.ts";
import { details } from "./text.ts";

/** As Jenkins, GitLab and Drone read it: a suite for each target; unknown is an error, because it is not a pass. */
export function renderJunit(report: VerifyReport): string {
  const suites = [...Map.groupBy(report.results, ({ target }) => target)].map(([target, results]) => {
    const count = (verdict: CheckResult["verdict"]): number =>
      results.filter((one) => one.verdict === verdict).length;
    const seconds = (results.reduce((sum, one) => sum + one.durationMs, 0) / 1000).toFixed(3);
    const cases = results.map((result) => testCase(target, result));
    return [
      `  <testsuite name="${xml(target)}" tests="${results.length}" failures="${count("fail")}" errors="${count("unknown")}" time="${seconds}">`,
      ...cases,
      "  </testsuite>",
    ].join("\n");
  });
  const total = `tests="${report.results.length}" failures="${report.failed}" errors="${report.unknown}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="slipway verify" ${total} time="${(report.durationMs / 1000).toFixed(3)}">\n${suites.join("\n")}\n</testsuites>\n`;
}

function testCase(target: string, result: CheckResult): string {
  const name = `${result.subject} › ${result.expectation}`;
  const open = `    <testcase classname="${xml(target)}" name="${xml(name)}" file="${xml(result.place)}" time="${(result.durationMs / 1000).toFixed(3)}"`;
  if (result.verdict === "pass") return `${open}/>`;
  const tag = result.verdict === "fail" ? "failure" : "error";
  return `${open}>\n      <${tag} message="${xml(result.evidence.split("\n")[0] ?? "")}">${xml(details(result).join("\n"))}</${tag}>\n    </testcase>`;
}

/** XML 1.0 has no way to write most control characters; they are left out. */
const xml = (text: string): string =>
  text
    .replaceAll(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");

/** `::error file=…,line=…::…` for each check that did not pass; shown beside the line of the spec file. */
export function renderGithub(report: VerifyReport): string {
  return report.results
    .filter(({ verdict }) => verdict !== "pass")
    .map((result) => {
      const match = /^(.*?):(\d+):(\d+)$/.exec(result.place);
      const at = match === null ? "" : `file=${property(match[1] ?? "")},line=${match[2]},col=${match[3]},`;
      const title = property(`${result.target} › ${result.subject}`);
      return `::error ${at}title=${title}::${message([`${result.verdict}: ${result.expectation}`, ...details(result)].join("\n"))}`;
    })
    .join("\n");
}

/** Source: GitHub's documentation "Workflow commands": %, CR and LF are written %25, %0D, %0A; in properties : and , too. */
const message = (text: string): string =>
  text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
const property = (text: string): string => message(text).replaceAll(":", "%3A").replaceAll(",", "%2C");

/** Version 14, whose diagnostics are YAML. */
export function renderTap(report: VerifyReport): string {
  const lines = ["TAP version 14", `1..${report.results.length}`];
  for (const [index, result] of report.results.entries()) {
    const name = `${result.target} › ${result.subject} › ${result.expectation}`.replaceAll(/[\\#]/g, "\\$&");
    lines.push(`${result.verdict === "pass" ? "ok" : "not ok"} ${index + 1} - ${name.replaceAll("\n", " ")}`);
    if (result.verdict === "pass") continue;
    const facts = {
      verdict: result.verdict,
      evidence: result.evidence,
      place: result.place,
      ...(result.rerun === undefined ? {} : { rerun: result.rerun }),
    };
    lines.push(
      "  ---",
      ...Object.entries(facts).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`),
      "  ...",
    );
  }
  lines.push(
    `# ${report.passed} passed, ${report.failed} failed, ${report.unknown} unknown in ${formatDuration(report.durationMs)}`,
  );
  return `${lines.join("\n")}\n`;
}
