/**
 * The structure as a test: floors, cycles, and who may touch real time and randomness. It reads the sources' own
 * imports, so it cannot go out of date.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..");

const floors: readonly string[] = ["@slipway/base", "@slipway/kube", "@slipway/cluster", "slipway"];
const folderOf: Readonly<Record<string, string>> = {
  "@slipway/base": "packages/base/",
  "@slipway/kube": "packages/kube/",
  "@slipway/cluster": "packages/cluster/",
  slipway: "packages/slipway/",
};

/** Inside packages/slipway/src: a folder may import those on its own line and on the lines above it. */
const slipwayFloors: readonly (readonly string[])[] = [
  ["config"],
  ["clusters", "images", "verify", "edge", "notify", "observe"],
  ["release"],
  ["corpus", "rehearse"],
  ["world", "server"],
  ["observer"],
  ["cli"],
];
/** Of the second line, no folder imports another, except these. */
const allowedSideways: readonly (readonly [string, string])[] = [
  ["verify", "images"],
  // Response times are counted in the same buckets.
  ["edge", "observe"],
];

/** Inside packages/cluster/src: what a folder must not import, and why the structure needs it so. */
const clusterRules: readonly { readonly from: RegExp; readonly never: RegExp; readonly because: string }[] = [
  {
    from: /^controllers\//,
    never: /^(?:drive|world|server|runtimes|network|kubelet)\//,
    because: "controllers are pure and know only data",
  },
  {
    from: /^(?:server|runtimes|network)\//,
    never: /^controllers\/(?!controller\.ts)/,
    because: "adapters never decide",
  },
];

/**
 * The only files that may use the real clock, timers or randomness: adapters at the edge, each with its reason.
 * Everything else takes a Clock, a Random or `now` as a value.
 */
const adapters: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(join(import.meta.dirname, "adapters.json"), "utf8"),
) as Record<string, string>;

const files = globSync("packages/*/src/**/*.{ts,tsx}", { cwd: root })
  .filter((file) => !file.includes("node_modules"))
  .sort();
const sources = files.filter((file) => !file.endsWith(".test.ts"));
/** Beside the floors: it runs in the browser. */
const dashboard = "packages/dashboard/";

interface Import {
  readonly from: string;
  readonly specifier: string;
  /** Repository path of the imported file, when it is one of ours. */
  readonly target: string | undefined;
  readonly typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), "utf8");
  const found: Import[] = [];
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"|import\(\s*"([^"]+)"\s*\)/g;
  for (const match of text.matchAll(pattern)) {
    const specifier = (match[2] ?? match[3]) as string;
    const target = specifier.startsWith(".")
      ? normalize(join(dirname(file), specifier))
      : exportedBy(specifier);
    found.push({ from: file, specifier, target, typeOnly: match[1] !== undefined });
  }
  return found;
}

/** The file behind `@slipway/kube` or `@slipway/cluster/runtime`, from the package's own exports. */
function exportedBy(specifier: string): string | undefined {
  const name = floors.find((candidate) => specifier === candidate || specifier.startsWith(`${candidate}/`));
  if (name === undefined) return undefined;
  const folder = folderOf[name] as string;
  const manifest = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")) as {
    exports: Record<string, string | { readonly types: readonly [source: string, packed: string] }>;
  };
  const path = manifest.exports[`.${specifier.slice(name.length)}`];
  if (path === undefined) return undefined;
  return join(folder, typeof path === "string" ? path : path.types[0]);
}

const graph = new Map(sources.map((file) => [file, importsOf(file)]));

test("no package imports a higher floor, and every workspace import is declared", () => {
  const problems: string[] = [];
  for (const file of files.filter((file) => !file.startsWith(dashboard))) {
    const own = floors.findIndex((name) => file.startsWith(folderOf[name] as string));
    const manifest = JSON.parse(
      readFileSync(join(root, folderOf[floors[own] as string] as string, "package.json"), "utf8"),
    ) as {
      dependencies?: Record<string, string>;
      /** What is bundled is needed only for that. */
      devDependencies?: Record<string, string>;
    };
    const declared = { ...manifest.dependencies, ...manifest.devDependencies };
    for (const { specifier } of importsOf(file)) {
      const name = floors.find(
        (candidate) => specifier === candidate || specifier.startsWith(`${candidate}/`),
      );
      if (name === undefined) continue;
      if (floors.indexOf(name) > own) problems.push(`${file}: imports the higher floor ${specifier}`);
      if (floors.indexOf(name) < own && declared[name] === undefined) {
        problems.push(`${file}: imports ${name}, which its package.json does not declare`);
      }
    }
  }
  assert.deepEqual(problems, []);
});

