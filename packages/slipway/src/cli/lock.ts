import { type CommandDeclaration, dryRunOption, isSet, textOption } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "freeze the service: no deploy until it is unlocked",
  description:
    "Freezes the service in every cluster of the environment. Every deploy is refused and told who froze it, since when and\nwhy; a rollback still goes through. A release that is going on finishes.",
  options: [
    { flags: "--message <text>", description: "why; shown to everybody whose deploy is refused" },
    {
      flags: "--until <duration>",
      description: "ends by itself after this time, like 2h; default: until unlocked",
    },
    dryRunOption,
  ],
  examples: [
    'slipway lock --message "freeze for the sale"',
    'slipway lock --message "moving house" --until 2h',
  ],
  async run(context, input) {
    const { parseDuration, SlipwayError } = await import("@slipway/base");
    const { openProject } = await import("./project.ts");
    const { releaseContextOf, targetsOf } = await import("./compose.ts");
    const { freeze } = await import("../release/lock/freeze.ts");
    const { describeFreeze } = await import("../release/lock/lease.ts");
    const message = textOption(input, "message") ?? "";
    if (message.trim() === "") {
      throw new SlipwayError({
        code: "USAGE_MESSAGE",
        where: "lock",
        message: "a freeze without a reason helps nobody who meets it",
        hint: 'Say why: slipway lock --message "freeze for the sale".',
        exitCode: 2,
      });
    }
    const until = textOption(input, "until");
    const lastsMs = until === undefined ? undefined : parseDuration(until, "--until");
    const project = await openProject(context, input);
    const release = releaseContextOf(context, project, await targetsOf(context, project));
    const result = await freeze(release, { message, lastsMs, dryRun: isSet(input, "dryRun") });
    if (isSet(input, "json")) context.write(`${JSON.stringify(result)}\n`);
    else {
      const verb = isSet(input, "dryRun") ? "would be frozen" : "is frozen";
      const names = result.frozen.join(", ");
      context.write(
        `${release.service} ${verb} in ${names} ${describeFreeze(result.freeze, context.clock.now())}. slipway unlock lifts it.\n`,
      );
      for (const { cluster, reason } of result.failed) context.write(`NOT frozen in ${cluster}: ${reason}\n`);
    }
    return result.failed.length === 0 ? 0 : 1;
  },
};
