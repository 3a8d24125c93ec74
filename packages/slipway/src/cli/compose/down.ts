import { type CommandDeclaration, isSet } from "../command.ts";
import { fileOptions } from "./options.ts";

export const command: CommandDeclaration = {
  summary: "stop what `slipway compose up` runs in another terminal, and remove what was left",
  description:
    "Asks a running `slipway compose up` of this project to stop its services and waits until it has; removes what one that died has left.",
  options: fileOptions,
  examples: ["slipway compose down"],
  async run(context, input) {
    const { composePaths, loadComposeProject } = await import("./options.ts");
    const { endRuns, sweepRuns } = await import("../../verify/engines/sandbox/runs.ts");
    const { outputOf } = await import("../steps.ts");
    const loaded = await loadComposeProject(context, input);
    const { runs } = composePaths(loaded);
    const ended = await endRuns(runs, context.clock, context.signal);
    const { folders } = await sweepRuns(runs, context.clock);
    const output = outputOf(context, isSet(input, "json"));
    output.emit({ event: "down", ended, removed: folders });
    if (ended === 0 && folders === 0) output.say(`nothing of ${loaded.project.name} is running`);
    if (ended > 0) output.say(`stopped ${loaded.project.name}`);
    if (folders > 0) output.say(`removed what ${folders === 1 ? "a run" : `${folders} runs`} had left`);
    return 0;
  },
};
