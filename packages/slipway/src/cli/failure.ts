/** What a command says of what it threw, and what it ends with. */
import { renderError, SlipwayError } from "@slipway/base";
import { inSources } from "./own-places.ts";
import { explainRefusal } from "./refusals.ts";

export interface Failure {
  /** Whole lines: with --json one of JSON, for standard output; else for standard error. */
  readonly text: string;
  readonly exitCode: number;
}

export function failureOf(thrown: unknown, isJson: boolean): Failure {
  const error = explainRefusal(thrown);
  const exitCode = error instanceof SlipwayError ? (error.exitCode ?? 1) : 1;
  if (!isJson) return { text: `slipway: ${inSources(renderError(error))}\n`, exitCode };
  const facts =
    error instanceof SlipwayError
      ? error.toJSON()
      : {
          code: "INTERNAL",
          message: error instanceof Error ? inSources(error.stack ?? error.message) : String(error),
        };
  return { text: `${JSON.stringify({ error: facts })}\n`, exitCode };
}
