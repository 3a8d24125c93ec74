import { type CommandDeclaration, dryRunOption, isSet } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "take the collector and its agents out of the clusters",
  description:
    "Deletes what `slipway observe install` applied. The collector's volume stays, with what is stored on it, unless --delete-data is given.",
  options: [
    { flags: "--cluster <name>", description: "only this cluster" },
    { flags: "--delete-data", description: "delete the volume, too: what was stored is lost" },
    dryRunOption,
  ],
  examples: ["slipway observe uninstall --env production"],
  async run(context, input) {
    const { inEach, observedTargets } = await import("./targets.ts");
    const { removals, uninstall } = await import("../../observer/install/install.ts");
    const { project, targets } = await observedTargets(context, input);
    const { name: service, namespace } = project.config;
    const deletesData = isSet(input, "deleteData");
    const say = (line: string): void =>
      context.write(
        isSet(input, "json") ? `${JSON.stringify({ step: "observe", text: line })}\n` : `${line}\n`,
      );
    return inEach(context, targets, async ({ name, client }) => {
      if (isSet(input, "dryRun")) {
        for (const { kind, name: object } of removals(namespace, service, deletesData))
          say(`${name}: would delete ${kind} ${object}`);
        return;
      }
      await uninstall({ client, say: (line) => say(`${name}: ${line}`) }, namespace, service, deletesData);
      if (!deletesData) say(`${name}: the volume is kept, if there was one; --delete-data deletes it`);
    });
  },
};
