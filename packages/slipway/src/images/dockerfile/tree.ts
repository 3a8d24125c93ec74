/**
 * Where COPY takes files from: a folder on disk behind its .dockerignore, or the files of another image. Nothing is
 * listed before it is asked for, so that a huge folder beside the sources costs nothing.
 */
import { constants, lstatSync, readdirSync, readlinkSync, realpathSync } from "node:fs";
import { join, relative } from "node:path";
import { Readable } from "node:stream";
import { systemCode } from "@slipway/base";
import type { FileNode } from "../file-node.ts";
import type { LayerContent } from "../layer-entry.ts";
import type { ImageFiles } from "../layers.ts";
import { stampOf } from "../unchanged.ts";
import type { Heredoc } from "./heredoc.ts";
import { globToRegExp, type IgnoreRules, isGlob } from "./patterns.ts";

export interface SourceNode {
  /** Relative to the tree's root, no slash in front; "" is the root. */
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink" | "other";
  readonly mode: number;
  readonly size: number;
  readonly link: string;
  readonly content: LayerContent | undefined;
}

export interface SourceTree {
  /** For messages: `the build context web`. */
  readonly what: string;
  /** Modes are kept as they are; otherwise only the executable bit counts, since umasks and checkouts differ. */
  readonly hasExactModes: boolean;
  /** Seconds since the epoch: of an image's newest file that is not its base's. Undefined for a folder on disk. */
  readonly newest?: number;
  /** What is at a path; with `follow`, links are followed inside the tree. Undefined when nothing (visible) is. */
  get(path: string, follow: boolean): Promise<SourceNode | undefined>;
  /** What is in a folder, sorted by name, links not followed. At once: thousands of promises would cost more than the looks. */
  inFolder(path: string): readonly SourceNode[];
  /** Why a path that might exist is not shown; undefined when it does not exist. */
  hidden(path: string): Promise<string | undefined>;
}

/** The path that a COPY source names by itself; undefined for a pattern, of which the tree must be asked. */
export function plainSource(source: string): string | undefined {
  return isGlob(source) ? undefined : cleanSource(source);
}

/** Paths that a COPY source names, sorted; `*` does not cross folders. */
export async function matchSources(tree: SourceTree, source: string): Promise<readonly string[]> {
  let found = [""];
  for (const part of cleanSource(source).split("/").filter(Boolean)) {
    const next: string[] = [];
    for (const folder of found) {
      if (!isGlob(part)) next.push(within(folder, part.replace(/\\(.)/g, "$1")));
      else {
        const expression = globToRegExp(part, { isDeep: false });
        for (const { path } of tree.inFolder(folder)) if (expression.test(nameOf(path))) next.push(path);
      }
    }
    found = next;
  }
  const existing: string[] = [];
  for (const path of found) if ((await tree.get(path, true)) !== undefined) existing.push(path);
  return existing.sort();
}

