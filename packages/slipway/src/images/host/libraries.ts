/**
 * Finds the libraries that a program links to, as ld.so does: RUNPATH, then /etc/ld.so.cache, then the usual
 * folders. `ldd` is not used, since it runs the program.
 *
 * Source: ld.so(8); the layout of the cache is that of glibc's `dl-cache.h`, format "glibc-ld.so.cache1.1".
 */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { type ElfFacts, isElfOf, readElf } from "./elf.ts";

export interface Library {
  /** The name that programs ask for: `libm.so.6`. */
  readonly soname: string;
  /** Where it lies on this machine. */
  readonly path: string;
  /**
   * True when a RUNPATH named its folder: then it must lie at the same path in the image. The others may move to
   * any folder that the loader searches by itself.
   */
  readonly isPinned: boolean;
}

export interface Linkage {
  readonly interpreter: string | undefined;
  readonly libraries: readonly Library[];
}

const TRIPLETS: Readonly<Record<number, string>> = { 62: "x86_64-linux-gnu", 183: "aarch64-linux-gnu" };

/** The loader's own folders, which need no cache. */
export function loaderFolders(machine: number): readonly string[] {
  const triplet = TRIPLETS[machine];
  const own = triplet === undefined ? [] : [`/lib/${triplet}`, `/usr/lib/${triplet}`];
  return [...own, "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
}

/** What the C library loads by name at run time, for names of users and hosts; separate files before glibc 2.34. */
const LOADED_LATER = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

export class LibraryFinder {
  #cache: Promise<ReadonlyMap<string, readonly string[]>> | undefined;

  /**
   * Everything that these programs or libraries need, each library once. Rejects with IMAGES_HOST_LIBRARY_MISSING.
   */
  async linkage(paths: readonly string[]): Promise<Linkage> {
    const found = new Map<string, Library>();
    let interpreter: string | undefined;
    const pending = [...paths];
    let isNamesLoaded = false;
    while (pending.length > 0) {
      const path = pending.shift() as string;
      const elf = await readElf(path);
      if (elf === undefined) continue;
      interpreter ??= elf.interpreter;
      for (const soname of elf.needed) {
        if (found.has(soname) || isInterpreter(soname, elf)) continue;
        const library = await this.#find(soname, path, elf);
        if (library === undefined) throw missing(soname, path);
        found.set(soname, library);
        pending.push(library.path);
      }
      if (!isNamesLoaded && found.has("libc.so.6")) {
        isNamesLoaded = true;
        for (const soname of LOADED_LATER) {
          const library = found.has(soname) ? undefined : await this.#find(soname, path, elf);
          if (library === undefined) continue;
          found.set(soname, library);
          pending.push(library.path);
        }
      }
    }
    const libraries = [...found.values()].sort((a, b) => (a.soname < b.soname ? -1 : 1));
    return { interpreter, libraries };
  }

  async #find(soname: string, needer: string, elf: ElfFacts): Promise<Library | undefined> {
    for (const folder of elf.runpath) {
      const path = join(folder.replace(/\$(ORIGIN|\{ORIGIN\})/g, dirname(needer)), soname);
      if (await isElfOf(path, elf.machine)) return { soname, path, isPinned: true };
    }
    this.#cache ??= readCache("/etc/ld.so.cache");
    const cached = (await this.#cache).get(soname) ?? [];
    const usual = loaderFolders(elf.machine).map((folder) => join(folder, soname));
    for (const path of [...cached, ...usual]) {
      // Variants for newer processors (glibc-hwcaps) would tie the image to this one.
      if (!path.includes("/glibc-hwcaps/") && (await isElfOf(path, elf.machine))) {
        return { soname, path, isPinned: false };
      }
    }
    return undefined;
  }
}

/** ld-linux itself stands among the needed libraries of libc. */
const isInterpreter = (soname: string, elf: ElfFacts): boolean =>
  soname.startsWith("ld-linux") || elf.interpreter?.endsWith(`/${soname}`) === true;

/** soname → paths. A system without the file (musl, Nix) simply has no cache. */
async function readCache(path: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const data = await readFile(path).catch(() => undefined);
  return data === undefined ? new Map() : parseLibraryCache(data);
}

function parseLibraryCache(data: Buffer): ReadonlyMap<string, readonly string[]> {
  const HEADER = 48;
  const ENTRY = 24;
  const libraries = new Map<string, string[]>();
  const start = data.indexOf("glibc-ld.so.cache1.1", 0, "latin1");
  if (start < 0 || data.length < start + HEADER) return libraries;
  const table = data.subarray(start); // offsets count from this header
  const text = (offset: number): string =>
    table.toString("utf8", offset, Math.max(offset, table.indexOf(0, offset)));
  const count = table.readUInt32LE(20);
  for (let index = 0; index < count; index += 1) {
    const at = HEADER + index * ENTRY;
    if (at + ENTRY > table.length) break;
    const soname = text(table.readUInt32LE(at + 4));
    const paths = libraries.get(soname) ?? [];
    paths.push(text(table.readUInt32LE(at + 8)));
    libraries.set(soname, paths);
  }
  return libraries;
}

function missing(soname: string, needer: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGES_HOST_LIBRARY_MISSING",
    where: needer,
    message: `links to ${soname}, which is not on this machine`,
    hint: `Install the package that has it (\`apt-file search ${soname}\`), or use another base image.`,
    exitCode: 3,
  });
}
