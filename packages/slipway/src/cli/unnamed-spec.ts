/** Checks that nobody runs are worse than none: a spec file where one would be, and a configuration that names none. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { specFiles } from "../verify/spec/load.ts";

/** The first file in `spec/` that imports from slipway/verify, relative to `root`; undefined when there is none. */
export async function unnamedSpec(root: string): Promise<string | undefined> {
  const folder = join(root, "spec");
  if (!existsSync(folder)) return undefined;
  for (const file of await specFiles(folder)) {
    const text = await readFile(file, "utf8").catch(() => "");
    if (/["']slipway\/verify["']/.test(text)) return relative(root, file);
  }
  return undefined;
}
