import { type CommandDeclaration, isSet, textOption } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "tell nobody of a rule or an incident for some time",
  description:
    "The message of an incident that is open says by whom it is muted, why and until when. Incidents of a muted rule are not\nsent; those that are still open when the mute ends are sent then. In real clusters a rule is muted in all of them, behind a\ncluster's name (tokyo/availability) there alone.",
  arguments: [
    { flags: "<what>", description: "a rule's name or an incident's id, as slipway alerts shows them" },
  ],
  options: [
    { flags: "--for <duration>", description: "for this long, like 2h; at most 30d" },
    { flags: "--reason <text>", description: "why; shown to everybody" },
  ],
  examples: ['slipway alerts mute availability --for 2h --reason "the database moves"'],
  async run(context, input) {
    const { parseDuration, SlipwayError } = await import("@slipway/base");
    const { whoAmI } = await import("../../config/who-am-i.ts");
    const { LONGEST_MUTE_MS } = await import("../../observe/alerts/alerts.ts");
    const { openAlerts } = await import("./ask.ts");
    const [id = ""] = input.arguments;
    const [time, reason] = [textOption(input, "for"), textOption(input, "reason")?.trim() ?? ""];
    if (time === undefined || reason === "") {
      throw new SlipwayError({
        code: "USAGE_MUTE",
        where: `alerts mute ${id}`,
        message: time === undefined ? "for how long is missing" : "a mute without a reason helps nobody",
        hint: `Say it: slipway alerts mute ${id} --for 2h --reason "the database moves".`,
        exitCode: 2,
      });
    }
    const forMs = parseDuration(time, "--for");
    if (forMs < 1 || forMs > LONGEST_MUTE_MS) {
      throw new SlipwayError({
        code: "USAGE_MUTE",
        where: `--for ${time}`,
        message: "should be at most 30d, and more than nothing",
        hint: `slipway alerts unmute ${id} ends a mute.`,
        exitCode: 2,
      });
    }
    const alerts = await openAlerts(context, input);
    await alerts.mute({ id, forMs, reason, who: whoAmI(context.env) });
    context.write(
      isSet(input, "json")
        ? `${JSON.stringify((await alerts.list()).answer)}\n`
        : `${id} is muted for ${time}: ${reason}\n`,
    );
    return 0;
  },
};
