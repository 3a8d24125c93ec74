/**
 * What `import … from "slipway…"` gets where Node itself resolves it: in tests of node:test and vitest, in services, in
 * configurations that another program reads. In a checkout it is the sources, in an installed package the bundle, whose
 * folder has another name each time; so the names that are exported stand in the files beside this one.
 *
 * By require, not by import(), which would keep CommonJS from requiring them.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findBundle } from "../bin/bundle.mjs";

const require = createRequire(import.meta.url);
const pathOf = (relative) => fileURLToPath(new URL(relative, import.meta.url));

/** @param {string} name of the module below src/, without its extension */
export function load(name) {
  const source = pathOf(`../src/${name}.ts`);
  if (existsSync(source)) return require(source);
  const bundle = findBundle(pathOf("../dist"), undefined);
  if (bundle === undefined)
    throw new Error("slipway: the package is not whole: dist/ is missing; install it again");
  return require(join(bundle, `${name}.js`));
}
