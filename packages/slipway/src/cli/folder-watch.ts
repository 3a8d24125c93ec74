/**
 * Tells of every change in files and folders, whether they are there already or come later. Node's own recursive watch asks the
 * system for a watch of each file on Linux, and loses a file that is replaced by another, as editors do; here each folder has one,
 * which tells of the files in it too.
 */
import { type FSWatcher, lstatSync, readdirSync, statSync, watch } from "node:fs";
import { dirname, relative } from "node:path";
import { SlipwayError, systemCode } from "@slipway/base";

export interface Watched {
  /** A file, or a folder with everything in it; absolute. */
  readonly path: string;
  /** What of a folder does not count; `path` is relative to it, with slashes. */
  readonly isOut?: (path: string) => boolean;
}

/** Never part of what is watched: git's and Slipway's own folders change while they are read. */
const OWN = new Set([".git", ".slipway"]);

export class FolderWatch {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #watched: readonly Watched[];
  readonly #changed: (path: string) => void;

  /** `changed` gets the place of the change. Throws WATCH_REFUSED where the system has no more watches. */
  constructor(watched: readonly Watched[], changed: (path: string) => void) {
    this.#watched = watched;
    this.#changed = changed;
    try {
      for (const one of watched) this.#addRoot(one.path);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** With the folder that it is in, which tells when it comes, goes, or is another; while that is not there, with one above. */
  #addRoot(root: string): void {
    let above = dirname(root);
    while (!isFolder(above) && above !== dirname(above)) above = dirname(above);
    this.#add(above);
    // What came before that was watched is not told of.
    if (above !== dirname(root) && isFolder(dirname(root))) return this.#addRoot(root);
    if (statSync(root, { throwIfNoEntry: false })?.isDirectory()) this.#addAll(root);
  }

  #addAll(folder: string): void {
    this.#add(folder);
    for (const entry of entriesOf(folder)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory() && this.#counts(path)) this.#addAll(path);
    }
  }

  #add(folder: string): void {
    if (this.#watchers.has(folder)) return;
    try {
      const watcher = watch(folder, (event, name) => this.#heard(event, folder, name));
      this.#watchers.set(
        folder,
        watcher.on("error", () => {}),
      ); // it is gone; the folder above tells
    } catch (error) {
      const code = systemCode(error);
      if (code === "ENOENT") return; // gone already
      if (code !== "ENOSPC" && code !== "EMFILE") throw error;
      throw new SlipwayError({
        code: "WATCH_REFUSED",
        where: folder,
        message: `the system has no more watches (${this.#watchers.size} folders are watched)`,
        hint: "Raise the limit: sysctl fs.inotify.max_user_watches and fs.inotify.max_user_instances.",
        cause: error,
        exitCode: 3,
      });
    }
  }

  #heard(event: "rename" | "change", folder: string, name: string | null): void {
    // Of its own end a folder tells under its own name.
    const isGone = event === "rename" && !isFolder(folder);
    const path = isGone || name === null ? folder : `${folder}/${name}`;
    if (event === "rename") this.#follow(path);
    // What is watched comes and goes with the folders that it is in.
    const isAbove = event === "rename" && this.#watched.some(({ path: root }) => isWithin(path, root));
    if (isAbove || this.#counts(path)) this.#changed(path);
  }

  /** A folder that came, went, or was replaced by another. */
  #follow(path: string): void {
    for (const [folder, watcher] of this.#watchers) {
      if (!isWithin(path, folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const { path: root } of this.#watched) if (isWithin(path, root)) this.#addRoot(root);
    if (isFolder(path) && this.#counts(path)) this.#addAll(path);
  }

  /** Whether a change at that place is one of what is watched. */
  #counts(path: string): boolean {
    return this.#watched.some(({ path: root, isOut }) => {
      if (!isWithin(root, path)) return false;
      const inside = relative(root, path);
      if (inside === "") return true;
      return !inside.split("/").some((part) => OWN.has(part)) && isOut?.(inside) !== true;
    });
  }
}

const isWithin = (folder: string, path: string): boolean => path === folder || path.startsWith(`${folder}/`);

const isFolder = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return []; // gone already, or not for us: then its files are no part of a build either
  }
}
