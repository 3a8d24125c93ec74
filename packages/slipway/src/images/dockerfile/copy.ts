/**
 * COPY and ADD of files as layer entries. The rules are Docker's: a folder's content goes into the destination (not
 * the folder itself), a destination that ends with a slash or exists as a folder takes files by their names, owner
 * is root unless --chown says otherwise, missing folders are made.
 *
 * Folders that the image has already keep their owner and mode, and a destination below a link of the image (such
 * as /lib → usr/lib) goes where the link leads: a layer that named /lib as a folder would cover the link.
 */
import { posix } from "node:path";
import type { FileNode } from "../file-node.ts";
import { directoryEntry, type LayerEntry } from "../layer-entry.ts";
import type { ImageFiles } from "../layers.ts";
import { matchSources, type SourceNode, type SourceTree } from "./tree.ts";

export interface CopyRequest {
  readonly tree: SourceTree;
  readonly sources: readonly string[];
  /** As written, variables replaced. */
  readonly destination: string;
  readonly workingDir: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly mode: number | undefined;
  /** The image so far. */
  readonly files: ImageFiles;
  /** Makes the error for a fact; knows file and line. */
  readonly fail: (message: string, hint?: string) => Error;
}

export interface Copied {
  readonly entries: readonly LayerEntry[];
  /** Paths of the tree that the sources named, patterns resolved. */
  readonly taken: readonly string[];
}

export async function copyEntries(request: CopyRequest): Promise<Copied> {
  const { tree, sources, destination, fail } = request;
  const nodes: SourceNode[] = [];
  const taken: string[] = [];
  for (const source of sources) {
    const matched = await matchSources(tree, source);
    if (matched.length === 0) throw await nothingFound(request, source);
    taken.push(...matched);
    for (const path of matched) nodes.push((await tree.get(path, true)) as SourceNode);
  }
  if (sources.length > 1 && !isFolderName(destination)) {
    throw fail(`with several sources the destination must end with a slash, got "${destination}"`);
  }
  const target = realTarget(request.files, posix.resolve(request.workingDir || "/", destination));
  const existing = existingNode(request.files, target);
  const takesNames = isFolderName(destination) || nodes.length > 1 || existing?.kind === "directory";
  const copied = new Map<string, LayerEntry>();
  for (const node of nodes) {
    if (node.kind === "directory") copyFolder(request, node.path, target, copied);
    else {
      const name = node.path.slice(node.path.lastIndexOf("/") + 1);
      put(request, copied, node, takesNames ? join(target, name) : target);
    }
  }
  return { entries: [...parentEntries(request, copied), ...copied.values()], taken };
}

/** A folder that WORKDIR makes, with the parents that are missing; nothing when it is there. */
export function folderEntries(files: ImageFiles, path: string): readonly LayerEntry[] {
  const target = realTarget(files, path);
  if (target === "" || existingNode(files, target)?.kind === "directory") return [];
  const parts = target.split("/");
  return parts.map((_, index) => {
    const folder = parts.slice(0, index + 1).join("/");
    return sameFolder(folder, existingNode(files, folder)) ?? directoryEntry(folder);
  });
}

function copyFolder(
  request: CopyRequest,
  source: string,
  target: string,
  copied: Map<string, LayerEntry>,
): void {
  if (target !== "") putFolder(request, copied, target);
  // Most folders are new to the image: then nothing below can be in it, and no link can lead elsewhere.
  const isNew = target !== "" && existingNode(request.files, target) === undefined;
  for (const node of request.tree.inFolder(source)) {
    const place = join(target, node.path.slice(source === "" ? 0 : source.length + 1));
    const inImage = isNew ? place : realTarget(request.files, `/${place}`, node.kind !== "directory");
    if (node.kind === "directory") copyFolder(request, node.path, inImage, copied);
    else put(request, copied, node, inImage, isNew);
  }
}

