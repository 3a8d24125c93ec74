/**
 * Tells of the next change in files and folders, whether they are there already or come later. Node's own recursive watch asks the
 * system for a watch of each file on Linux, and loses a file that is replaced by another, as editors do; here each folder has one,
 * which tells of the files in it too. Folders that come after it was made it does not follow: their coming is a change.
 */
import { type FSWatcher, lstatSync, readdirSync, type Stats, statSync, watch } from "node:fs";
import { dirname, relative } from "node:path";
import { SlipwayError, systemCode } from "@slipway/base";

export interface Watched {
  /** A file, or a folder with everything in it; absolute. */
  readonly path: string;
  /** What of a folder does not count; `path` is relative to it, with slashes. A folder that is out is out with all that is in it. */
  readonly isOut?: (path: string, isFolder: boolean) => boolean;
  /** Of two with the same words here the same is out. */
  readonly rules?: string;
}

/** Never part of what is watched: git's and Slipway's own folders change while they are read. */
const OWN = new Set([".git", ".slipway"]);

/** Linux tells of no more than this at once, and of what it left out not to us (inotify(7), max_queued_events: 16384 by default). */
const MANY_EVENTS = 1000;

export class FolderWatch {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #watched: readonly Watched[];
  readonly #changed: (path: string) => void;
  /** Whether the folders are those that it was made for. */
  #isWhole = true;
  #events = 0;
  /** Which folders were in the places that all else hangs on: where one above is another, nobody tells. */
  readonly #places = new Map<string, string | undefined>();

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

  /** Whether a watch of these that is made now would be the same. */
  isOf(watched: readonly Watched[]): boolean {
    return (
      this.#isWhole &&
      this.isInPlace() &&
      watched.length === this.#watched.length &&
      watched.every((one, at) => isSame(one, this.#watched[at] as Watched))
    );
  }

  /** Whether what it was made for is where it was, also where a folder far above or a link to it was replaced. */
  isInPlace(): boolean {
    return [...this.#places].every(([path, id]) => idOf(path) === id);
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** With the folder that it is in, which tells when it comes, goes, or is another; while that is not there, with one above. */
  #addRoot(root: string): void {
    let above = dirname(root);
    while (!isFolder(above) && above !== dirname(above)) above = dirname(above);
    this.#place(above);
    this.#add(above);
    // What came before that was watched is not told of.
    if (above !== dirname(root) && isFolder(dirname(root))) return this.#addRoot(root);
    if (!isFolder(root)) return;
    this.#place(root);
    this.#addAll(root);
  }

  #place(folder: string): void {
    if (!this.#places.has(folder)) this.#places.set(folder, idOf(folder));
  }

  #addAll(folder: string): void {
    this.#add(folder);
    for (const entry of entriesOf(folder)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory() && this.#counts(path, true)) this.#addAll(path);
    }
  }

  #add(folder: string): void {
    if (this.#watchers.has(folder)) return;
    try {
      const watcher = watch(folder, (event, name) => this.#heard(event, folder, name));
      watcher.on("error", () => {
        this.#isWhole = false; // it is gone; the folder above tells
      });
      this.#watchers.set(folder, watcher);
    } catch (error) {
      const code = systemCode(error) ?? "";
      if (["ENOENT", "ENOTDIR", "EACCES"].includes(code)) return; // gone already, or not for us
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
    this.#events += 1;
    // Of its own end a folder tells under its own name.
    const isGone = event === "rename" && !isFolder(folder);
    const path = isGone || name === null ? folder : `${folder}/${name}`;
    // What is watched comes and goes with the folders that it is in.
    const isAbove = event === "rename" && this.#watched.some(({ path: root }) => isWithin(path, root));
    const ofFolder = this.#watchers.has(path) || isFolder(path, lstatSync);
    if (isGone || isAbove || ofFolder || this.#events >= MANY_EVENTS) this.#isWhole = false;
    if (isAbove || this.#counts(path, ofFolder)) this.#changed(path);
  }

  /** Whether a change at that place is one of what is watched. */
  #counts(path: string, isFolder: boolean): boolean {
    return this.#watched.some(({ path: root, isOut }) => {
      if (!isWithin(root, path)) return false;
      const inside = relative(root, path);
      if (inside === "") return true;
      return !inside.split("/").some((part) => OWN.has(part)) && isOut?.(inside, isFolder) !== true;
    });
  }
}

const isSame = (one: Watched, other: Watched): boolean =>
  one.path === other.path &&
  one.rules === other.rules &&
  (one.rules !== undefined || one.isOut === other.isOut);

const isWithin = (folder: string, path: string): boolean => path === folder || path.startsWith(`${folder}/`);

/** A link to a folder is one where it leads to what is watched; one that lies in there is copied as a link (`lstatSync`). */
function isFolder(path: string, look: LookAt = statSync): boolean {
  try {
    return look(path, { throwIfNoEntry: false })?.isDirectory() === true;
  } catch {
    return false; // a file is where a folder was, or we may not look
  }
}

function idOf(folder: string): string | undefined {
  try {
    const stat = statSync(folder, { throwIfNoEntry: false });
    return stat && `${stat.dev} ${stat.ino}`;
  } catch {
    return undefined;
  }
}

type LookAt = (path: string, options: { throwIfNoEntry: false }) => Stats | undefined;

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return []; // gone already, or not for us: then its files are no part of a build either
  }
}
