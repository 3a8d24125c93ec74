/** Checks that nobody runs are worse than none: a spec file where one would be, and a configuration that names none. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

const FOLDER = "spec";

/** The first file in `spec/` that imports from slipway/verify, relative to `root`; undefined when there is none. */
export async function unnamedSpec(root: string): Promise<string | undefined> {
  const names = await readdir(join(root, FOLDER)).catch(() => []); // there is no such folder
  for (const name of names.filter((one) => /\.[cm]?[jt]s$/.test(one)).sort()) {
    const text = await readFile(join(root, FOLDER, name), "utf8").catch(() => "");
    if (/["']slipway\/verify["']/.test(text)) return `${FOLDER}/${name}`;
  }
  return undefined;
}
