/** `--watch`: runs again whenever something changes, until it is interrupted. */
import { renderError, SlipwayError } from "@slipway/base";
import type { CliContext } from "./command.ts";
import { FolderWatch, type Watched } from "./folder-watch.ts";
import type { StepOutput } from "./steps.ts";

/** Editors write a file in several steps; what comes within this time is one change. */
const SETTLE_MS = 20;

/** Returns 130, the exit code of an interruption. */
export async function runOnChange(
  context: CliContext,
  output: StepOutput,
  watched: readonly Watched[],
  run: () => Promise<unknown>,
): Promise<number> {
  const { clock, signal } = context;
  let changed = Promise.withResolvers<void>();
  const watch = new FolderWatch(watched, () => changed.resolve());
  const interrupted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  try {
    while (!signal.aborted) {
      changed = Promise.withResolvers();
      try {
        await run();
      } catch (error) {
        // A mistake in what is watched is what the next change mends.
        if (!(error instanceof SlipwayError)) throw error;
        if (!signal.aborted) context.writeError(`${renderError(error)}\n`);
      }
      if (signal.aborted) break;
      output.emit({ kind: "waiting" });
      output.say("  waiting for changes");
      await Promise.race([changed.promise, interrupted]);
      await clock.sleep(SETTLE_MS, signal).catch(() => undefined);
    }
    return 130;
  } finally {
    watch.close();
  }
}
