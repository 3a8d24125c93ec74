/** `--builder`, or SLIPWAY_BUILDER for machines where it is always the same. */
import { SlipwayError } from "@slipway/base";
import { BUILDERS, type Builder } from "../images/engine/engine.ts";
import { type CliContext, type CommandInput, textOption } from "./command.ts";

export function builderOf(context: CliContext, input: CommandInput): Builder {
  const given = textOption(input, "builder");
  const value = given ?? (context.env["SLIPWAY_BUILDER"] || "auto");
  const found = BUILDERS.find((name) => name === value);
  if (found !== undefined) return found;
  throw new SlipwayError({
    code: "USAGE_BUILDER",
    where: given === undefined ? "SLIPWAY_BUILDER" : "--builder",
    message: `"${value}" is not a builder`,
    hint: `One of: ${BUILDERS.join(", ")}.`,
    exitCode: 2,
  });
}
