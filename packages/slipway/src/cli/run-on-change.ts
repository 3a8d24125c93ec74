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
/** Most programs have written a file by then. */
const WRITTEN_MS = 1;

export interface Round {
  /** Whether something of what is watched has changed since it began. */
  isOutdated(): boolean;
}

/** What goes on beside the runs. */
export interface Beside {
  /** Before a run, while an editor finishes with its files; again where it was still at it. */
  readonly begin?: (round: Round) => void;
  /** Given before the first run: runs again, whether something changed or not. */
  readonly onAgain?: (again: () => void) => void;
  /** A run that was to be could not begin. */
  readonly onNoRun?: () => void;
}

/** `watched` is asked before each run, since a change may change that too. Returns 130, the exit code of an interruption. */
export async function runOnChange(
  context: CliContext,
  output: StepOutput,
  watched: () => Promise<readonly Watched[]> | readonly Watched[],
  run: () => Promise<unknown>,
  beside: Beside = {},
): Promise<number> {
  const { clock, signal } = context;
  let wanted = Promise.withResolvers<void>();
  let changes = 0;
  const want = (): void => wanted.resolve();
  const onChange = (): void => {
    changes += 1;
    want();
  };
  signal.addEventListener("abort", want);
  beside.onAgain?.(want);
  let watch: FolderWatch | undefined;
  /** Returns the round of what is there now. */
  const begin = async (): Promise<Round> => {
    wanted = Promise.withResolvers();
    const before = changes;
    const paths = await watched();
    if (!watch?.isOf(paths)) {
      const next = new FolderWatch(paths, onChange);
      watch?.close(); // not before: in between, changes would not be seen
      watch = next;
    }
    const made = watch;
    const round = { isOutdated: () => changes > before || !made.isInPlace() };
    if (changes === before) wanted = Promise.withResolvers(); // whoever wanted one until now gets this
    beside.begin?.(round);
    return round;
  };
  const pause = (ms: number): Promise<void> => clock.sleep(ms, signal).catch(() => undefined);
  let round: Round | undefined;
  try {
    while (!signal.aborted) {
      const isEdited = round?.isOutdated() === true;
      let hasBegun = false;
      try {
        if (isEdited) await pause(WRITTEN_MS);
        round = await begin();
        if (isEdited) await pause(SETTLE_MS - WRITTEN_MS);
        if (isEdited && round.isOutdated()) round = await begin();
        if (signal.aborted) break;
        hasBegun = true;
        await run();
      } catch (error) {
        if (signal.aborted) break;
        if (watch === undefined) throw error;
        if (!hasBegun) beside.onNoRun?.();
        tell(context, output, error);
      }
      if (signal.aborted) break;
      output.emit({ kind: "waiting" });
      output.say("  waiting for changes");
      await wanted.promise;
    }
    return 130;
  } finally {
    watch?.close();
    signal.removeEventListener("abort", want);
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
