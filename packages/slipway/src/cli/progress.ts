/**
 * Release events on a terminal: finished lines stay, and one line below them moves while something is waited for.
 * Anywhere else only lines are printed, and of the progress what is the newest after two seconds without other news.
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
  let printed: string | undefined;
  let pending: string | undefined;
  let timer: AbortController | undefined;
  const clear = (): void => {
    if (isShown) context.write("\r\x1b[2K");
    isShown = false;
  };
  const say = (line: string): void => {
    pending = undefined;
    if (line === printed) return;
    printed = line;
    output.say(`  ${line}`);
  };
  /** The newest progress is printed when two seconds have passed without any other news. */
  const sayLater = (line: string): void => {
    pending = line;
    if (timer !== undefined) return;
    timer = new AbortController();
    context.clock.sleep(PROGRESS_EVERY_MS, timer.signal).then(
      () => {
        timer = undefined;
        if (pending !== undefined) say(pending);
      },
      () => {},
    );
  };
  const cancel = (): void => {
    timer?.abort();
    timer = undefined;
    pending = undefined;
  };
  return {
    show(event, line) {
      if (!context.isTerminal) {
        if (line === undefined) return;
        if (event.type === "progress") return sayLater(line);
        cancel();
        return say(line);
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
    end() {
      cancel();
      clear();
    },
  };
}
