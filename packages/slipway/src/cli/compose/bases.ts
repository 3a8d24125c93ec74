/** Which images stand in for others (`bases`), as in `slipway verify` of the same project. */
import { SlipwayError } from "@slipway/base";
import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/types.ts";
import { type CliContext, type CommandInput, textOption } from "../command.ts";

/**
 * Of the environment that is named, or that commands take where none is. A Compose file needs no configuration: where none was asked
 * for, what is wrong with it is a warning. Throws what `loadConfig` does where one was asked for.
 */
export async function basesOf(context: CliContext, input: CommandInput): Promise<Config["bases"]> {
  const [file, environment] = [textOption(input, "config"), textOption(input, "env")];
  try {
    const { config } = await loadConfig({ cwd: context.cwd, file, environment, env: context.env });
    return config.bases;
  } catch (error) {
    if (file !== undefined || environment !== undefined || !(error instanceof SlipwayError)) throw error;
    if (!WITHOUT.has(error.code)) {
      const where = error.where === undefined ? "" : `${error.where}: `;
      context.writeError(`warning: ${where}${error.message}; built without its bases\n`);
    }
    return {};
  }
}

/** There is none, or none that would be meant. */
const WITHOUT: ReadonlySet<string> = new Set(["CONFIG_NOT_FOUND", "CONFIG_NO_ENVIRONMENT"]);
