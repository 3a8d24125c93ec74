/** `--engine` of `slipway verify`. */
import { SlipwayError } from "@slipway/base";
import { ENGINES, type EngineChoice } from "../verify/engines/open.ts";

export function engineChoice(text: string | undefined): EngineChoice {
  const found = ENGINES.find((one) => one === (text ?? "auto"));
  if (found !== undefined) return found;
  throw new SlipwayError({
    code: "USAGE_ENGINE",
    where: `--engine ${text}`,
    message: `should be one of ${ENGINES.join(", ")}`,
    exitCode: 2,
  });
}
