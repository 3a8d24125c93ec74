/**
 * Makes the heap that `slipway build` starts from, in a bundle's folder: Node's startup snapshot of
 * packages/slipway/src/cli/ready.ts, and beside it a second name of the Node that made it. A heap can be read by that
 * very Node only, so bin/slipway takes it where the Node it has found is the same file.
 */
import { existsSync } from "node:fs";
import { link, rename } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import { exec } from "../packages/base/src/index.ts";

export interface HeapOptions {
  /** The checkout. */
  readonly root: string;
  /** The bundle's. */
  readonly folder: string;
  readonly external: readonly string[];
  /** Gives sources that ask for their address the one in the bundle. */
  readonly places: Plugin;
}

/** Rejects when there can be no heap here: the program then starts as ever. */
export async function makeHeap({ root, folder, external, places }: HeapOptions): Promise<void> {
  const program = join(folder, "build.cjs");
  await build({
    absWorkingDir: root,
    entryPoints: ["packages/slipway/src/cli/ready.ts"],
    outfile: program,
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node24",
    sourcemap: true,
    sourcesContent: false,
    minifyWhitespace: true,
    external: [...external],
    plugins: [places, lazyBuiltins()],
    // A heap can import nothing; what it can require is looked up when it is needed.
    supported: { "dynamic-import": false },
    define: { "import.meta.url": "heapPlace" },
    banner: { js: PLACE },
    logLevel: "silent",
  });
  const own = join(root, "node_modules", `node-linux-${process.arch}`, "bin/node");
  const node = existsSync(own) ? own : process.execPath;
  const blob = join(folder, "build.blob");
  await run([node, `--snapshot-blob=${blob}.new`, "--build-snapshot", program], root);
  await run(
    [node, `--snapshot-blob=${blob}.new`, join(root, "packages/slipway/bin/start.mjs"), "build", "--help"],
    root,
  );
  await link(node, join(folder, "node"));
  await rename(`${blob}.new`, blob);
}

async function run(command: readonly string[], cwd: string): Promise<void> {
  const env = { ...process.env, NODE_OPTIONS: undefined };
  const result = await exec(command, { cwd, env });
  if (result.exitCode !== 0) throw new Error(`${command.join(" ")}: ${result.stderr.slice(0, 500)}`);
}

/** Known when the heap is started, not when it is made: a checkout may have been moved. */
const PLACE = `
const heapPath = () => process.getBuiltinModule("node:fs").realpathSync(process.execArgv.find((one) => one.startsWith("--snapshot-blob=")).slice(16));
const heapPlace = { replace: (pattern, place) => process.getBuiltinModule("node:url").pathToFileURL(heapPath()).href.replace(pattern, place) };
var require = (name) => process.getBuiltinModule("node:module").createRequire(heapPath())(name);`;

/** Of Node's own modules, what every build needs and a heap can hold. Some of it classes are derived from when they are declared. */
const KEPT: ReadonlySet<string> = new Set([
  ...["assert", "child_process", "crypto", "events", "fs", "fs/promises", "module", "net"],
  ...["os", "path", "stream", "url", "util", "zlib"],
]);

/** The others are loaded when something of them is first used: a heap cannot hold the parsers of `http`. */
function lazyBuiltins(): Plugin {
  return {
    name: "lazy-builtins",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /.*/ }, ({ path }) =>
        isBuiltin(path) ? { path: path.replace(/^node:/, ""), namespace: "builtin" } : undefined,
      );
      onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => {
        const module = `process.getBuiltinModule("node:${path}")`;
        if (KEPT.has(path)) return { contents: `module.exports = ${module};` };
        const names = Object.keys(process.getBuiltinModule(`node:${path}`) ?? {});
        const getters = names.map(
          (name) =>
            `  get ${JSON.stringify(name)}() { return (all ??= ${module})[${JSON.stringify(name)}]; },`,
        );
        return { contents: `let all;\nmodule.exports = {\n${getters.join("\n")}\n};` };
      });
    },
  };
}
