/** Checks again whenever a spec file or what was built changes, until it is interrupted. */
import { type FSWatcher, watch } from "node:fs";
import { renderError, SlipwayError } from "@slipway/base";
import type { CliContext } from "./command.ts";

/** Editors write a file in several steps; what comes within this time is one change. */
const SETTLE_MS = 150;

/** `paths`: files and folders; folders with everything in them. Returns 130, the exit code of an interruption. */
export async function watchAndRun(
  context: CliContext,
  paths: readonly string[],
  run: () => Promise<unknown>,
): Promise<number> {
  let onChange: () => void = () => {};
  let isChanged = false;
  const watchers: FSWatcher[] = [];
  const changed = (): void => {
    isChanged = true;
    onChange();
  };
  try {
    for (const path of paths) {
      watchers.push(watch(path, { recursive: true, signal: context.signal }, changed).on("error", () => {}));
    }
    while (!context.signal.aborted) {
      isChanged = false;
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
    for (const watcher of watchers) watcher.close();
  }
}
