/** The merged file system of an image, as a tree. Files of a folder that nobody looks into stay what the index has of them. */
import type { FileRun } from "./layer-index.ts";
import type { PlacedEntry } from "./tar.ts";

/** A file, directory, link or device. */
export interface FileNode {
  readonly kind: "file" | "directory" | "symlink" | "character" | "block" | "fifo";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** A symlink's target as written. */
  readonly link: string;
  /** Position of the layer that it came from, 0 at the bottom. */
  readonly layer: number;
  readonly offset: number;
  /** Extended attributes by their names, bytes as latin1. */
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly children: Children | undefined;
}

/** What is in a folder, by name. */
export class Children implements Iterable<[string, FileNode]> {
  readonly #nodes = new Map<string, FileNode>();
  #runs: { readonly run: FileRun; readonly layer: number }[] = [];

  get(name: string): FileNode | undefined {
    return this.#all().get(name);
  }

  set(name: string, node: FileNode): void {
    this.#all().set(name, node);
  }

  /** As if each file of the run were set now. */
  setRun(run: FileRun, layer: number): void {
    this.#runs.push({ run, layer });
  }

  delete(name: string): void {
    this.#all().delete(name);
  }

  clear(): void {
    this.#runs = [];
    this.#nodes.clear();
  }

  /** False when there is neither one of these names nor a folder: seen without a node for each. */
  mayHave(names: readonly string[]): boolean {
    if (this.#nodes.size > 0) return true;
    return this.#runs.some(({ run }) => names.some((name) => `/${run.names}/`.includes(`/${name}/`)));
  }

  [Symbol.iterator](): Iterator<[string, FileNode]> {
    return this.#all()[Symbol.iterator]();
  }

  #all(): Map<string, FileNode> {
    if (this.#runs.length === 0) return this.#nodes;
    for (const { run, layer } of this.#runs) {
      const { mode, uid, gid, mtime, sizes, offsets } = run;
      for (const [at, name] of run.names.split("/").entries()) {
        const [size, offset] = [sizes[at] as number, offsets[at] as number];
        const facts = { kind: "file", mode, uid, gid, size, mtime, link: "", layer, offset } as const;
        this.#nodes.set(name, { ...facts, children: undefined });
      }
    }
    this.#runs = [];
    return this.#nodes;
  }
}

export function nodeOf(entry: PlacedEntry, layer: number): FileNode {
  return {
    kind: entry.kind === "link" ? "file" : entry.kind,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size: entry.size,
    mtime: entry.mtime,
    link: entry.kind === "symlink" ? entry.link : "",
    layer,
    offset: entry.offset,
    ...(entry.xattrs === undefined ? {} : { xattrs: entry.xattrs }),
    children: entry.kind === "directory" ? new Children() : undefined,
  };
}

export function emptyDirectory(layer: number): FileNode {
  return {
    kind: "directory",
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0,
    link: "",
    layer,
    offset: 0,
    children: new Children(),
  };
}
