/** What a layer is made of: files, folders and links with their owners and modes, in one order. */
import type { Readable } from "node:stream";
import type { TarEntry } from "./tar.ts";

/** Where a file's bytes come from. */
export type LayerContent =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** `stamp`: the same as long as the content is (`stampOf`); without it the file is read each time. */
  | { readonly kind: "path"; readonly path: string; readonly stamp?: string | undefined }
  | { readonly kind: "open"; readonly open: () => Promise<Readable> };

export interface LayerEntry extends Omit<TarEntry, "mtime"> {
  /** Undefined for everything that is not a file. */
  readonly content: LayerContent | undefined;
}

/**
 * Sorts by bytes, refuses two entries for one path, and adds the directories that were not named, as root's 0755.
 */
export function inOrder(entries: readonly LayerEntry[]): readonly LayerEntry[] {
  const byPath = new Map<string, LayerEntry>();
  const made = new Set<string>();
  for (const entry of entries) byPath.set(entry.path, entry);
  let last: string | undefined;
  for (const { path } of entries) {
    const nearest = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    if (nearest === last) continue;
    last = nearest;
    // From the nearest up: where one is known, all above it are.
    for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
      const parent = path.slice(0, slash);
      if (made.has(parent)) break;
      made.add(parent);
      if (!byPath.has(parent)) byPath.set(parent, directoryEntry(parent));
    }
  }
  // A hard link must come after its target, so links go last; otherwise byte order, where "a/b" follows "a".
  const rank = (entry: LayerEntry): number => (entry.kind === "link" ? 1 : 0);
  const all = [...byPath.values()];
  const compare = all.some(({ path }) => SURROGATE.test(path)) ? compareBytes : compareUnits;
  return all.sort((a, b) => rank(a) - rank(b) || compare(a.path, b.path));
}

/** By UTF-8, as every other builder sorts: UTF-16, JavaScript's own order, differs only beyond U+FFFF. */
const compareBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const compareUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const SURROGATE = /[\ud800-\udfff]/;

export function directoryEntry(
  path: string,
  facts: Partial<Pick<LayerEntry, "mode" | "uid" | "gid">> = {},
): LayerEntry {
  return {
    path,
    kind: "directory",
    mode: facts.mode ?? 0o755,
    uid: facts.uid ?? 0,
    gid: facts.gid ?? 0,
    size: 0,
    link: "",
    content: undefined,
  };
}

export function symlinkEntry(path: string, target: string): LayerEntry {
  return { path, kind: "symlink", mode: 0o777, uid: 0, gid: 0, size: 0, link: target, content: undefined };
}

export function bytesEntry(
  path: string,
  content: string | Uint8Array,
  facts: Partial<Pick<LayerEntry, "mode" | "uid" | "gid">> = {},
): LayerEntry {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  return {
    path,
    kind: "file",
    mode: facts.mode ?? 0o644,
    uid: facts.uid ?? 0,
    gid: facts.gid ?? 0,
    size: bytes.byteLength,
    link: "",
    content: { kind: "bytes", bytes },
  };
}
