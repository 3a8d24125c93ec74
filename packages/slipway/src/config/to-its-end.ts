/** Files of users are programs: one that ends the process would end a command in the middle, and as a success. */
import { renderError, type SlipwayError } from "@slipway/base";

/** Node's exit code for a top-level await of what never comes. */
const UNSETTLED = 13;

/** `run` imports the file. Where it does not come back, the process says `unfinished` and ends with its exit code. */
export async function toItsEnd<T>(unfinished: SlipwayError, run: () => Promise<T>): Promise<T> {
  const ending = (code: number): void => {
    if (code !== 0 && code !== UNSETTLED) return;
    process.stderr.write(`slipway: ${renderError(unfinished)}\n`);
    process.exitCode = unfinished.exitCode ?? 1;
  };
  process.once("exit", ending);
  try {
    return await run();
  } finally {
    process.off("exit", ending);
  }
}

export const UNFINISHED =
  "does not come to its end: it, or what it imports, ends the process or waits for what never comes";
