/**
 * A container's root filesystem seen from outside: the union of its unpacked layers, before overlay is mounted.
 * Lookups follow symbolic links as the container would, never out of the root, so that an image with
 * `/etc -> /` or `passwd -> ../../../host/passwd` cannot make the agent touch a file of the host.
 *
 * Whiteouts are gone by the time a layer is here (see `layers.ts`), so a union is just "the first that has it".
 */
import {
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
} from "node:fs";
import { join, posix } from "node:path";

export interface Found {
  /** Without symbolic links, as the container sees it. */
  readonly path: string;
  /** The same file on the host. */
  readonly hostPath: string;
  readonly kind: "directory" | "file" | "other";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const LINKS_MAX = 40; // as the kernel

export class RootView {
  readonly #layers: readonly string[];

  /** `layers`: folders of the host, the topmost first. */
  constructor(layers: readonly string[]) {
    this.#layers = layers;
  }

  /** The file at `path`, links followed; undefined when a part is missing. */
  find(path: string): Found | undefined {
    const walked = this.#walk(path);
    return walked.missing.length === 0 ? walked.found : undefined;
  }

  /**
   * Where `path` leads, links followed: the part that exists, without links, and the names that are missing after it.
   */
  locate(path: string): { readonly found: Found; readonly missing: readonly string[] } {
    return this.#walk(path);
  }

  readText(path: string): string | undefined {
    const found = this.find(path);
    return found?.kind === "file" ? readFileSync(found.hostPath, "utf8") : undefined;
  }

  /**
   * Makes sure that something can be mounted at `path`, by creating what is missing in the topmost layer (which
   * must be the writable one). Returns the path without links. Undefined when a file is in the way.
   */
  makeTarget(path: string, kind: "directory" | "file", owner = { uid: 0, gid: 0 }): string | undefined {
    const walked = this.#walk(path);
    if (walked.missing.length === 0) {
      const isDirectory = walked.found.kind === "directory";
      return isDirectory === (kind === "directory") ? walked.found.path : undefined;
    }
    if (walked.found.kind !== "directory") return undefined;
    const top = this.#layers[0] as string;
    this.#copyUp(walked.found.path);
    let path_ = walked.found.path;
    walked.missing.forEach((part, index) => {
      path_ = join(path_, part);
      const last = index === walked.missing.length - 1;
      if (last && kind === "file") closeSync(openSync(top + path_, "wx", 0o644));
      else mkdirSync(top + path_, { mode: 0o755 });
      if (owner.uid !== 0 || owner.gid !== 0) chownSync(top + path_, owner.uid, owner.gid);
    });
    return path_;
  }

  /** Overlay takes a merged folder's mode and owner from its topmost part, so these must agree with what is below. */
  #copyUp(path: string): void {
    const top = this.#layers[0] as string;
    const parts = path.split("/").filter((part) => part !== "");
    let at = "";
    for (const part of parts) {
      at += `/${part}`;
      if (stat(top + at) !== undefined) continue;
      const below = this.#lookup(at);
      mkdirSync(top + at);
      if (below === undefined) continue;
      chmodSync(top + at, below.mode & 0o7777);
      if (below.uid !== 0 || below.gid !== 0) chownSync(top + at, below.uid, below.gid);
    }
  }

  /** Goes as far as there is something; `missing` are the parts after that. */
  #walk(path: string): { found: Found; missing: string[] } {
    const rest = posix
      .normalize(`/${path}`)
      .split("/")
      .filter((part) => part !== "");
    let at: string[] = [];
    let links = 0;
    let found = this.#lookup("/") as Found;
    while (rest.length > 0) {
      const part = rest.shift() as string;
      if (part === "..") {
        at = at.slice(0, -1);
        found = this.#lookup(`/${at.join("/")}`) as Found;
        continue;
      }
      const next = `/${[...at, part].join("/")}`;
      const link = this.#link(next);
      if (link !== undefined) {
        links += 1;
        if (links > LINKS_MAX) return { found, missing: [part, ...rest] };
        if (link.startsWith("/")) at = [];
        rest.unshift(...link.split("/").filter((name) => name !== "" && name !== "."));
        found = this.#lookup(`/${at.join("/")}`) as Found;
        continue;
      }
      const there = found.kind === "directory" ? this.#lookup(next) : undefined;
      if (there === undefined) return { found, missing: [part, ...rest] };
      at.push(part);
      found = there;
    }
    return { found, missing: [] };
  }

  #link(path: string): string | undefined {
    for (const layer of this.#visible(path)) {
      const entry = stat(layer + path);
      if (entry === undefined) continue;
      return entry.isSymbolicLink() ? readlinkSync(layer + path) : undefined;
    }
    return undefined;
  }

  /** `path` has no links in it, except perhaps the last part, which then is not followed. */
  #lookup(path: string): Found | undefined {
    for (const layer of this.#visible(path)) {
      const entry = stat(layer + path);
      if (entry === undefined) continue;
      return {
        path,
        hostPath: layer + (path === "/" ? "" : path),
        kind: entry.isDirectory() ? "directory" : entry.isFile() ? "file" : "other",
        mode: Number(entry.mode),
        uid: Number(entry.uid),
        gid: Number(entry.gid),
      };
    }
    return path === "/"
      ? {
          path,
          hostPath: this.#layers[0] ?? "/nonexistent",
          kind: "directory",
          mode: 0o755,
          uid: 0,
          gid: 0,
        }
      : undefined;
  }

  /** The layers in which the parent of `path` is a folder; one where it is a file or link hides all below it. */
  *#visible(path: string): Generator<string> {
    const parts = path.split("/").filter((part) => part !== "");
    layers: for (const layer of this.#layers) {
      let at = layer;
      for (const part of parts.slice(0, -1)) {
        at += `/${part}`;
        const entry = stat(at);
        if (entry === undefined) continue layers;
        if (!entry.isDirectory()) return;
      }
      yield layer;
    }
  }
}

function stat(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}
