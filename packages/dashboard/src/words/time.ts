/** Times: relative for reading, absolute for whoever compares with another log. */
import { duration } from "./units.ts";

/** `just now`, `40 s ago`, `in 3 min`. A clock that is a little off must not say "in 1 s". */
export function ago(at: number, now: number): string {
  const since = now - at;
  if (Math.abs(since) < 2_000) return "just now";
  return since > 0 ? `${largest(since)} ago` : `in ${largest(-since)}`;
}

/** Only the largest unit: who wants more reads the absolute time. */
function largest(ms: number): string {
  return duration(ms).split(" ")[0] as string;
}

/** `2026-03-02 14:03:27`, in the reader's own zone. */
export function absolute(at: number): string {
  const date = new Date(at);
  return `${day(date)} ${clock(date)}`;
}

/** `14:03:27.120`: rows of a log. */
export function clockMs(at: number): string {
  const date = new Date(at);
  return `${clock(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** `14:03` */
export function hourMinute(at: number): string {
  return clock(new Date(at)).slice(0, 5);
}

function day(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function clock(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
