/** `--watch`: runs again whenever something changes, until it is interrupted. */
import { renderError, SlipwayError, systemCode } from "@slipway/base";
import type { CliContext } from "./command.ts";
import { FolderWatch, type Watched } from "./folder-watch.ts";
import { explainRefusal } from "./refusals.ts";
import type { StepOutput } from "./steps.ts";

/**
 * Editors write a file in several steps; what comes within this time is one change. A step that comes later is seen during the
 * run, and runs it again.
 */
const SETTLE_MS = 5;

/** `watched` is asked before each run, since a change may change that too. Returns 130, the exit code of an interruption. */
export async function runOnChange(
  context: CliContext,
  output: StepOutput,
  watched: () => Promise<readonly Watched[]> | readonly Watched[],
  run: () => Promise<unknown>,
): Promise<number> {
  const { clock, signal } = context;
  let changed = Promise.withResolvers<void>();
  const onAbort = (): void => changed.resolve();
  signal.addEventListener("abort", onAbort);
  let watch: FolderWatch | undefined;
  try {
    while (!signal.aborted) {
      changed = Promise.withResolvers();
      try {
        const next = new FolderWatch(await watched(), () => changed.resolve());
        watch?.close(); // not before: in between, changes would not be seen
        watch = next;
        await run();
      } catch (error) {
        if (signal.aborted) break;
        if (watch === undefined) throw error;
        tell(context, output, error);
      }
      if (signal.aborted) break;
      output.emit({ kind: "waiting" });
      output.say("  waiting for changes");
      await changed.promise;
      await clock.sleep(SETTLE_MS, signal).catch(() => undefined);
    }
    return 130;
  } finally {
    watch?.close();
    signal.removeEventListener("abort", onAbort);
  }
}

/** A mistake in what is watched is what the next change mends, and so is a file that went while it was read. A bug of ours is thrown. */
function tell({ writeError }: CliContext, { isJson, emit }: StepOutput, thrown: unknown): void {
  const error = explainRefusal(thrown);
  if (!(error instanceof SlipwayError) && systemCode(error) === undefined) throw thrown;
  const told =
    error instanceof SlipwayError
      ? error
      : new SlipwayError({ code: "SYSTEM_REFUSED", message: (error as Error).message, cause: error });
  if (isJson) emit({ error: told.toJSON() });
  else writeError(`${renderError(told)}\n`);
}
