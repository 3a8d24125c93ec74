/**
 * The checks of spec files as tests of `node:test` or vitest: one test for each check, from the same collector, observed
 * once for all of them. `import { checks } from "slipway/verify/node-test"`.
 *
 * @example
 * import { describe, test } from "node:test"; // or from "vitest"
 * import { checks } from "slipway/verify/node-test";
 * import { describeImage } from "slipway/verify";
 *
 * checks({ describe, test, images: await builtImages() }, () => {
 *   describeImage("web", (t) => t.image.runsAsNonRoot());
 * });
 */
import { AssertionError } from "node:assert";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, SlipwayError, systemClock, systemCode } from "@slipway/base";
import type { BuiltImage } from "../../images/image.ts";
import { type Check, targetName } from "../check.ts";
import { collectNow } from "../collect.ts";
import { withoutImplied } from "../plan.ts";
import type { CheckResult } from "../report/result.ts";
import { details } from "../report/text.ts";
import { type DecideOptions, decideChecks } from "../run.ts";

/** What `node:test`, vitest and Jest have in common. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown;
  test(name: string, body: () => Promise<void>): unknown;
}

export interface ChecksOptions
  extends TestRunner,
    Partial<Pick<DecideOptions, "engine" | "compose" | "services" | "root" | "platform">> {
  readonly images: readonly BuiltImage[];
  readonly clock?: Clock;
}

/** Collects now, observes when the first test runs. A check that does not pass is an AssertionError with its evidence. */
export function checks(options: ChecksOptions, body: () => void): void {
  const collected = withoutImplied(collectNow(body));
  if (collected.length === 0) {
    throw new SlipwayError({
      code: "VERIFY_SPEC_INVALID",
      message: "no checks were collected",
      hint: "Call describeImage, describeCompose or describeService in the function.",
      exitCode: 2,
    });
  }
  let deciding: Promise<readonly CheckResult[]> | undefined;
  const decide = (): Promise<readonly CheckResult[]> => {
    deciding ??= decideChecks(collected, {
      ...options,
      root: options.root ?? process.cwd(),
      clock: options.clock ?? systemClock,
    });
    return deciding;
  };
  const byTarget = Map.groupBy(collected.entries(), ([, check]) => targetName(check.target));
  for (const [target, entries] of byTarget) {
    options.describe(target, () => {
      for (const [index, check] of entries) {
        options.test(`${check.subject} › ${check.says}`, async () => {
          const result = (await decide())[index];
          if (result !== undefined && result.verdict !== "pass") throw failure(check, result);
        });
      }
    });
  }
}

function failure(check: Check, result: CheckResult): AssertionError {
  const error = new AssertionError({
    message: [`${result.verdict}: ${result.subject} › ${result.expectation}`, ...details(result)].join("\n"),
    expected: result.expectation,
    actual: result.evidence,
    operator: "verify",
  });
  // The frame that an editor jumps to is the line of the spec, not one of this file.
  error.stack = `${error.name}: ${error.message}\n    at ${check.place}`;
  return error;
}

/** What `slipway build` left in a project: the images that the checks are about. */
export async function builtImages(root: string = process.cwd()): Promise<readonly BuiltImage[]> {
  const record = join(root, ".slipway", "build", "images.json");
  try {
    return (JSON.parse(await readFile(record, "utf8")) as { images: readonly BuiltImage[] }).images;
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    throw new SlipwayError({
      code: "BUILD_MISSING",
      where: record,
      message: "no images were built yet",
      hint: "Run slipway build.",
      exitCode: 2,
    });
  }
}
