/** Checks again whenever a spec file or what was built changes, until it is interrupted. */
import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";
import { renderError, SlipwayError, systemCode } from "@slipway/base";
import type { CliContext } from "./command.ts";

/** Editors write a file in several steps; what comes within this time is one change. */
const SETTLE_MS = 150;

/** `paths`: absolute; files and folders, folders with everything in them. Returns 130, the exit code of an interruption. */
export async function watchAndRun(
  context: CliContext,
  paths: readonly string[],
  run: () => Promise<unknown>,
): Promise<number> {
  let onChange: () => void = () => {};
  let isChanged = false;
  let watchers: readonly FSWatcher[] = [];
  const changed = (): void => {
    isChanged = true;
    onChange();
  };
  const close = (): void => {
    for (const watcher of watchers) watcher.close();
  };
  try {
    while (!context.signal.aborted) {
      isChanged = false;
      // Anew for each run, with the folders that there are by now; the run itself sees what came before.
      const fresh = watchAll(paths, changed);
      close();
      watchers = fresh;
      try {
        await run();
      } catch (error) {
        // A mistake in a spec file is what the next change mends.
        if (!(error instanceof SlipwayError)) throw error;
        context.writeError(`${renderError(error)}\n`);
      }
      if (context.signal.aborted) break;
      context.write("  waiting for changes\n");
      if (!isChanged) {
        await new Promise<void>((resolve) => {
          onChange = resolve;
          context.signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
      await context.clock.sleep(SETTLE_MS, context.signal).catch(() => undefined);
    }
    return 130;
  } finally {
    close();
  }
}

/** Folders are watched, never files: who replaces a file, as editors and builds do, changes its folder only. */
function watchAll(paths: readonly string[], changed: () => void): readonly FSWatcher[] {
  const watchers: FSWatcher[] = [];
  /** `only`: a name in it, all else there is not our business. False: there is no such folder. */
  const watchFolder = (folder: string, only?: string): boolean => {
    try {
      const tell = (_: string, name: string | null): void => {
        if (only === undefined || name === null || name === only) changed();
      };
      watchers.push(watch(folder, tell).on("error", () => {}));
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  };
  const watchEntry = (path: string): void => {
    const folder = dirname(path);
    if (watchFolder(folder, basename(path)) || folder === path) return;
    watchEntry(folder); // tells when it comes
    watchFolder(folder, basename(path)); // in case it has come meanwhile
  };
  const watchTree = (folder: string): void => {
    if (!watchFolder(folder)) return;
    for (const name of foldersIn(folder)) watchTree(join(folder, name));
  };
  for (const path of paths) {
    watchEntry(path);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) watchTree(path);
  }
  return watchers;
}

/** Those of packages are nobody's spec files. */
function foldersIn(path: string): readonly string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && entry.name !== "node_modules")
      .map(({ name }) => name);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

const isGone = (error: unknown): boolean => ["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "");
