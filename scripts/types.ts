/**
 * Writes the types of what a project imports from Slipway to packages/slipway/dist/types, for `npm pack`: the sources'
 * own, without the sources. Types of the other packages of this repository, which are no packages elsewhere, lie beside
 * them.
 */
import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types: readonly string[] }>>;
}

const PACKAGES = ["base", "kube", "cluster"];

/** Writes `index.d.ts` and so on below `out`, by package. Rejects when the sources do not compile. */
export async function writeTypes(root: string, out: string): Promise<void> {
  const entries = await sourcesOf(root, "slipway");
  const own = await Promise.all(PACKAGES.map((name) => doorsOf(root, name)));
  const folder = await mkdtemp(join(tmpdir(), "slipway-types-"));
  try {
    const config = join(folder, "tsconfig.json");
    const settings = {
      extends: join(root, "tsconfig.json"),
      compilerOptions: {
        noEmit: false,
        declaration: true,
        emitDeclarationOnly: true,
        rootDir: join(root, "packages"),
        outDir: out,
        typeRoots: [join(root, "node_modules/@types")],
        // Where their sources are: of a file that was first found below node_modules nothing is written, and which
        // way is first differs from run to run, as the compiler reads files in parallel.
        paths: Object.fromEntries(
          own.flat().map(([door, source]) => [door, [join(root, "packages", source)]]),
        ),
      },
      include: [],
      files: entries,
    };
    await writeFile(config, JSON.stringify(settings));
    await rm(out, { recursive: true, force: true });
    await promisify(execFile)(join(root, "node_modules/.bin/tsc"), ["-p", config]);
    await placeOwn(out, own.flat());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function sourcesOf(root: string, name: string): Promise<readonly string[]> {
  const { exports } = await manifestOf(root, name);
  return Object.values(exports).map((one) =>
    join(root, "packages", name, typeof one === "string" ? one : (one.types[0] as string)),
  );
}

/** What can be imported from one of the other packages, and its file below packages/: `["@slipway/base", "base/…"]`. */
async function doorsOf(root: string, name: string): Promise<readonly (readonly [string, string])[]> {
  const { exports } = await manifestOf(root, name);
  return Object.entries(exports).map(([door, target]) => [
    `@slipway/${name}${door.slice(1)}`,
    join(name, target as string),
  ]);
}

/** `@slipway/base` becomes the way to its types. */
async function placeOwn(out: string, own: readonly (readonly [string, string])[]): Promise<void> {
  // As the sources name each other; that the file is called `.d.ts` here is what compilers look for.
  const places = new Map(own.map(([door, source]) => [door, join(out, source)]));
  for (const path of globSync("**/*.d.ts", { cwd: out }).map((name) => join(out, name))) {
    const text = await readFile(path, "utf8");
    const placed = text.replaceAll(/(["'])(@slipway\/[^"']+)\1/g, (whole, _quote, name: string) => {
      const place = places.get(name);
      return place === undefined ? whole : `"${wayTo(dirname(path), place)}"`;
    });
    if (placed !== text) await writeFile(path, placed);
  }
}

function wayTo(folder: string, path: string): string {
  const way = relative(folder, path);
  return way.startsWith(".") ? way : `./${way}`;
}

const manifestOf = async (root: string, name: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(root, "packages", name, "package.json"), "utf8")) as Manifest;

if (import.meta.main) {
  const root = dirname(import.meta.dirname);
  await writeTypes(root, join(root, "packages/slipway/dist/types"));
}
