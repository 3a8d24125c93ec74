/**
 * The built pages as a folder: `await builtPages()`. In a checkout they are built when they are missing or when a source has
 * changed since, about a second; whoever only runs what was packed finds them there and needs no Vite.
 *
 * `node packages/dashboard/build/pages.ts [FOLDER]` builds them and says where they are; with a folder, a copy of them is put
 * there, for packing.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync } from "node:fs";
import { cp, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const home = join(import.meta.dirname, "..");
const dist = join(home, "dist");
/** Names what the pages were made of; inside the folder, so that it comes and goes with them. */
const madeOf = "made-of";

/** @throws Error when they have to be built and cannot be. */
export async function builtPages(): Promise<string> {
  const sources = fingerprint();
  const built = await readFile(join(dist, madeOf), "utf8").catch(() => undefined);
  if (built !== sources) await build(sources);
  return dist;
}

/** Of everything that the pages are made of; the versions of the libraries stand in package.json. */
function fingerprint(): string {
  const files = globSync(["src/**/*", "public/*", "index.html", "vite.config.ts", "package.json"], {
    cwd: home,
    withFileTypes: true,
  })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const hash = createHash("sha256");
  for (const file of files)
    hash.update(file.slice(home.length)).update("\0").update(readFileSync(file)).update("\0");
  return hash.digest("hex");
}

/** Beside, then into its place: whoever reads the folder meanwhile sees the old pages or the new ones. */
async function build(sources: string): Promise<void> {
  const beside = await mkdtemp(join(home, ".dist-"));
  try {
    const vite = join(dirname(createRequire(import.meta.url).resolve("vite/package.json")), "bin/vite.js");
    await promisify(execFile)(
      process.execPath,
      [vite, "build", "--logLevel=error", `--outDir=${join(beside, "new")}`, "--emptyOutDir"],
      // React has a build for development, too, which is chosen by this variable.
      { cwd: home, env: { ...process.env, NODE_ENV: "production" } },
    );
    await writeFile(join(beside, "new", madeOf), sources);
    if (existsSync(dist)) await rename(dist, join(beside, "old")).catch(ignoreMissing);
    // Another process was faster: its pages were made of the same sources.
    await rename(join(beside, "new"), dist).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } catch (error) {
    throw new Error(
      `dashboard: the pages cannot be built: ${error instanceof Error ? error.message : String(error)}\n` +
        "  In a checkout `npm ci` brings what is needed; `npm run build -w @slipway/dashboard` tries it alone.",
      { cause: error },
    );
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}

if (import.meta.main) {
  const built = await builtPages();
  const [folder] = process.argv.slice(2);
  if (folder !== undefined) {
    await rm(folder, { recursive: true, force: true });
    await cp(built, folder, { recursive: true });
  }
  console.log(folder ?? built);
}
