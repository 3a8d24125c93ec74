/**
 * The checks of spec files as tests of `node:test` or vitest: one test for each check, from the same collector, observed
 * once for all of them, with the verdicts that `slipway verify` gives. `import { checks } from "slipway/verify/node-test"`.
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
import { ImageLayout } from "../../images/layout.ts";
import { createRegistryClient } from "../../images/registry/client.ts";
import { dockerCredentials } from "../../images/registry/credentials.ts";
import { type Check, targetName } from "../check.ts";
import { collectNow } from "../collect.ts";
import { composeRunner } from "../compose/runner.ts";
import { type EngineChoice, engineOpener } from "../engines/open.ts";
import { imageFetcher } from "../other-images.ts";
import { withoutImplied } from "../plan.ts";
import type { CheckResult } from "../report/result.ts";
import { details } from "../report/text.ts";
import { type DecideOptions, decideChecks } from "../run.ts";

/** What `node:test`, vitest and Jest have in common. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown;
  /** vitest and Jest end a test after 5 s where no time is given; `node:test` has no such limit and reads two words. */
  test(name: string, body: () => Promise<void>, timeoutMs: number): unknown;
}

/** The longest of a timer. The checks have deadlines of their own, and the first test waits for all of them. */
const NO_LIMIT_MS = 2 ** 31 - 1;

export interface ChecksOptions extends TestRunner, Partial<Pick<DecideOptions, "services" | "platform">> {
  readonly images: readonly BuiltImage[];
  /** The project's folder, in whose `.slipway` things are kept. Default: the process's. */
  readonly root?: string;
  /** Where containers run, as `slipway verify --engine` has it. Default: auto. */
  readonly engine?: EngineChoice;
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
    deciding ??= decideAll(collected, options);
    return deciding;
  };
  const byTarget = Map.groupBy(collected.entries(), ([, check]) => targetName(check.target));
  for (const [target, entries] of byTarget) {
    options.describe(target, () => {
      for (const [index, check] of entries) {
        const body = async (): Promise<void> => {
          const result = (await decide())[index];
          if (result !== undefined && result.verdict !== "pass") throw failure(check, result);
        };
        options.test(`${check.subject} › ${check.says}`, body, NO_LIMIT_MS);
      }
    });
  }
}

function decideAll(collected: readonly Check[], options: ChecksOptions): Promise<readonly CheckResult[]> {
  const { root = process.cwd(), engine = "auto", clock = systemClock, images, services, platform } = options;
  const { env } = process;
  const { signal } = new AbortController(); // a test runner ends the process instead
  const registry = () => createRegistryClient({ clock, credentials: dockerCredentials(env) });
  return decideChecks(collected, {
    images,
    fetchImage: imageFetcher({ layout: join(root, ".slipway", "build", "layout"), clock, registry }),
    services,
    root,
    clock,
    command: null,
    ...(platform === undefined ? {} : { platform }),
    name: `verify-${process.pid}`,
    engine: engineOpener(engine, { env, clock, folder: join(root, ".slipway") }),
    compose: composeRunner({
      env,
      clock,
      signal,
      buildOf: async ({ directory }) => ({
        layout: await ImageLayout.open(join(directory, ".slipway", "compose", "layout"), { clock }),
        registry: registry(),
        root: directory,
        commitTimeMs: 0,
        isLocal: true,
        allowHostBases: [],
        signal,
      }),
    }),
  });
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
