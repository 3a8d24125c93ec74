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
    const { SlipwayError } = await import("@slipway/base");
    const { openProject } = await import("../project.ts");
    const { releaseContextOf, targetsOf } = await import("../compose.ts");
    const { outputOf } = await import("../steps.ts");
    const { history } = await import("../../release/release.ts");
    const { answerGate, waitingGate } = await import("../../release/gates/approval.ts");
    const project = await openProject(context, input);
    const output = outputOf(context, isSet(input, "json"));
    const release = releaseContextOf(context, project, await targetsOf(context, project));
    const record = (await history(release)).find((one) => waitingGate(one) !== undefined);
    const gate = record === undefined ? undefined : waitingGate(record);
    if (record === undefined || gate === undefined) {
      throw new SlipwayError({
        code: "APPROVAL_NOT_WANTED",
        where: `${project.config.name} (${project.config.environment})`,
        message: "no release waits for a person",
        hint: "See slipway status and slipway history.",
        exitCode: 2,
      });
    }
    const approved = !isSet(input, "reject");
    const said = approved ? "approved" : "rejected";
    const what = `gate ${gate.name} of release ${record.number}, wave ${gate.wave + 1} (${gate.clusters.join(", ")})`;
    if (isSet(input, "dryRun")) {
      output.emit({
        step: "approve",
        kind: "would-answer",
        release: record.number,
        gate: gate.name,
        approved,
      });
      output.say(`would be ${said}: ${what}`);
      return 0;
    }
    const message = textOption(input, "message") ?? "";
    const { clusters } = await answerGate(release, record, { approved, message });
    output.emit({ step: "approve", release: record.number, gate: gate.name, approved, clusters });
    output.say(`${said}: ${what}`);
    return 0;
  },
};
