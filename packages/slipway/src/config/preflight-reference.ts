/** The reference page of preflight, from the table of its checks: docs/reference/preflight.md. A test says when it is behind. */
import { LOCAL_SEVERITIES, preflightChecks, preflightCodes } from "./preflight-checks.ts";

export function renderPreflightReference(): string {
  const rollback = { error: "refused", warning: "warned of", off: "not looked at" } as const;
  return [
    "# What preflight finds",
    "",
    "Before a release changes anything, every cluster is looked at. An *error* refuses the release, a *warning* is shown and the",
    "release goes on. What each finding weighs is set in `slipway.config.ts`, for all environments or for one:",
    "",
    "```ts",
    'preflight: { SPREAD_MISSING: "off", REQUESTS_MISSING: "error" },',
    "```",
    "",
    "One object can be left alone by its annotation, with the reason after a semicolon:",
    "",
    "```yaml",
    "metadata:",
    "  annotations:",
    '    slipway.dev/preflight-ignore: "SINGLE_REPLICA, SPREAD_MISSING; a queue worker, nobody waits for it"',
    "```",
    "",
    "A rollback is never held up by a forecast or by advice; the last column says what becomes of a finding there. In local",
    "environments the codes marked with * are off unless the configuration asks for them.",
    "",
    "| code | by itself | in a rollback |",
    "|---|---|---|",
    ...preflightCodes.map((code) => {
      const { severity, inRollback } = preflightChecks[code];
      const mark = LOCAL_SEVERITIES[code] === "off" ? " *" : "";
      return `| [${code}](#${code.toLowerCase()})${mark} | ${severity} | ${rollback[inRollback]} |`;
    }),
    "",
    ...preflightCodes.flatMap((code) => {
      const { title, why, fix } = preflightChecks[code];
      return [`## ${code}`, "", `**${title}.** ${why}`, "", `*What to do:* ${fix}`, ""];
    }),
  ].join("\n");
}
