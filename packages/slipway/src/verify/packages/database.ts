/**
 * What a file system's package databases say, read from their files: no tool of the image takes part. A database is read
 * to its end or says what is wrong with it; "not in it" counts only when all of it could be read.
 */
import type { PackageManager } from "../check.ts";
import type { ContainerFiles } from "../engines/engine.ts";

export interface Package {
  readonly name: string;
  readonly version: string;
  /** Where it stands: `/var/lib/dpkg/status`. */
  readonly from: string;
}

export interface PackageDatabase {
  readonly manager: PackageManager;
  readonly packages: readonly Package[];
  /** Why it is not the whole truth; undefined when all of it could be read. */
  readonly damage: string | undefined;
  /** Names that a second record has (dpkg's file lists), so that a damaged database can still say "absent". */
  readonly recorded?: ReadonlySet<string>;
}

/** The text of a regular file; undefined when there is none. Throws what `lookup` could not see. */
export async function textIfThere(files: ContainerFiles, path: string): Promise<string | undefined> {
  const content = await bytesIfThere(files, path);
  return content === undefined ? undefined : Buffer.from(content).toString("utf8");
}

export async function bytesIfThere(files: ContainerFiles, path: string): Promise<Uint8Array | undefined> {
  const found = await files.lookup(path);
  if (found.kind === "unknown") throw new Blind(found.why);
  if (found.kind === "absent" || found.file.kind !== "file") return undefined;
  return files.read(found.path);
}

/** Something could not be looked at; becomes the verdict unknown. */
export class Blind extends Error {
  override readonly name = "Blind";
}

/** Names directly inside a folder, sorted; undefined when there is no such folder. */
export async function namesIn(files: ContainerFiles, folder: string): Promise<readonly string[] | undefined> {
  const found = await files.lookup(folder);
  if (found.kind === "unknown") throw new Blind(found.why);
  if (found.kind === "absent" || found.file.kind !== "directory") return undefined;
  const names: string[] = [];
  for await (const { path } of files.entries()) {
    if (path.startsWith(`${found.path}/`) && !path.slice(found.path.length + 1).includes("/")) {
      names.push(path.slice(found.path.length + 1));
    }
  }
  return names;
}
