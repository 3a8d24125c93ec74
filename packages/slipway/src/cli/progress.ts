/**
 * Release events on a terminal: finished lines stay, and below them stand the lines of `release-progress.ts`, written
 * over in place, in one write, once a second for the countdowns. Anywhere else only lines are printed: of the progress
 * what is the newest after two seconds without other news, and every 30 s without any news what is waited for.
 */
import type { ReleaseEvent } from "../release/events.ts";
import type { CliContext } from "./command.ts";
import { after, NO_RELEASE, progressLines, type ReleaseProgress } from "./release-progress.ts";
import type { StepOutput } from "./steps.ts";
import { indent } from "./width.ts";

const PROGRESS_EVERY_MS = 2_000;
const HEARTBEAT_MS = 30_000;
const REPAINT_MS = 1_000;
/** Wide enough that no reason is cut in a log. */
const LOG_COLUMNS = 400;

export interface ProgressPrinter {
  show(event: ReleaseEvent, line: string | undefined): void;
  /** What others have to say meanwhile. */
  say(line: string): void;
  end(): void;
}

export function progressPrinter(context: CliContext, output: StepOutput): ProgressPrinter {
  return context.isTerminal && output.isJson !== true
    ? movingPrinter(context, output)
    : linePrinter(context, output);
}

function movingPrinter(context: CliContext, output: StepOutput): ProgressPrinter {
  const stop = new AbortController();
  let progress: ReleaseProgress = NO_RELEASE;
  let shown: readonly string[] = [];
  /** Up to the first moving line, and everything from there away. */
  const erase = (): string => (shown.length === 0 ? "" : `\x1b[${shown.length}A\r\x1b[J`);
  const paint = (): void => {
    const next = progressLines(progress, context.clock.now(), context.columns);
    if (next.join("\n") === shown.join("\n")) return;
    // Each line is written over and the rest of it erased: nothing is ever blank between two pictures.
    const over = next.map((line) => `${line}\x1b[K\n`).join("");
    const up = shown.length === 0 ? "" : `\x1b[${shown.length}A\r`;
    context.write(`${up}${over}${next.length < shown.length ? "\x1b[J" : ""}`);
    shown = next;
  };
  const above = (line: string): void => {
    context.write(erase());
    shown = [];
    output.say(line);
    paint();
  };
  const repaint = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await context.clock.sleep(REPAINT_MS, stop.signal).catch(() => undefined);
      if (!stop.signal.aborted) paint();
    }
  };
  void repaint();
  return {
    show(event, line) {
      progress = after(progress, event);
      if (line !== undefined && !isMoving(event, progress)) above(indent(line));
      else paint();
    },
    say: above,
    end() {
      stop.abort();
      context.write(erase());
      shown = [];
    },
  };
}

/** What the moving lines already say. */
function isMoving(event: ReleaseEvent, { gate }: ReleaseProgress): boolean {
  if (event.type === "progress" || event.type === "baking") return true;
  // What a program prints and what a person is asked is to stay; what an address answers just now is not.
  return event.type === "gate-waiting" && gate?.kind !== "command" && gate?.kind !== "approval";
}

function linePrinter(context: CliContext, output: StepOutput): ProgressPrinter {
  const stop = new AbortController();
  let progress: ReleaseProgress = NO_RELEASE;
  let printed: string | undefined;
  let pending: string | undefined;
  let saidAt = context.clock.now();
  let timer: AbortController | undefined;
  const say = (line: string): void => {
    pending = undefined;
    if (line === printed) return;
    printed = line;
    saidAt = context.clock.now();
    output.say(indent(line));
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
  const heartbeat = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const due = saidAt + HEARTBEAT_MS - context.clock.now();
      await context.clock.sleep(Math.max(due, 1_000), stop.signal).catch(() => undefined);
      if (stop.signal.aborted || context.clock.now() - saidAt < HEARTBEAT_MS) continue;
      const lines = progressLines(progress, context.clock.now(), LOG_COLUMNS);
      saidAt = context.clock.now();
      // The time left makes each of them another line, so a heartbeat is never taken for a repetition.
      for (const line of lines) output.say(`  still:${line}`);
    }
  };
  void heartbeat();
  return {
    show(event, line) {
      progress = after(progress, event);
      if (line === undefined) return;
      if (event.type !== "baking" && isMoving(event, progress)) return sayLater(line);
      cancel();
      say(line);
    },
    say(line) {
      saidAt = context.clock.now();
      output.say(line);
    },
    end() {
      cancel();
      stop.abort();
    },
  };
}
