/**
 * The image of agent and collector: Node, the two programs in one file each, and DuckDB with its native library. The
 * programs are those of Slipway's bundle where this runs from one; from its sources they are bundled here.
 */
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SlipwayError } from "@slipway/base";
import type { BuildOptions } from "../../images/build.ts";
import type { BuiltImage } from "../../images/image.ts";

export const IMAGE = "slipway-observe";
const PROGRAMS = ["agent", "collector"] as const;
/** Native code, which cannot be bundled, and what it needs at run time. */
const PACKAGES = ["@duckdb/node-api", "@duckdb/node-bindings", "@resvg/resvg-wasm"] as const;
/** Of a package with many of them, those that pictures of reports are written with (`observe/queries/picture/png.ts`). */
const FONTS = ["package.json", "LICENSE", "ttf/DejaVuSans.ttf", "ttf/DejaVuSans-Bold.ttf"] as const;

export interface ImageOptions
  extends Pick<BuildOptions, "layout" | "registry" | "isLocal" | "allowHostBases" | "bases" | "onProgress"> {
  /** Default: Node of this machine, where that is allowed. */
  readonly base: string | undefined;
  readonly architecture: string;
}

/** Rejects with OBSERVE_BASE when there is no base, OBSERVE_BUNDLE when the programs cannot be made. */
export async function buildObserveImage(options: ImageOptions): Promise<BuiltImage> {
  const { base = "slipway/node", architecture, ...rest } = options;
  if (base === "slipway/node" && !rest.isLocal && !rest.allowHostBases.includes(base)) {
    throw new SlipwayError({
      code: "OBSERVE_BASE",
      where: "slipway observe install",
      message: "the image needs a base with Node 24 in it",
      hint: "Name one with --base, like --base docker.io/library/node:24-bookworm-slim.",
      exitCode: 2,
    });
  }
  const folder = await mkdtemp(join(tmpdir(), "slipway-observe-"));
  try {
    await writePrograms(join(folder, "app"));
    await copyPackages(join(folder, "app/node_modules"), architecture);
    await writeFile(
      join(folder, "Dockerfile"),
      `FROM ${base}\nCOPY app /app\nWORKDIR /app\nUSER 65532:65532\nENTRYPOINT []\nCMD ["node", "/app/collector.js"]\n`,
    );
    const { buildImages } = await import("../../images/build.ts");
    const [built] = await buildImages({
      ...rest,
      images: [
        {
          name: IMAGE,
          from: { kind: "context", context: folder, dockerfile: join(folder, "Dockerfile"), args: {} },
        },
      ],
      root: folder,
      // Of content alone: the same Slipway gives the same image, whenever it is installed.
      commitTimeMs: 0,
      builder: "slipway",
    });
    return built as BuiltImage;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writePrograms(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.json"), '{ "type": "module" }\n');
  const place = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
  const isBundled = !import.meta.url.endsWith(".ts");
  for (const program of PROGRAMS) {
    const target = join(folder, `${program}.js`);
    if (isBundled) await cp(place(`../${program}/main.js`), target);
    else await bundle(place(`../${program}/main.ts`), target);
  }
}

async function bundle(entry: string, target: string): Promise<void> {
  try {
    const { build } = await import("esbuild");
    await build({
      entryPoints: [entry],
      outfile: target,
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node24",
      external: ["@duckdb/*", "@resvg/*"],
      banner: {
        js: 'import { createRequire as requireFor } from "node:module"; const require = requireFor(import.meta.url);',
      },
      logLevel: "silent",
    });
  } catch (cause) {
    throw new SlipwayError({
      code: "OBSERVE_BUNDLE",
      where: entry,
      message: cause instanceof Error ? cause.message : String(cause),
      hint: "Run `npm ci` in Slipway's checkout; a packed Slipway has these programs in it.",
      cause,
    });
  }
}

async function copyPackages(modules: string, architecture: string): Promise<void> {
  const native = `@duckdb/node-bindings-linux-${architecture === "amd64" ? "x64" : architecture}`;
  const require = createRequire(import.meta.url);
  for (const name of [...PACKAGES, native]) {
    await cp(requiredFolder(require, name), join(modules, name), { recursive: true, dereference: true });
  }
  const fonts = requiredFolder(require, "dejavu-fonts-ttf");
  for (const file of FONTS) await cp(join(fonts, file), join(modules, "dejavu-fonts-ttf", file));
}

function requiredFolder(require: NodeJS.Require, name: string): string {
  const folder = packageFolder(require, name);
  if (folder !== undefined) return folder;
  throw new SlipwayError({
    code: "OBSERVE_BUNDLE",
    where: name,
    message: "is not installed, and the image needs it",
    hint: `Install it beside Slipway: npm install ${name}`,
    exitCode: 3,
  });
}

function packageFolder(require: NodeJS.Require, name: string): string | undefined {
  for (const place of require.resolve.paths(name) ?? []) {
    const folder = join(place, name);
    if (existsSync(join(folder, "package.json"))) return folder;
  }
  return undefined;
}

/** Changes when the programs do: the tag of the image. */
export async function versionOfSlipway(): Promise<string> {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return (JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as { version: string }).version;
}
