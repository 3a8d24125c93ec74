/**
 * Debian's packages: /var/lib/dpkg/status, or one file for each package in status.d (distroless images). What dpkg wrote
 * down of each package's files (info/NAME.list) is the second record.
 * Source: deb822(5), dpkg-query(1): only `Status: … ok installed` is installed; status.d has no Status field.
 */
import type { ContainerFiles } from "../engines/engine.ts";
import { namesIn, type Package, type PackageDatabase, textIfThere } from "./database.ts";

const FOLDER = "/var/lib/dpkg";

export async function readDpkg(files: ContainerFiles): Promise<PackageDatabase | undefined> {
  const packages: Package[] = [];
  const damages: string[] = [];
  const status = await textIfThere(files, `${FOLDER}/status`);
  if (status !== undefined) {
    const read = parseStatus(status, `${FOLDER}/status`, true);
    packages.push(...read.packages);
    if (read.damage !== undefined) damages.push(read.damage);
  }
  const single = await namesIn(files, `${FOLDER}/status.d`);
  for (const name of single ?? []) {
    if (name.endsWith(".md5sums")) continue;
    const path = `${FOLDER}/status.d/${name}`;
    const read = parseStatus((await textIfThere(files, path)) ?? "", path, false);
    packages.push(...read.packages);
    if (read.damage !== undefined) damages.push(read.damage);
  }
  const info = await namesIn(files, `${FOLDER}/info`);
  if (status === undefined && single === undefined && info === undefined) return undefined;
  if (status === undefined && single === undefined) damages.push(`there is no ${FOLDER}/status`);
  const recorded = (info ?? []).flatMap((name) =>
    name.endsWith(".list") ? [name.slice(0, -5).replace(/:.*/, "")] : [],
  );
  return {
    manager: "dpkg",
    packages,
    damage: damages[0],
    ...(recorded.length > 0 ? { recorded: new Set(recorded) } : {}),
  };
}

/** Stanzas of fields. With `hasStatus`, those that are not installed are left out. */
export function parseStatus(
  text: string,
  from: string,
  hasStatus: boolean,
): { readonly packages: readonly Package[]; readonly damage: string | undefined } {
  const packages: Package[] = [];
  let damage: string | undefined;
  for (const stanza of text.split(/\n{2,}/)) {
    if (stanza.trim() === "") continue;
    const fields = new Map<string, string>();
    for (const line of stanza.split("\n")) {
      if (line === "" || /^[ \t#]/.test(line)) continue;
      const match = /^([!-9;-~]+):[ \t]*(.*)$/.exec(line);
      if (match === null) damage ??= `${from}: "${line.slice(0, 60)}" is not a field`;
      else fields.set((match[1] as string).toLowerCase(), (match[2] as string).trim());
    }
    const [name, version, status] = [fields.get("package"), fields.get("version"), fields.get("status")];
    if (name === undefined) damage ??= `${from}: a stanza without a Package field`;
    else if (hasStatus && status === undefined) damage ??= `${from}: ${name} has no Status field`;
    else if (hasStatus && !/ ok installed$/.test(status ?? "")) continue;
    else if (version === undefined || version === "") damage ??= `${from}: ${name} has no Version field`;
    else packages.push({ name, version, from });
  }
  if (packages.length === 0) damage ??= `${from}: it has no package`;
  return { packages, damage };
}
