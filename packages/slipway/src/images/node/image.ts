/**
 * An image of a Node service without a Dockerfile: the base, its production node_modules, its code, and how it starts.
 * Each is a layer of its own, so that a change of code moves only code.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readTextIfExists, SlipwayError } from "@slipway/base";
import { copyEntries } from "../dockerfile/copy.ts";
import { parseIgnore } from "../dockerfile/patterns.ts";
import type { StageImage } from "../dockerfile/stage.ts";
import { contextTree } from "../dockerfile/tree.ts";
import { bytesEntry } from "../layer-entry.ts";
import { type WrittenLayer, writeLayer } from "../layer-writer.ts";
import { ImageFiles } from "../layers.ts";
import { type ModulesInputs, modulesLayer } from "./modules.ts";
import { type PackageFile, PID1_FILE, PID1_SOURCE, startCommand } from "./start.ts";

/** What never belongs to an image, whatever .dockerignore says. */
const NEVER = [
  "Dockerfile",
  ".dockerignore",
  "node_modules",
  "**/node_modules",
  "**/.git",
  "**/.env",
  "**/.env.*",
  "**/.npmrc",
  "**/.slipway",
];

export interface NodeImageInputs extends Omit<ModulesInputs, "packageFile" | "mtime"> {
  readonly base: StageImage;
  /** In place of what package.json says. */
  readonly command: readonly string[] | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** ENV of the image. */
  readonly variables: Readonly<Record<string, string>>;
  readonly commitMtime: number;
}

export async function nodeImage(inputs: NodeImageInputs): Promise<StageImage> {
  const { layout, base, folder, where, commitMtime } = inputs;
  const packageFile = await readPackageFile(folder, where);
  const hasServerFile = (await readTextIfExists(join(folder, "server.js"))) !== undefined;
  const command = inputs.command ?? startCommand(packageFile, hasServerFile, `${where}/package.json`);

  const support = await writeLayer(layout, [bytesEntry(PID1_FILE.slice(1), PID1_SOURCE)], {
    mtime: base.runMtime,
    compression: "gzip",
  });
  const modules = await modulesLayer({ ...inputs, packageFile, mtime: base.runMtime });
  const ignored = (await readTextIfExists(join(folder, ".dockerignore"))) ?? "";
  const { entries: code } = await copyEntries({
    tree: contextTree(folder, where, parseIgnore([ignored, ...NEVER].join("\n")), layout.now()),
    sources: ["."],
    destination: "/app/",
    workingDir: "/",
    owner: { uid: 0, gid: 0 },
    mode: undefined,
    files: await ImageFiles.open(layout, { layers: [] }),
    fail: (message) => fault(where, message),
  });
  const app = await writeLayer(layout, code, { mtime: commitMtime, compression: "gzip" });

  const made: readonly (readonly [string, WrittenLayer])[] = [
    ["how process 1 takes signals", support],
    ...(modules === undefined ? [] : [["production node_modules", modules] as const]),
    [`code of ${packageFile.name ?? where}`, app],
  ];
  const created = new Date(commitMtime * 1000).toISOString();
  const env = new Map((base.config.Env ?? []).map((one) => [one.slice(0, one.indexOf("=")), one] as const));
  for (const [name, value] of Object.entries({ NODE_ENV: "production", ...inputs.variables }))
    env.set(name, `${name}=${value}`);
  const { Entrypoint: _, ...config } = base.config;
  return {
    ...base,
    // A number: Kubernetes cannot tell whether a name is root.
    config: { ...config, Env: [...env.values()], WorkingDir: "/app", User: "1000:1000", Cmd: command },
    layers: [...base.layers, ...made.map(([, layer]) => layer.descriptor)],
    diffIds: [...base.diffIds, ...made.map(([, layer]) => layer.diffId)],
    contents: [...base.contents, ...made.map(([, layer]) => layer.diffId)],
    history: [...base.history, ...made.map(([what]) => ({ created, created_by: what, comment: "slipway" }))],
  };
}

async function readPackageFile(folder: string, where: string): Promise<PackageFile> {
  try {
    return JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as PackageFile;
  } catch (error) {
    throw fault(where, `cannot read package.json: ${(error as Error).message}`);
  }
}

function fault(where: string, message: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGES_NODE_INVALID",
    where,
    message,
    hint: "{ node } names a folder with a package.json.",
    exitCode: 2,
  });
}
