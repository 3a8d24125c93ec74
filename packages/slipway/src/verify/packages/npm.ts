/** npm's packages: every `node_modules/NAME/package.json`, wherever it is; scoped names and nested folders too. */
import type { ContainerFiles } from "../engines/engine.ts";
import { type Package, type PackageDatabase, textIfThere } from "./database.ts";

/** Every path is walked, so what is not found is not there. `only`: the name that is asked for; the package.json of others are not read. */
export async function readNpm(files: ContainerFiles, only: string): Promise<PackageDatabase> {
  const packages: Package[] = [];
  let damage: string | undefined;
  for await (const { path } of files.entries()) {
    const match = /\/node_modules\/((?:@[^/]+\/)?[^/@][^/]*)\/package\.json$/.exec(path);
    if (match?.[1] !== only) continue;
    const text = await textIfThere(files, path);
    try {
      const { name, version } = JSON.parse(text ?? "") as { name?: unknown; version?: unknown };
      if (typeof version !== "string") damage ??= `${path}: it has no version`;
      else packages.push({ name: typeof name === "string" ? name : only, version, from: path });
    } catch {
      damage ??= `${path}: it is not JSON`;
    }
  }
  return { manager: "npm", packages, damage };
}
