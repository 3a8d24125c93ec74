/**
 * What happened, one line per virtual event, with the time since the start:
 *
 *   +00:00.104  deployment  web          Scaled up replica set web-7f to 3
 *   +00:01.230  fault       node-2       node crash
 */
export class Transcript {
  readonly #lines: {
    readonly atMs: number;
    readonly who: string;
    readonly what: string;
    readonly text: string;
  }[] = [];

  add(atMs: number, who: string, what: string, text: string): void {
    this.#lines.push({ atMs, who, what, text });
  }

  /** The newest `last` lines, all when undefined. */
  render(last?: number): string {
    const lines = last === undefined ? this.#lines : this.#lines.slice(-last);
    const who = Math.max(0, ...lines.map((line) => line.who.length));
    const what = Math.max(0, ...lines.map((line) => line.what.length));
    return lines
      .map(
        (line) => `${relative(line.atMs)}  ${line.who.padEnd(who)}  ${line.what.padEnd(what)}  ${line.text}`,
      )
      .join("\n");
  }
}

/** `+01:12.400`, minutes, seconds and milliseconds. */
export function relative(ms: number): string {
  const pad = (value: number, width: number): string => String(value).padStart(width, "0");
  const minutes = pad(Math.floor(ms / 60_000), 2);
  const seconds = pad(Math.floor(ms / 1000) % 60, 2);
  return `+${minutes}:${seconds}.${pad(Math.floor(ms) % 1000, 3)}`;
}
