/** A program on this machine; exit code 0 passes. What it prints is shown, and its end is kept. */
import { shellLine } from "@slipway/base";
import type { Asking, GateFinding } from "./gate.ts";

const LINES_KEPT = 20;

export async function askCommand(
  command: readonly string[],
  asking: Asking,
  facts: {
    readonly env: Readonly<Record<string, string>>;
    readonly onLine: (line: string) => void;
  },
): Promise<GateFinding> {
  const lines: string[] = [];
  const values = { command: shellLine(command) };
  try {
    const { exitCode } = await asking.ports.run(command, {
      env: facts.env,
      signal: asking.signal,
      onLine(line) {
        lines.push(line);
        if (lines.length > LINES_KEPT) lines.shift();
        facts.onLine(line);
      },
    });
    if (asking.signal.aborted) {
      return { outcome: "timed-out", said: `${values.command} did not end`, values, lines };
    }
    const outcome = exitCode === 0 ? "passed" : "failed";
    const last = lines.at(-1);
    const said = `${values.command} ended with exit code ${exitCode}${last === undefined ? "" : `: ${last}`}`;
    return { outcome, said, values: { ...values, exitCode }, lines };
  } catch (error) {
    if (asking.signal.aborted) {
      return { outcome: "timed-out", said: `${values.command} did not end`, values, lines };
    }
    const said = `${values.command} cannot be run: ${error instanceof Error ? error.message : String(error)}`;
    return { outcome: "undecided", said, values, lines };
  }
}
