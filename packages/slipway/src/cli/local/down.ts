import { type CommandDeclaration, isSet } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "stop the local world",
  description:
    "Stops the local world and everything in it. Objects, history and images are kept for the next `slipway local up`.",
  options: [
    { flags: "--delete", description: "also delete everything it stored" },
    { flags: "--dry-run", description: "say what would be stopped" },
  ],
  examples: ["slipway local down", "slipway local down --delete"],
  async run(context, input) {
    const { openProject } = await import("../project.ts");
    const { deleteWorld, stopWorld } = await import("../../world/process.ts");
    const { findWorld } = await import("../../world/state.ts");
    const project = await openProject(context, input);
    const answer = (result: string, text: string): number => {
      context.write(isSet(input, "json") ? `${JSON.stringify({ result })}\n` : `${text}\n`);
      return 0;
    };
    if (isSet(input, "dryRun")) {
      const { kind } = await findWorld(project.paths);
      return answer(
        `would-stop-${kind}`,
        kind === "running" ? "would stop the local world" : "no local world is running",
      );
    }
    const stopped = await stopWorld(project.config.root);
    if (isSet(input, "delete")) await deleteWorld(project.config.root);
    const texts = {
      stopped: "the local world is stopped",
      "was-not-running": "no local world is running",
      "had-died": "the local world had died; its leftovers are removed",
    } as const;
    return answer(
      stopped,
      `${texts[stopped]}${isSet(input, "delete") ? ", and what it had stored is deleted" : ""}`,
    );
  },
};
