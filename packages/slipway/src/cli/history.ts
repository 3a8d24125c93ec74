import { type CommandDeclaration, isSet, releaseNumber } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "list the releases, newest first, or show one whole",
  description:
    "Lists the releases as the clusters hold them; any one of them can answer. With a number, everything about that release:\nclusters, causes, evidence, images, who went on with it and whose lock was taken. Values of Secrets are not shown.",
  arguments: [{ flags: "[release]", description: "a release number (12 or #12)" }],
  examples: ["slipway history", "slipway history 12", "slipway history --json"],
  onlyPrints: true,
  async run(context, input) {
    const { SlipwayError } = await import("@slipway/base");
    const { openProject } = await import("./project.ts");
    const { releaseContextOf, targetsOf } = await import("./compose.ts");
    const { history } = await import("../release/release.ts");
    const { renderRecord } = await import("../release/history/record-text.ts");
    const { renderHistory } = await import("../release/text.ts");
    const [wanted] = input.arguments;
    const number = wanted === undefined ? undefined : releaseNumber(wanted);
    const unknown = (message: string, hint: string): Error =>
      new SlipwayError({ code: "USAGE_RELEASE", where: `history ${wanted}`, message, hint, exitCode: 2 });
    if (wanted !== undefined && number === undefined)
      throw unknown("should be a release number", "See them with `slipway history`.");
    const project = await openProject(context, input);
    const records = await history(releaseContextOf(context, project, await targetsOf(context, project)));
    const now = context.clock.now();
    if (wanted === undefined) {
      context.write(
        isSet(input, "json") ? `${JSON.stringify(records)}\n` : `${renderHistory(records, now)}\n`,
      );
      return 0;
    }
    const record = records.find((one) => one.number === number);
    if (record === undefined)
      throw unknown(
        "is not in the history",
        `Kept: ${records.map((one) => one.number).join(", ") || "none"}.`,
      );
    context.write(
      isSet(input, "json") ? `${JSON.stringify(record)}\n` : `${renderRecord(record, now, records)}\n`,
    );
    return 0;
  },
};
