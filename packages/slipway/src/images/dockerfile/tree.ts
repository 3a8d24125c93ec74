/**
 * Where COPY takes files from: a folder on disk behind its .dockerignore, or the files of another image. Nothing is
 * listed before it is asked for, so that a huge folder beside the sources costs nothing.
 */
import { lstatSync, readdirSync } from "node:fs";
import { lstat, readlink, realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { Readable } from "node:stream";
import { systemCode } from "@slipway/base";
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
  /** Names in a folder, sorted. */
  list(path: string): Promise<readonly string[]>;
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
      const under = (name: string): string => (folder === "" ? name : `${folder}/${name}`);
      if (!isGlob(part)) next.push(under(part.replace(/\\(.)/g, "$1")));
      else {
        const expression = globToRegExp(part, { isDeep: false });
        for (const name of await tree.list(folder)) if (expression.test(name)) next.push(under(name));
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

/**
 * A folder on disk. `root` must be absolute. `now`: ms since the epoch, at or before the call; with it, files that are
 * at rest carry their stamp.
 */
export function contextTree(root: string, what: string, ignore: IgnoreRules, now?: number): SourceTree {
  let realRoot: Promise<string> | undefined;
  /** What `list` gave: not to be held against the rules again. */
  const listed = new Set<string>();
  const get = async (path: string, follow: boolean): Promise<SourceNode | undefined> => {
    let target = path === "" ? root : `${root}/${path}`;
    try {
      if (follow) {
        realRoot ??= realpath(root);
        target = await realpath(target);
        const inside = relative(await realRoot, target);
        if (inside === ".." || inside.startsWith("../")) return undefined;
      }
      // Thousands of them: handing each to another thread would take longer than the look itself.
      const facts = lstatSync(target, { bigint: true });
      if (!listed.has(path) && !isVisible(path, facts.isDirectory())) return undefined;
      return {
        path,
        kind: facts.isFile()
          ? "file"
          : facts.isDirectory()
            ? "directory"
            : facts.isSymbolicLink()
              ? "symlink"
              : "other",
        mode: Number(facts.mode) & 0o7777,
        size: facts.isFile() ? Number(facts.size) : 0,
        link: facts.isSymbolicLink() ? await readlink(target) : "",
        content: facts.isFile()
          ? { kind: "path", path: target, stamp: now === undefined ? undefined : stampOf(facts, now) }
          : undefined,
      };
    } catch (error) {
      if (["ENOENT", "ENOTDIR", "ELOOP"].includes(systemCode(error) ?? "")) return undefined;
      throw error;
    }
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
    get,
    list: async (path) => {
      const names: string[] = [];
      for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
        const child = path === "" ? entry.name : `${path}/${entry.name}`;
        if (!isVisible(child, entry.isDirectory())) continue;
        names.push(entry.name);
        listed.add(child);
      }
      return names.sort();
    },
    hidden: async (path) => {
      const facts = await lstat(join(root, cleanSource(path))).catch(() => undefined);
      if (facts === undefined) return undefined;
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
  return {
    what,
    hasExactModes: true,
    newest,
    get: async (path, follow) => {
      const found = files.lookup(`/${path}`, { isLinkKept: !follow });
      if (found.kind !== "found") return undefined;
      const { node } = found;
      const kind =
        node.kind === "file" || node.kind === "directory" || node.kind === "symlink" ? node.kind : "other";
      return {
        path,
        kind,
        mode: node.mode,
        size: node.size,
        link: node.link,
        content:
          node.kind === "file"
            ? { kind: "open", open: async () => Readable.from([await files.read(node)]) }
            : undefined,
      };
    },
    list: async (path) => {
      const found = files.lookup(`/${path}`);
      return found.kind === "found" ? [...(found.node.children?.keys() ?? [])].sort() : [];
    },
    hidden: () => Promise.resolve(undefined),
  };
}
