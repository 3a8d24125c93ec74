/** Files of this machine as layer entries, at the paths where a program in the image will look for them. */
import { lstat, readdir, readlink, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemCode } from "@slipway/base";
import { directoryEntry, type LayerEntry, symlinkEntry } from "../layer-entry.ts";
import { readElf } from "./elf.ts";
import { type Linkage, loaderFolders } from "./libraries.ts";

/** `/usr/lib/x` → `usr/lib/x`. */
export const inImage = (path: string): string => path.replace(/^\/+/, "");

/** A file by content, whatever links lead to it; root's, readable by all. */
export async function fileEntry(
  hostPath: string,
  imagePath: string,
  owner: { readonly uid: number; readonly gid: number } = { uid: 0, gid: 0 },
): Promise<LayerEntry> {
  const facts = await stat(hostPath);
  return {
    path: inImage(imagePath),
    kind: "file",
    mode: (facts.mode & 0o111) !== 0 ? 0o755 : 0o644,
    ...owner,
    size: facts.size,
    link: "",
    content: { kind: "path", path: hostPath },
  };
}

/**
 * The loader and the libraries. On systems where /lib is a link to /usr/lib, the image gets the same links: a
 * program names its loader by one of the two paths.
 */
export async function linkageEntries(linkage: Linkage, machine: number): Promise<readonly LayerEntry[]> {
  const entries: LayerEntry[] = [...(await mergedUsrLinks())];
  if (linkage.interpreter !== undefined) {
    const folder = await realpath(dirname(linkage.interpreter));
    const name = linkage.interpreter.slice(linkage.interpreter.lastIndexOf("/") + 1);
    entries.push(await fileEntry(linkage.interpreter, join(folder, name)));
  }
  const searched = new Set(
    await Promise.all(loaderFolders(machine).map((one) => realpath(one).catch(() => one))),
  );
  const libc = linkage.libraries.find((library) => library.soname === "libc.so.6");
  const home = libc === undefined ? "/usr/lib" : await realpath(dirname(libc.path));
  for (const library of linkage.libraries) {
    const folder = await realpath(dirname(library.path));
    // The image has no ld.so.cache, so a library from an unusual folder moves to where the loader looks anyway.
    const target = library.isPinned || searched.has(folder) ? folder : home;
    entries.push(await fileEntry(library.path, join(target, library.soname)));
  }
  return entries;
}

async function mergedUsrLinks(): Promise<readonly LayerEntry[]> {
  const links: LayerEntry[] = [];
  for (const name of ["bin", "lib", "lib64", "sbin"]) {
    const facts = await lstat(`/${name}`).catch(() => undefined);
    if (facts?.isSymbolicLink() !== true) continue;
    const target = await readlink(`/${name}`);
    links.push(symlinkEntry(name, target));
    links.push(directoryEntry(inImage(target)));
  }
  return links;
}

export interface HostTree {
  readonly entries: readonly LayerEntry[];
  /** ELF files among them (modules), whose libraries are needed too. */
  readonly binaries: readonly string[];
}

/**
 * A folder with everything in it, owners and modes as they are. With `isEmpty`, the folders alone: logs and state
 * of this machine stay here. A folder that does not exist gives nothing.
 */
export async function treeEntries(root: string, options: { readonly isEmpty: boolean }): Promise<HostTree> {
  const entries: LayerEntry[] = [];
  const binaries: string[] = [];
  const visit = async (path: string): Promise<void> => {
    const facts = await lstat(path);
    const owner = { uid: facts.uid, gid: facts.gid };
    const mode = facts.mode & 0o7777;
    if (facts.isDirectory()) {
      entries.push(directoryEntry(inImage(path), { mode, uid: facts.uid, gid: facts.gid }));
      for (const name of (await listFolder(path, options.isEmpty)).sort()) await visit(join(path, name));
    } else if (options.isEmpty) {
      return;
    } else if (facts.isSymbolicLink()) {
      entries.push(symlinkEntry(inImage(path), await readlink(path)));
    } else if (facts.isFile()) {
      entries.push({ ...(await fileEntry(path, path, owner)), mode });
      if (/\.so(\.|$)/.test(path) && (await readElf(path)) !== undefined) binaries.push(path);
    } // sockets, pipes and devices belong to a running service, not to its installation
  };
  const start = await lstat(root).catch(() => undefined);
  if (start !== undefined) await visit(start.isSymbolicLink() ? await realpath(root) : root);
  return { entries, binaries };
}

async function listFolder(path: string, isEmpty: boolean): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isEmpty && systemCode(error) === "EACCES") return []; // an unreadable state folder is wanted empty anyway
    throw error;
  }
}
