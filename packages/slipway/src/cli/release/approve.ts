import { type CommandDeclaration, dryRunOption, isSet, textOption } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "say yes or no to a release that waits for a person",
  description:
    "Answers the approval gate of the release that is going on, from any machine that reaches one of its clusters.\nThe answer, with your name, is kept at the release's record.",
  options: [
    {
      flags: "--reject",
      description: "say no: the wave has failed, and goes back as release.onFailure says",
    },
    { flags: "--message <text>", description: "why; shown and kept with the answer" },
    dryRunOption,
  ],
  examples: ["slipway release approve", 'slipway release approve --reject --message "errors in the log"'],
  async run(context, input) {
    const { openProject } = await import("../project.ts");
    const { releaseContextOf, targetsOf } = await import("../compose.ts");
    const { outputOf } = await import("../steps.ts");
    const { answerGate } = await import("../../release/gates/approval.ts");
    const project = await openProject(context, input);
    const output = outputOf(context, isSet(input, "json"));
    const everywhere = releaseContextOf(context, project, await targetsOf(context, project));
    const approved = !isSet(input, "reject");
    const message = textOption(input, "message") ?? "";
    const dryRun = isSet(input, "dryRun");
    const { release, gate, clusters } = await answerGate(everywhere, { approved, message, dryRun });
    const said = approved ? "approved" : "rejected";
    const what = `gate ${gate.name} of release ${release}, wave ${gate.wave + 1} (${gate.clusters.join(", ")})`;
    if (dryRun) {
      output.emit({ step: "approve", kind: "would-answer", release, gate: gate.name, approved });
      output.say(`would be ${said}: ${what}`);
      return 0;
    }
    output.emit({ step: "approve", release, gate: gate.name, approved, clusters });
    output.say(`${said}: ${what}`);
    return 0;
  },
};
