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
import { cp, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const home = join(import.meta.dirname, "..");
/** Pages of other sources are taken away after this: whoever serves them has read them long ago. */
const keptMs = 3_600_000;

/**
 * A folder in `dist`, named after what it was made of: it is there whole or not at all, whoever else builds meanwhile.
 *
 * @throws Error when they have to be built and cannot be.
 */
export async function builtPages(dist = join(home, "dist")): Promise<string> {
  const folder = join(dist, fingerprint());
  if (!existsSync(folder)) await build(dist, folder);
  return folder;
}

/** Of everything that the pages are made of; the versions of the libraries stand in package.json. */
function fingerprint(): string {
  const files = globSync(
    ["src/**/*", "public/*", "index.html", "vite.config.ts", "build/build.ts", "package.json"],
    {
      cwd: home,
      withFileTypes: true,
    },
  )
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const hash = createHash("sha256");
  for (const file of files)
    hash.update(file.slice(home.length)).update("\0").update(readFileSync(file)).update("\0");
  return hash.digest("hex");
}

async function build(dist: string, folder: string): Promise<void> {
  await mkdir(dist, { recursive: true });
  const beside = await mkdtemp(join(dist, ".new-"));
  try {
    await promisify(execFile)(process.execPath, [join(import.meta.dirname, "build.ts"), beside], {
      // React has a build for development, too, which is chosen by this variable.
      env: { ...process.env, NODE_ENV: "production" },
    });
    await rename(beside, folder).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster: its pages were made of the same sources.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
    await sweep(dist, folder);
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

async function sweep(dist: string, current: string): Promise<void> {
  for (const name of await readdir(dist)) {
    const path = join(dist, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (path !== current && mtimeMs < Date.now() - keptMs) await rm(path, { recursive: true, force: true });
  }
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
