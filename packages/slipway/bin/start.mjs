/**
 * Starts the command line with Node's compile cache on. A file of its own, because the cache serves only what is loaded
 * after it was turned on, and what it saves most on is TypeScript: the first file that is not in it loads the
 * program that strips types, which costs as much time as everything else that `slipway --help` does.
 *
 * A checkout runs its bundle when that is of the sources as they are, else the sources; so do SLIPWAY_SOURCES=1 and the tests.
 */
import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { findBundle } from "./bundle.mjs";

enableCompileCache();
const pathOf = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const sources = pathOf("../src/cli/main.ts");
const isCheckout = existsSync(sources);
const bundle =
  isCheckout && process.env.SLIPWAY_SOURCES === "1"
    ? undefined
    : findBundle(pathOf("../dist"), isCheckout ? pathOf("../../..") : undefined);
if (bundle === undefined && !isCheckout) {
  process.stderr.write("slipway: the package is not whole: dist/ is missing\n  Install it again.\n");
  process.exit(3);
}
await import(pathToFileURL(bundle === undefined ? sources : `${bundle}/cli/main.js`).href);
