/**
 * The production node_modules of a service as a layer of its own, which changes only with the lockfile: made by
 * `npm ci --omit=dev` in a clean folder. Without a network, what is installed beside the service is taken, as far as
 * it is what the lockfile says.
 */
import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { exec, readTextIfExists, SlipwayError } from "@slipway/base";
import { findTool } from "@slipway/cluster/sandbox";
import { copyEntries } from "../dockerfile/copy.ts";
import { parseIgnore } from "../dockerfile/patterns.ts";
import { contextTree } from "../dockerfile/tree.ts";
import { GZIP_RECIPE } from "../layer-members.ts";
import { type WrittenLayer, writeLayer } from "../layer-writer.ts";
import { ImageFiles } from "../layers.ts";
import type { ImageLayout } from "../layout.ts";
import type { Platform } from "../oci.ts";
import { readRecord, writeRecord } from "../record.ts";
import { type ProductionPackage, productionPackages } from "./lockfile.ts";
import type { PackageFile } from "./start.ts";

/** Change when the layer would be made in another way. */
const RECIPE = 1;

export interface ModulesInputs {
  readonly layout: ImageLayout;
  /** The service's folder; absolute. */
  readonly folder: string;
  /** How messages name it. */
  readonly where: string;
  readonly packageFile: PackageFile;
  readonly platform: Platform;
  readonly mtime: number;
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
  readonly onOutput: (text: string) => void;
  readonly onWarning: (message: string) => void;
}

/** The layer with /app/node_modules; undefined when nothing is needed in production. */
export async function modulesLayer(inputs: ModulesInputs): Promise<WrittenLayer | undefined> {
  const { layout, folder, where, packageFile, platform, mtime } = inputs;
  const wanted = { ...packageFile.dependencies, ...packageFile.optionalDependencies };
  if (Object.keys(wanted).length === 0) return undefined;
  const lock = await readTextIfExists(join(folder, "package-lock.json"));
  if (lock === undefined) throw lockMissing(where);
  const packages = productionPackages(lock, `${where}/package-lock.json`);
  if (packages.length === 0) return undefined;

  const node = process.versions.modules;
  const key = createHash("sha256")
    .update(JSON.stringify([RECIPE, GZIP_RECIPE, lock, wanted, platform, node, mtime]))
    .digest("hex");
  const record = layout.cachePath("node", `${key}.json`);
  const known = readRecord<WrittenLayer>(record);
  if (known !== undefined && (await layout.size(known.descriptor.digest)) === known.descriptor.size) {
    await layout.touch(known.descriptor.digest);
    return known;
  }
  await mkdir(layout.cachePath("node"), { recursive: true });
  const clean = await mkdtemp(layout.cachePath("node", "clean-"));
  try {
    const problem = await install(inputs, clean);
    if (problem === undefined) {
      const layer = await layerOf(inputs, clean, undefined);
      await writeRecord(record, layer);
      return layer;
    }
    const missing = await firstMissing(folder, packages);
    if (missing !== undefined) throw npmFailed(where, problem, missing);
    inputs.onWarning(
      `npm ci is not possible (${problem.split("\n")[0]}); taking what is installed in ${where}/node_modules`,
    );
    // Not remembered: the next build with a network makes it cleanly.
    return await layerOf(inputs, folder, packages);
  } finally {
    await rm(clean, { recursive: true, force: true });
  }
}

/** Runs npm in an empty folder; what went wrong, or undefined. */
async function install(inputs: ModulesInputs, clean: string): Promise<string | undefined> {
  const { folder, platform, env, signal, onOutput } = inputs;
  const npm = findTool("npm");
  if (npm === undefined) return "there is no npm";
  for (const name of ["package.json", "package-lock.json", ".npmrc"]) {
    await copyFile(join(folder, name), join(clean, name)).catch((error: unknown) => {
      if (name !== ".npmrc") throw error;
    });
  }
  // By the Node that is in the image, so that what packages build fits it.
  const cli = await realpath(npm);
  const program = cli.endsWith(".js") ? [process.execPath, cli] : [npm];
  const arch = { amd64: "x64", "386": "ia32" }[platform.architecture] ?? platform.architecture;
  const flags = [
    "--omit=dev",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--prefer-offline",
    `--os=${platform.os}`,
    `--cpu=${arch}`,
  ];
  const result = await exec([...program, "ci", ...flags], {
    cwd: clean,
    env: { ...env, NODE_ENV: "production" },
    ...(signal === undefined ? {} : { signal }),
    onOutput,
  });
  if (result.exitCode === 0) return undefined;
  const said = `${result.stderr}${result.stdout}`
    .split("\n")
    .filter((line) => /^npm (?:error|ERR!)/.test(line));
  return (
    said
      .slice(0, 5)
      .map((line) => line.replace(/^npm (?:error|ERR!) ?/, ""))
      .join("\n") || `exit code ${result.exitCode}`
  );
}

/** The first package of the lockfile that is not installed as it says. */
async function firstMissing(
  folder: string,
  packages: readonly ProductionPackage[],
): Promise<string | undefined> {
  for (const { path, version, isOptional } of packages) {
    const text = await readFile(join(folder, path, "package.json"), "utf8").catch(() => undefined);
    if (text === undefined && isOptional) continue;
    if (text === undefined) return path;
    const installed = (JSON.parse(text) as { version?: string }).version;
    if (installed !== version) return `${path}@${version} (installed: ${installed})`;
  }
  return undefined;
}

/** `packages`: only these of what is there, without those below them that are not listed; undefined: all. */
async function layerOf(
  inputs: ModulesInputs,
  from: string,
  packages: readonly ProductionPackage[] | undefined,
): Promise<WrittenLayer> {
  const never = "**/node_modules/.cache\n**/node_modules/.package-lock.json";
  // Everything is out but the packages, whose own nested ones are out again but for those listed.
  const only =
    packages === undefined
      ? []
      : [...packages]
          .sort((a, b) => a.path.length - b.path.length)
          .flatMap(({ path }) => [`!${path}`, `${path}/node_modules`]);
  const ignore = parseIgnore(
    [...(packages === undefined ? [] : ["node_modules", ...only]), never].join("\n"),
  );
  const { entries } = await copyEntries({
    tree: contextTree(from, from, ignore, inputs.layout.now()),
    sources: ["node_modules"],
    destination: "/app/node_modules",
    workingDir: "/",
    owner: { uid: 0, gid: 0 },
    mode: undefined,
    files: await ImageFiles.open(inputs.layout, { layers: [] }),
    fail: (message) => npmFailed(inputs.where, message, "node_modules"),
  });
  return writeLayer(inputs.layout, entries, { mtime: inputs.mtime, compression: "gzip" });
}

function lockMissing(where: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGES_NODE_LOCKFILE",
    where: `${where}/package.json`,
    message: "it has dependencies, and there is no package-lock.json beside it",
    hint: "Make one with npm install --package-lock-only; services of a workspace need a Dockerfile.",
    exitCode: 2,
  });
}

function npmFailed(where: string, problem: string, missing: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGES_NODE_INSTALL",
    where: `${where}/package-lock.json`,
    message: `npm ci --omit=dev failed, and ${missing} is not installed either:\n  ${problem.replaceAll("\n", "\n  ")}`,
    hint: "Run npm ci there once with a network; after that it is kept.",
    exitCode: 3,
  });
}
