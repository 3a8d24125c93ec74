/**
 * Release events on a terminal: finished lines stay, and one line below them moves while something is waited for.
 * Anywhere else only lines are printed, and of the progress only what changed, at most once in two seconds.
 */
import type { ReleaseEvent } from "../release/events.ts";
import { progressText } from "../release/text.ts";
import type { CliContext } from "./command.ts";
import type { StepOutput } from "./steps.ts";

const PROGRESS_EVERY_MS = 2000;

export interface ProgressPrinter {
  show(event: ReleaseEvent, line: string | undefined): void;
  end(): void;
}

export function progressPrinter(context: CliContext, output: StepOutput): ProgressPrinter {
  const moving = new Map<string, string>();
  let isShown = false;
  let printedAt = Number.NEGATIVE_INFINITY;
  let printed: string | undefined;
  const clear = (): void => {
    if (isShown) context.write("\r\x1b[2K");
    isShown = false;
  };
  return {
    show(event, line) {
      if (!context.isTerminal) {
        if (line === undefined || line === printed) return;
        if (event.type === "progress" && context.clock.monotonic() < printedAt + PROGRESS_EVERY_MS) return;
        if (event.type === "progress") printedAt = context.clock.monotonic();
        printed = line;
        return output.say(`  ${line}`);
      }
      if (event.type === "verdict" || event.type === "finished") moving.clear();
      clear();
      if (event.type === "progress") {
        moving.set(event.cluster, `${event.cluster}: ${progressText(event.progress)}`);
      } else if (line !== undefined) output.say(`  ${line}`);
      if (moving.size === 0) return;
      const text = `  ${[...moving.values()].join(" · ")}`;
      context.write(text.length > context.columns - 1 ? `${text.slice(0, context.columns - 2)}…` : text);
      isShown = true;
    },
    end: clear,
  };
}