function put(
  request: CopyRequest,
  copied: Map<string, LayerEntry>,
  node: SourceNode,
  target: string,
  isNew = false,
): void {
  if (node.kind === "other")
    throw request.fail(`${node.path} is a socket, pipe or device, which an image cannot hold`);
  if (target === "" || (!isNew && existingNode(request.files, target)?.kind === "directory")) {
    throw request.fail(`/${target} is a folder in the image and cannot be replaced by the file ${node.path}`);
  }
  const mode =
    request.mode ?? (request.tree.hasExactModes ? node.mode : (node.mode & 0o100) === 0 ? 0o644 : 0o755);
  copied.set(target, {
    path: target,
    kind: node.kind === "symlink" ? "symlink" : "file",
    mode: node.kind === "symlink" ? 0o777 : mode,
    uid: request.owner.uid,
    gid: request.owner.gid,
    size: node.kind === "symlink" ? 0 : node.size,
    link: node.link,
    content: node.content,
  });
}

function putFolder(request: CopyRequest, copied: Map<string, LayerEntry>, target: string): void {
  const kept = sameFolder(target, existingNode(request.files, target));
  copied.set(target, kept ?? directoryEntry(target, { ...request.owner, mode: folderMode(request) }));
}

/** Every folder above what was copied, once. */
function parentEntries(request: CopyRequest, copied: ReadonlyMap<string, LayerEntry>): readonly LayerEntry[] {
  const parents = new Map<string, LayerEntry>();
  let last: string | undefined;
  for (const path of copied.keys()) {
    const nearest = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    if (nearest === last) continue;
    last = nearest;
    // From the nearest up: where one is known, all above it are.
    for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
      const folder = path.slice(0, slash);
      if (parents.has(folder)) break;
      if (copied.has(folder)) continue;
      const kept = sameFolder(folder, existingNode(request.files, folder));
      parents.set(folder, kept ?? directoryEntry(folder, request.owner));
    }
  }
  return [...parents.values()];
}

/** `--chmod=644` on a folder would lock it: Docker does that; so do we, since the file says so. */
const folderMode = (request: CopyRequest): number => request.mode ?? 0o755;

function sameFolder(path: string, node: FileNode | undefined): LayerEntry | undefined {
  if (node?.kind !== "directory") return undefined;
  return directoryEntry(path, { mode: node.mode, uid: node.uid, gid: node.gid });
}

function existingNode(files: ImageFiles, path: string): FileNode | undefined {
  const found = files.lookup(`/${path}`, { isLinkKept: true });
  return found.kind === "found" ? found.node : undefined;
}

/**
 * Where a path of the image really is: links of the part that exists are followed, the rest is appended. With
 * `isLastKept`, a link at the very end is replaced, not followed.
 */
function realTarget(files: ImageFiles, path: string, isLastKept = false): string {
  const parts = path.split("/").filter(Boolean);
  for (let length = parts.length; length > 0; length -= 1) {
    const isWhole = length === parts.length;
    const found = files.lookup(`/${parts.slice(0, length).join("/")}`, { isLinkKept: isWhole && isLastKept });
    if (found.kind !== "found") continue;
    return [found.path.slice(1), ...parts.slice(length)].filter(Boolean).join("/");
  }
  return parts.join("/");
}

const isFolderName = (text: string): boolean => /(?:^|\/)\.{0,2}$/.test(text);

const join = (folder: string, name: string): string => (folder === "" ? name : `${folder}/${name}`);

async function nothingFound(request: CopyRequest, source: string): Promise<Error> {
  const hidden = await request.tree.hidden(source);
  return request.fail(
    hidden === undefined
      ? `"${source}" is not in ${request.tree.what}`
      : `"${source}" cannot be copied: ${hidden}`,
    hidden === undefined
      ? "Paths are relative to the context; check the spelling and the context's folder."
      : "Change the .dockerignore (a line with ! makes an exception) or copy another file.",
  );
}
