/**
 * Makes the program in one piece, in packages/slipway/dist: `node scripts/bundle.ts`, also as `npm run bundle`, after
 * `npm ci` and before `npm pack`. How a start finds it, and why it is never an old one: packages/slipway/bin/bundle.mjs.
 *
 * Each bundle has a folder of its own, filled under another name and renamed, and then named in current.json: whoever
 * starts meanwhile runs the one before, whole. Folders that no process has open any more are taken away by the next bundle.
 *
 *   --alone     take away all other bundles, for packing
 *   --if-can    a failure is told and is none: the sources run without a bundle (after `npm ci`)
 */
import { randomUUID } from "node:crypto";
import { globSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { Metafile, Plugin } from "esbuild";
import { readCache, systemClock, writeCache } from "../packages/base/src/index.ts";
import { type CurrentBundle, type Stamp, stampOf } from "../packages/slipway/bin/bundle.mjs";

/** Entries by their place in the bundle, which is their place in packages/slipway/src; other packages under their names. */
type Entries = Readonly<Record<string, string>>;

/** What one process loads together: they share what they share, and each command loads its own part when it runs. */
const SHARED: Entries = {
  "cli/main": "packages/slipway/src/cli/main.ts",
  // What a configuration or a spec file imports as `slipway…`.
  index: "packages/slipway/src/index.ts",
  "verify/verify": "packages/slipway/src/verify/verify.ts",
  "verify/node-test/node-test": "packages/slipway/src/verify/node-test/node-test.ts",
  "lifecycle/lifecycle": "packages/slipway/src/lifecycle/lifecycle.ts",
};

/** Processes of their own: one file each, which runs wherever it is copied, and as long as it likes. */
const ALONE: Entries = {
  "verify/engines/inside/helper-main": "packages/slipway/src/verify/engines/inside/helper-main.ts",
  "cluster/runtimes/sandbox/agent": "packages/cluster/src/runtimes/sandbox/agent.ts",
  "cluster/runtimes/sandbox/unpack-main": "packages/cluster/src/runtimes/sandbox/unpack-main.ts",
};

/** The world, and what runs beside it: each folder's `main.ts` is a process. */
function processes(root: string): Entries {
  const files = globSync("*/main.ts", { cwd: join(root, "packages/slipway/src") });
  const names = files.map((file) => dirname(file)).filter((name) => name !== "cli");
  return Object.fromEntries(names.map((name) => [`${name}/main`, `packages/slipway/src/${name}/main.ts`]));
}

/** What runs in a cluster: one file each, with all that it needs but what its image has beside it (observer/install/image.ts). */
const IN_CLUSTERS: Entries = {
  "observer/agent/main": "packages/slipway/src/observer/agent/main.ts",
  "observer/collector/main": "packages/slipway/src/observer/collector/main.ts",
};
const BESIDE_IN_IMAGE = ["@duckdb/*", "@resvg/*", "dejavu-fonts-ttf"];

/** Packages that stay where npm put them: native code, or so much that is seldom used that it would only be in the way. */
export const EXTERNAL = [
  ...["dockerode", "@duckdb/*", "@resvg/*", "dejavu-fonts-ttf"],
  ...["@kubernetes/client-node", "@slack/*", "@google-cloud/*", "xmlbuilder2"],
];

/** Coarser than the times of any file system in use: a file that changed just now could change again unseen. */
const REST_MS = 2_000;
/** A process that is starting has not opened its bundle yet. */
const START_MS = 600_000;

export interface BundleOptions {
  /** The checkout. */
  readonly root: string;
  /** Where current.json and the folders of the bundles are. */
  readonly dist: string;
  readonly isAlone?: boolean;
}

/** Resolves to the bundle's folder. Rejects when a source cannot be bundled. */
export async function bundle({ root, dist, isAlone = false }: BundleOptions): Promise<string> {
  const { build } = await import("esbuild");
  // Before anything is read: what changes from here on makes this bundle one of old sources.
  const stamps = await stampsAtRest(root);
  const name = randomUUID();
  const unfinished = join(dist, `.${name}`);
  await mkdir(unfinished, { recursive: true });
  try {
    const metafiles: Metafile[] = [];
    for (const { entries, isShared = false, external = EXTERNAL, banner = REQUIRE } of [
      { entries: SHARED, isShared: true },
      { entries: { ...ALONE, ...processes(root) }, banner: `${REQUIRE}\n${HOLD}` },
      { entries: IN_CLUSTERS, external: BESIDE_IN_IMAGE },
    ]) {
      const { metafile } = await build({
        absWorkingDir: root,
        entryPoints: { ...entries },
        outdir: unfinished,
        bundle: true,
        splitting: isShared,
        chunkNames: "chunks/[name]-[hash]",
        format: "esm",
        platform: "node",
        target: "node24",
        sourcemap: true,
        sourcesContent: false,
        metafile: true,
        external: [...external],
        plugins: [places(root), builtins()],
        banner: { js: banner },
        logLevel: "silent",
      });
      metafiles.push(metafile);
    }
    const current: CurrentBundle = { folder: name, sources: sourcesOf(metafiles, stamps) };
    await rename(unfinished, join(dist, name));
    // What is packed runs on other machines, on a Node of their own.
    if (!isAlone) await makeHeapIn(join(dist, name), root);
    const before = await readCache<CurrentBundle>(join(dist, "current.json"));
    await writeCache(join(dist, "current.json"), current);
    if (isAlone) await rm(join(dist, "ready"), { force: true });
    else await nameReady(dist);
    await sweep(dist, [name, ...(isAlone || before === undefined ? [] : [before.folder])], isAlone);
    return join(dist, name);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** Without a heap, `slipway build` starts like every command. */
async function makeHeapIn(folder: string, root: string): Promise<void> {
  try {
    const { makeHeap } = await import("./heap.ts");
    await makeHeap({ root, folder, external: EXTERNAL, places: places(root) });
  } catch (error) {
    console.error(`slipway: no heap was made, builds start without: ${messageOf(error)}`);
  }
}

/**
 * dist/ready is the current bundle under a name that a shell finds without reading anything. Looked at again afterwards: of two
 * bundles that are made at once, the one that was named last in current.json is named here too.
 */
async function nameReady(dist: string): Promise<void> {
  const current = async (): Promise<string | undefined> =>
    (await readCache<CurrentBundle>(join(dist, "current.json")))?.folder;
  for (let named: string | undefined; named !== (await current()); ) {
    named = await current();
    if (named === undefined) return;
    const next = join(dist, `.ready-${randomUUID()}`);
    await symlink(named, next);
    await rename(next, join(dist, "ready"));
  }
}

/** CommonJS packages call require for Node's own modules, which a module has not. */
const REQUIRE =
  'import { createRequire as requireFor } from "node:module"; const require = requireFor(import.meta.url);';

/** The command line's start holds its bundle open (bin/bundle.mjs); what it leaves running does so too. */
const HOLD =
  'try { process.getBuiltinModule("node:fs").openSync(decodeURIComponent(new URL(import.meta.url).pathname).replace(/^(.*\\/dist\\/[^/]+)\\/.*$/, "$1")); } catch {}';

/**
 * A source that asks for its address gets its place in the bundle, of whichever file it has become part: so it finds the
 * entries beside it as it finds the sources. One that asks for its folder wants data, which stays where the source is.
 */
function places(root: string): Plugin {
  return {
    name: "places",
    setup({ onLoad }) {
      onLoad({ filter: /\/packages\/[^/]+\/src\/.*\.ts$/ }, async ({ path }) => {
        const text = await readFile(path, "utf8");
        if (!text.includes("import.meta.")) return undefined;
        const place = relative(root, path)
          .replace(/^packages\/slipway\/src\//, "")
          .replace(/^packages\/([^/]+)\/src\//, "$1/")
          .replace(/\.ts$/, ".js");
        const source = relative(join(root, "packages/slipway/dist/bundle"), dirname(path));
        const at = (there: string): string =>
          `import.meta.url.replace(/^(.*\\/dist\\/[^/]+\\/).*$/, ${JSON.stringify(`$1${there}`)})`;
        return {
          loader: "ts",
          contents: text
            .replaceAll("import.meta.url", () => at(place))
            .replaceAll("import.meta.dirname", () => `decodeURIComponent(new URL(${at(source)}).pathname)`),
        };
      });
    },
  };
}

/**
 * Node's own modules, read export by export: an import statement reads all of them at once, and some (of util, process,
 * crypto, http) load whole subsystems when they are read.
 */
function builtins(): Plugin {
  return {
    name: "builtins",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^node:/ }, ({ path, kind }) =>
        kind === "import-statement"
          ? { path, namespace: "builtin", sideEffects: false }
          : { path, external: true },
      );
      onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => {
        const names = Object.keys(process.getBuiltinModule(path) ?? {}).filter(
          (name) => /^[A-Za-z_]\w*$/.test(name) && name !== "default",
        );
        const lines = names.map((name) => `export const ${name} = /* @__PURE__ */ (() => all.${name})();`);
        return {
          contents: [
            `const all = /* @__PURE__ */ process.getBuiltinModule("${path}");`,
            ...lines,
            "export default all;",
          ].join("\n"),
        };
      });
    },
  };
}

/** What the bundle is made of: our sources, and of what npm installed its own list, which each install writes anew. */
async function stampsAtRest(root: string): Promise<ReadonlyMap<string, Stamp>> {
  const files = [
    "scripts/bundle.ts",
    "scripts/heap.ts",
    "packages/slipway/bin/bundle.mjs",
    "node_modules/.package-lock.json",
    ...globSync(["packages/*/package.json", "packages/*/src/**/*.{ts,json}"], { cwd: root }),
  ];
  for (;;) {
    const stamps = new Map(files.map((path) => [path, stampOf(root, path) ?? missing(path)] as const));
    const newest = Math.max(...[...stamps.values()].map(([, , ctimeMs]) => ctimeMs));
    const restMs = newest + REST_MS - systemClock.now();
    if (restMs <= 0) return stamps;
    await systemClock.sleep(Math.min(restMs, REST_MS));
  }
}

function missing(path: string): never {
  throw new Error(`${path} is missing`);
}

function sourcesOf(
  metafiles: readonly Metafile[],
  stamps: ReadonlyMap<string, Stamp>,
): CurrentBundle["sources"] {
  const inputs = new Set(metafiles.flatMap(({ inputs }) => Object.keys(inputs)));
  const ours = [...inputs].filter((path) => path.startsWith("packages/"));
  const always = [...stamps.keys()].filter((path) => !path.includes("/src/"));
  return [...new Set([...always, ...ours])]
    .sort()
    .map((path) => [path, ...(stamps.get(path) ?? missing(path))] as const);
}

/** Takes away what nobody runs any more, and what a bundle that was interrupted left. */
async function sweep(dist: string, keep: readonly string[], isAlone: boolean): Promise<void> {
  const open = isAlone ? new Set<string>() : openFolders();
  for (const entry of await readdir(dist, { withFileTypes: true })) {
    const path = join(dist, entry.name);
    if (!entry.isDirectory() || keep.includes(entry.name) || open.has(path)) continue;
    if (!isAlone && statSync(path).ctimeMs > systemClock.now() - START_MS) continue;
    await rm(path, { recursive: true, force: true });
  }
}

/** What processes have open, as far as this user may see it. */
function openFolders(): ReadonlySet<string> {
  const names = (folder: string): readonly string[] => {
    try {
      return readdirSync(folder);
    } catch {
      return []; // the process has ended, or is another user's
    }
  };
  const links = names("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => names(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`));
  return new Set(
    links.flatMap((link) => {
      try {
        return [readlinkSync(link)];
      } catch {
        return [];
      }
    }),
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

if (import.meta.main) {
  const root = dirname(import.meta.dirname);
  const options = process.argv.slice(2);
  try {
    await bundle({ root, dist: join(root, "packages/slipway/dist"), isAlone: options.includes("--alone") });
  } catch (error) {
    console.error(`slipway: no bundle was made, the sources run as they are: ${messageOf(error)}`);
    process.exitCode = options.includes("--if-can") ? 0 : 1;
  }
}
