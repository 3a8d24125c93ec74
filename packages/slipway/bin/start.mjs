/**
 * Starts the command line with Node's compile cache on. A file of its own, because the cache serves only what is loaded
 * after it was turned on, and what it saves most on is TypeScript: the first file that is not in it loads the
 * program that strips types, which costs as much time as everything else that `slipway --help` does.
 */
import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";

enableCompileCache();
const sources = new URL("../src/cli/main.ts", import.meta.url);
await import((existsSync(sources) ? sources : new URL("../dist/cli/main.js", import.meta.url)).href);
