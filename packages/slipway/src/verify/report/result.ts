/** The report as data: one result for each check, with what was seen, where, how long it was tried, and why. */
import { relative } from "node:path";
import { shellLine } from "@slipway/base";
import { type Check, type Target, targetName, type Verdict } from "../check.ts";
import type { Outcome } from "../observe/outcome.ts";
import type { Source } from "../plan.ts";
import { redact } from "../secrets.ts";

export interface CheckResult {
  /** `image web` */
  readonly target: string;
  readonly targetKind: Target["kind"];
  /** `file /app/server.js` */
  readonly subject: string;
  /** `mode 0644` */
  readonly expectation: string;
  readonly verdict: Verdict;
  /** What was seen instead, or why nothing could be seen. At most 4 KB, secrets replaced. */
  readonly evidence: string;
  /** The line that is nearest to what was expected. */
  readonly closest: string | undefined;
  /** For unknown: what would make it decidable. */
  readonly remedy: string | undefined;
  /** Why it is so, as far as logs and states of the containers tell; nearest cause first. */
  readonly why: readonly string[];
  /** `spec/web.ts:14:3` */
  readonly place: string;
  readonly observedFrom: Source | "nothing";
  /** `exec in frontend` */
  readonly where: string | undefined;
  /** `exit 0 · 38 ms` of a command. */
  readonly cost: string | undefined;
  readonly digest: string | undefined;
  /** How long it was tried, in milliseconds. */
  readonly durationMs: number;
  readonly attempts: number;
  /** The command that runs this check again; undefined where it is no command's but a test's. */
  readonly rerun: string | undefined;
}

export interface VerifyReport {
  readonly results: readonly CheckResult[];
  readonly passed: number;
  readonly failed: number;
  readonly unknown: number;
  readonly durationMs: number;
  readonly exitCode: 0 | 1 | 2 | 4;
}

const MAX_EVIDENCE = 4096;

export function resultOf(
  check: Check,
  outcome: Outcome,
  options: {
    readonly root: string;
    readonly secrets: readonly string[];
    /** The words by which `slipway verify` finds the check; null: it does not. */
    readonly command: readonly string[] | null;
  },
): CheckResult {
  const { judgement } = outcome;
  const shown = (text: string): string => cut(redact(text, options.secrets));
  const subject = shown(check.subject);
  return {
    target: targetName(check.target),
    targetKind: check.target.kind,
    subject,
    expectation: shown(check.says),
    verdict: judgement.verdict,
    evidence: shown(judgement.evidence),
    closest: judgement.closest === undefined ? undefined : shown(judgement.closest),
    remedy: judgement.remedy,
    why: (outcome.why ?? []).map(shown),
    place: shortPlace(check.place, options.root),
    observedFrom: outcome.from,
    where: outcome.where,
    cost: outcome.cost,
    digest: outcome.digest,
    durationMs: outcome.durationMs,
    attempts: outcome.attempts,
    rerun:
      options.command === null
        ? undefined
        : rerunOf(check, shellLine(options.command), (text) => redact(text, options.secrets)),
  };
}

/** At most 4 KB in UTF-8; a cut text says so. */
function cut(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_EVIDENCE) return text;
  return `${bytes
    .subarray(0, MAX_EVIDENCE - 8)
    .toString("utf8")
    .replace(/�+$/, "")}…`;
}

/** By name, as long as that may be printed: what a secret was replaced in would match nothing. */
function rerunOf(
  { subject, says, target }: Check,
  command: string,
  redacted: (text: string) => string,
): string {
  const names = [`${subject} › ${says}`, subject];
  const name = names.find((one) => redacted(one) === one && Buffer.byteLength(one) <= MAX_EVIDENCE);
  if (name !== undefined) return `${command} -t ${quoted(name)}`;
  return target.kind === "image" ? `${command} --image ${target.image}` : `${command} --only ${target.kind}`;
}

/** For a shell: double quotes where they are enough, single quotes else. */
const quoted = (text: string): string =>
  /["$`\\!]/.test(text) ? `'${text.replaceAll("'", `'\\''`)}'` : `"${text}"`;

export const shortPlace = (place: string, root: string): string =>
  place.startsWith(`${root}/`) ? relative(root, place) : place;

export function summarize(
  results: readonly CheckResult[],
  options: { readonly durationMs: number; readonly allowUnknown: boolean },
): VerifyReport {
  const count = (verdict: Verdict): number => results.filter((result) => result.verdict === verdict).length;
  const failed = count("fail");
  const unknowns = count("unknown");
  return {
    results,
    passed: count("pass"),
    failed,
    unknown: unknowns,
    durationMs: options.durationMs,
    exitCode: results.length === 0 ? 2 : failed > 0 ? 1 : unknowns > 0 && !options.allowUnknown ? 4 : 0,
  };
}
