import { type CommandDeclaration, dryRunOption } from "../command.ts";
import { holdCommand } from "./holding.ts";

export const command: CommandDeclaration = {
  summary: "let something be deployed again that a rollback held",
  description: "Lifts the hold on a release, or on a digest. Without an argument it lists what is held.",
  arguments: [{ flags: "[what]", description: "a release number (12 or #12), or a digest or its beginning" }],
  options: [dryRunOption],
  examples: ["slipway release unhold", "slipway release unhold 12", "slipway release unhold sha256:3f2a91b0"],
  run: (context, input) => holdCommand(context, input, "unhold"),
};