/** `../../x` means `x`: the context's root has no parent. */
function cleanSource(source: string): string {
  const parts: string[] = [];
  for (const part of source.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return parts.join("/");
}

const KINDS: ReadonlyMap<number, SourceNode["kind"]> = new Map([
  [constants.S_IFREG, "file"],
  [constants.S_IFDIR, "directory"],
  [constants.S_IFLNK, "symlink"],
]);

/**
 * A folder on disk. `root` must be absolute. `now`: ms since the epoch, at or before the call; with it, files that are
 * at rest carry their stamp.
 */
export function contextTree(root: string, what: string, ignore: IgnoreRules, now?: number): SourceTree {
  const placeOf = (path: string): string => (path === "" ? root : `${root}/${path}`);
  const nodeAt = (path: string, place: string): SourceNode | undefined => {
    // Thousands of them: handing each to another thread would take longer than the look itself.
    const facts = lstatSync(place, { throwIfNoEntry: false });
    if (facts === undefined) return undefined;
    const kind = KINDS.get(facts.mode & constants.S_IFMT) ?? "other";
    const isFile = kind === "file";
    return {
      path,
      kind,
      mode: facts.mode & 0o7777,
      size: isFile ? facts.size : 0,
      link: kind === "symlink" ? readlinkSync(place) : "",
      content: isFile
        ? { kind: "path", path: place, stamp: now === undefined ? undefined : stampOf(facts, now) }
        : undefined,
    };
  };
  /** An ignored folder is still there when an exception brings back something in it. */
  const isVisible = (path: string, isFolder: boolean): boolean => {
    if (path === "" || !ignore.isIgnored(path)) return true;
    if (!isFolder || !ignore.hasExceptions) return false;
    for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
      if (isVisible(`${path}/${entry.name}`, entry.isDirectory())) return true;
    }
    return false;
  };
  return {
    what,
    hasExactModes: false,
    get: async (path, follow) => {
      try {
        let place = placeOf(path);
        if (follow) {
          place = realpathSync.native(place);
          const inside = relative(realpathSync.native(root), place);
          if (inside === ".." || inside.startsWith("../")) return undefined;
        }
        const node = nodeAt(path, place);
        return node !== undefined && isVisible(path, node.kind === "directory") ? node : undefined;
      } catch (error) {
        if (["ENOENT", "ENOTDIR", "ELOOP"].includes(systemCode(error) ?? "")) return undefined;
        throw error;
      }
    },
    inFolder: (folder) => {
      const nodes: SourceNode[] = [];
      const place = placeOf(folder);
      for (const name of readdirSync(place).sort()) {
        const path = within(folder, name);
        const isOut = ignore.isIgnored(path);
        if (isOut && !ignore.hasExceptions) continue;
        const node = nodeAt(path, `${place}/${name}`);
        if (node === undefined || (isOut && !isVisible(path, node.kind === "directory"))) continue;
        nodes.push(node);
      }
      return nodes;
    },
    hidden: async (path) => {
      if (!existsAt(join(root, cleanSource(path)))) return undefined;
      if (!ignore.isIgnored(cleanSource(path))) return "a link leads out of the context";
      return "the .dockerignore leaves it out";
    },
  };
}

/** `tree` with the texts of heredocs as files of it, under the names that COPY writes: `<<name` or `<<-name`. */
export function withHeredocs(
  tree: SourceTree,
  heredocs: readonly Heredoc[],
  expand: (text: string) => string,
): SourceTree {
  if (heredocs.length === 0) return tree;
  const nodes = new Map<string, SourceNode>();
  for (const { name, content, isExpanded } of heredocs) {
    const bytes = Buffer.from(isExpanded ? expand(content) : content);
    const node: SourceNode = {
      path: name,
      kind: "file",
      mode: 0o644,
      size: bytes.length,
      link: "",
      content: { kind: "bytes", bytes },
    };
    nodes.set(`<<${name}`, node).set(`<<-${name}`, node);
  }
  return { ...tree, get: async (path, follow) => nodes.get(path) ?? (await tree.get(path, follow)) };
}

/** The files of an image, for COPY --from. */
export function imageTree(files: ImageFiles, what: string, newest: number): SourceTree {
  const sourceNode = (path: string, node: FileNode): SourceNode => ({
    path,
    kind: node.kind === "file" || node.kind === "directory" || node.kind === "symlink" ? node.kind : "other",
    mode: node.mode,
    size: node.size,
    link: node.link,
    content:
      node.kind === "file"
        ? { kind: "open", open: async () => Readable.from([await files.read(node)]) }
        : undefined,
  });
  return {
    what,
    hasExactModes: true,
    newest,
    get: async (path, follow) => {
      const found = files.lookup(`/${path}`, { isLinkKept: !follow });
      return found.kind === "found" ? sourceNode(path, found.node) : undefined;
    },
    inFolder: (folder) => {
      const found = files.lookup(`/${folder}`);
      const children = found.kind === "found" ? [...(found.node.children ?? [])] : [];
      return children
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, node]) => sourceNode(within(folder, name), node));
    },
    hidden: () => Promise.resolve(undefined),
  };
}

const within = (folder: string, name: string): string => (folder === "" ? name : `${folder}/${name}`);
const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** A link that leads nowhere counts. */
function existsAt(place: string): boolean {
  try {
    return lstatSync(place, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false; // something above it is no folder
  }
}
