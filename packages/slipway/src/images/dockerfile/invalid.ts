/** A mistake in a Dockerfile, with its file and line. */
import { SlipwayError } from "@slipway/base";

/** `line` from 1. */
export function invalid(where: string, line: number, message: string, hint?: string): SlipwayError {
  return new SlipwayError({
    code: "DOCKERFILE_INVALID",
    where: `${where}:${line}`,
    message,
    hint: hint ?? "Correct the line; the Dockerfile reference describes every instruction.",
    exitCode: 2,
  });
}
