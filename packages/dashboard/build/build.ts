/** One build of the pages into a folder: `node build.ts FOLDER`. A process of its own, so that the bundler leaves no trace. */
import { join } from "node:path";
import { build } from "vite";

const [outDir] = process.argv.slice(2);
if (outDir === undefined) throw new Error("build.ts: needs a folder");
await build({
  root: join(import.meta.dirname, ".."),
  logLevel: "error",
  build: { outDir, emptyOutDir: true },
});
