import { type CommandDeclaration, dryRunOption } from "../command.ts";
import { holdCommand } from "./holding.ts";

export const command: CommandDeclaration = {
  summary: "do not let an image or a release be deployed again",
  description:
    "Holds a digest, or all that a release carries: deploys of it are refused and a rollback passes it over, until\n`slipway release unhold`. A rollback does this by itself for what it leaves.",
  arguments: [{ flags: "<what>", description: "a release number (12 or #12), or a digest or its beginning" }],
  options: [
    { flags: "--message <text>", description: "why; shown to everybody whose deploy is refused" },
    dryRunOption,
  ],
  examples: ['slipway release hold 12 --message "loses payments"', "slipway release hold sha256:3f2a91b0"],
  run: (context, input) => holdCommand(context, input, "hold"),
};
