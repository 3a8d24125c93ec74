/**
 * Alpine's packages: the installed database, blocks of `letter:value` lines.
 * Source: apk-installed(5): P name, V version.
 */
import type { ContainerFiles } from "../engines/engine.ts";
import { type Package, type PackageDatabase, textIfThere } from "./database.ts";

const PLACES = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];

export async function readApk(files: ContainerFiles): Promise<PackageDatabase | undefined> {
  for (const path of PLACES) {
    const text = await textIfThere(files, path);
    if (text !== undefined) return { manager: "apk", ...parseInstalled(text, path) };
  }
  // apk keeps its list of wanted packages beside it: an image of Alpine whose database is gone.
  const world = await textIfThere(files, "/etc/apk/world");
  return world === undefined
    ? undefined
    : { manager: "apk", packages: [], damage: `there is no ${PLACES[0]}` };
}

export function parseInstalled(
  text: string,
  from: string,
): { readonly packages: readonly Package[]; readonly damage: string | undefined } {
  const packages: Package[] = [];
  let damage: string | undefined;
  for (const block of text.split(/\n{2,}/)) {
    if (block.trim() === "") continue;
    const lines = block.split("\n").filter((line) => line !== "");
    const odd = lines.find((line) => !/^[A-Za-z]:/.test(line));
    if (odd !== undefined) damage ??= `${from}: "${odd.slice(0, 60)}" is not a field`;
    const field = (letter: string): string | undefined =>
      lines.find((line) => line.startsWith(`${letter}:`))?.slice(2);
    const [name, version] = [field("P"), field("V")];
    if (name === undefined || version === undefined) damage ??= `${from}: a package without name or version`;
    else packages.push({ name, version, from });
  }
  if (packages.length === 0) damage ??= `${from}: it has no package`;
  return { packages, damage };
}
