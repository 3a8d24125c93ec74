/** Finds the spec files of a run and collects their checks. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { SlipwayError, systemCode } from "@slipway/base";
import { toItsEnd, UNFINISHED } from "../../config/to-its-end.ts";
import type { BuiltImage } from "../../images/image.ts";
import type { Check } from "../check.ts";
import { collect, placeIn } from "../collect.ts";
import { defaultClusterChecks, defaultImageChecks } from "../defaults.ts";
import { withoutImplied } from "../plan.ts";
import { clusterTarget, imageTarget } from "./targets.ts";

/** Longer than the minReadySeconds that production has. */
const MANIFESTS_READY_MS = 180_000;

let runs = 0;

/** Rejects with VERIFY_SPEC_INVALID or VERIFY_SPEC_MISSING (exit 2). */
export async function collectChecks(options: {
  readonly files: readonly string[];
  readonly images: readonly BuiltImage[];
  readonly includeDefaults?: boolean;
  readonly workloads?: readonly string[] | undefined;
}): Promise<readonly Check[]> {
  const files = (await Promise.all(options.files.map(specFiles))).flat();
  runs += 1;
  const fromSpecs = await collect(async () => {
    for (const file of files) await importSpec(file, runs);
  });
  const builtIn: Check[] = [];
  if (options.includeDefaults === true) {
    for (const { name } of options.images) {
      defaultImageChecks(imageTarget(name, (check) => builtIn.push(check), { place: "built-in" }));
    }
  }
  const { workloads = [] } = options;
  if (workloads.length > 0 && !fromSpecs.some(({ target }) => target.kind === "cluster")) {
    const place = { context: undefined, namespace: undefined, readyMs: MANIFESTS_READY_MS };
    const push = (check: Check): void => void builtIn.push({ ...check, place: "built-in" });
    defaultClusterChecks(clusterTarget(place, push, MANIFESTS_READY_MS), workloads);
  }
  return withoutImplied([...builtIn, ...fromSpecs]);
}

export async function specFiles(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = await readdir(path, { recursive: true });
    return names
      .filter((name) => /\.(?:ts|mts|js|mjs)$/.test(name) && !/(?:^|\/)node_modules\//.test(name))
      .filter((name) => !/\.d\.m?ts$/.test(name))
      .sort()
      .map((name) => join(path, name));
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    throw new SlipwayError({
      code: "VERIFY_SPEC_MISSING",
      where: path,
      message: "there is no such spec file or folder",
      hint: "Correct `verify` in slipway.config.ts.",
      exitCode: 2,
    });
  }
}

/** The number makes Node run a file again that an earlier run in this process had loaded. */
async function importSpec(file: string, run: number): Promise<void> {
  try {
    await toItsEnd(unfinished(file), () => import(`${pathToFileURL(file).href}?run=${run}`));
  } catch (error) {
    if (error instanceof SlipwayError) throw error;
    const hint = hintFor(error);
    throw new SlipwayError({
      code: "VERIFY_SPEC_INVALID",
      where: (error instanceof Error ? placeIn(error.stack ?? "") : undefined) ?? file,
      message: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
      ...(hint === undefined ? {} : { hint }),
      cause: error,
      exitCode: 2,
    });
  }
}

const unfinished = (file: string): SlipwayError =>
  new SlipwayError({
    code: "VERIFY_SPEC_INVALID",
    where: file,
    message: UNFINISHED,
    hint: "A spec file only says what to expect; import nothing that runs by being imported.",
    exitCode: 2,
  });

function hintFor(error: unknown): string | undefined {
  const code = systemCode(error);
  if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX")
    return "Only the types are removed from a spec file: leave out what is more than a type (enum, namespace, parameter properties).";
  if (code === "ERR_MODULE_NOT_FOUND")
    return "Write the path of an imported file with its extension (./shared.ts), and install packages first.";
  return undefined;
}