test("inside slipway, imports go down or sideways within the rules", () => {
  const problems: string[] = [];
  const lineOf = (folder: string): number => slipwayFloors.findIndex((line) => line.includes(folder));
  for (const [file, imports] of graph) {
    const folder = /^packages\/slipway\/src\/([^/]+)\//.exec(file)?.[1];
    if (folder === undefined) continue;
    if (folder === "lifecycle") {
      for (const { target } of imports)
        assert.equal(target, undefined, `${file}: lifecycle is shipped alone and imports nothing`);
      continue;
    }
    assert.ok(
      lineOf(folder) >= 0,
      `${file}: the folder ${folder} has no floor; give it one in slipwayFloors`,
    );
    for (const { target } of imports) {
      const other = target === undefined ? undefined : /^packages\/slipway\/src\/([^/]+)\//.exec(target)?.[1];
      if (other === undefined || other === folder) continue;
      if (lineOf(other) > lineOf(folder)) problems.push(`${file}: ${folder} imports the higher ${other}`);
      const sideways =
        lineOf(other) === lineOf(folder) && !allowedSideways.some(([a, b]) => a === folder && b === other);
      if (sideways) problems.push(`${file}: ${folder} imports its neighbour ${other}`);
    }
  }
  assert.deepEqual(problems, []);
});

test("inside cluster, controllers are pure and adapters never decide", () => {
  const problems: string[] = [];
  const prefix = "packages/cluster/src/";
  for (const [file, imports] of graph) {
    if (!file.startsWith(prefix)) continue;
    for (const rule of clusterRules.filter(({ from }) => from.test(file.slice(prefix.length)))) {
      for (const { target } of imports) {
        if (target?.startsWith(prefix) && rule.never.test(target.slice(prefix.length))) {
          problems.push(`${file}: imports ${target.slice(prefix.length)}, but ${rule.because}`);
        }
      }
    }
  }
  assert.deepEqual(problems, []);
});

test("the dashboard knows nothing of the rest but the types that the server speaks", () => {
  const libraries = ["react", "react-dom/client", "uplot", "uplot/dist/uPlot.min.css"];
  const spoken = "packages/slipway/src/server/api.ts";
  const problems: string[] = [];
  for (const [file, imports] of graph) {
    if (!file.startsWith(dashboard)) {
      const into = imports.filter(({ target }) => target?.startsWith(dashboard));
      problems.push(...into.map(({ target }) => `${file}: imports ${target}, which is the browser's`));
      continue;
    }
    for (const { specifier, target, typeOnly } of imports) {
      if (target?.startsWith(dashboard) || libraries.includes(specifier)) continue;
      if (target !== spoken || !typeOnly) problems.push(`${file}: imports ${specifier}`);
    }
  }
  assert.deepEqual(problems, []);
});

test("no import cycle, types included", () => {
  assert.deepEqual(cycles(), []);
});

function cycles(): string[] {
  const state = new Map<string, "open" | "done">();
  const found: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open") {
      found.push([...path.slice(path.indexOf(file)), file].join(" -> "));
      return;
    }
    state.set(file, "open");
    for (const { target } of graph.get(file) ?? []) {
      if (target !== undefined && graph.has(target)) visit(target, [...path, file]);
    }
    state.set(file, "done");
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

test("zod is imported as a namespace, of which a bundle has what is used", () => {
  // `{ z }` brings all of it, with the messages of fifty languages: 20 ms of every start that reads a configuration.
  const whole = sources.filter((file) =>
    /import (?:type )?\{[^}]*\bz\b[^}]*\} from "zod"/.test(readFileSync(join(root, file), "utf8")),
  );
  assert.deepEqual(whole, [], 'write import * as z from "zod"');
});

test("a real clock, timer or randomness is used only in adapters", () => {
  const forbidden =
    /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|\bsetTimeout\(|\bsetInterval\(|\bsetImmediate\(|\bMath\.random\(|\brandomUUID\(|\brandomBytes\(|\bgetRandomValues\(|node:timers|\bhrtime\b/;
  const used = new Set<string>();
  const problems: string[] = [];
  for (const file of sources) {
    const code = readFileSync(join(root, file), "utf8")
      .replaceAll(/\/\*[\s\S]*?\*\//g, "")
      .replaceAll(/(^|\s)\/\/.*$/gm, "");
    const match = forbidden.exec(code);
    if (match === null) continue;
    if (adapters[file] === undefined) problems.push(`${file}: uses ${match[0]} but is not an adapter`);
    used.add(file);
  }
  for (const file of Object.keys(adapters)) {
    if (!used.has(file)) problems.push(`test/adapters.json: ${file} does not need its exception any more`);
  }
  assert.deepEqual(problems, []);
});
