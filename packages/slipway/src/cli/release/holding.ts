/** What `slipway release hold` and `unhold` share. */
import { type CliContext, type CommandInput, isSet, releaseNumber, textOption } from "../command.ts";

export async function holdCommand(
  context: CliContext,
  input: CommandInput,
  verb: "hold" | "unhold",
): Promise<number> {
  const { openProject } = await import("../project.ts");
  const { releaseContextOf, targetsOf } = await import("../compose.ts");
  const { describeHold, whatIsHeld } = await import("../../release/history/held.ts");
  const { hold, holds, unhold } = await import("../../release/history/hold.ts");
  const project = await openProject(context, input);
  const release = releaseContextOf(context, project, await targetsOf(context, project));
  const print = (json: unknown, lines: readonly string[]): void =>
    context.write(isSet(input, "json") ? `${JSON.stringify(json)}\n` : `${lines.join("\n")}\n`);
  const [argument] = input.arguments;
  if (argument === undefined) {
    const held = await holds(release);
    const now = context.clock.now();
    const lines = held.map((one) => `${whatIsHeld(one)} ${describeHold(one, now)}`);
    print(
      { held },
      held.length === 0
        ? ["Nothing is held."]
        : [...lines, "Lift one: slipway release unhold DIGEST|RELEASE"],
    );
    return 0;
  }
  const what = releaseNumber(argument) ?? argument;
  const dryRun = isSet(input, "dryRun");
  const { changed, missing } =
    verb === "hold"
      ? await hold(release, what, { dryRun, message: textOption(input, "message") })
      : await unhold(release, what, { dryRun });
  const done = verb === "hold" ? "held" : "no longer held";
  print({ [verb]: changed, missing, dryRun }, [
    ...(changed.length === 0 ? ["That is held already."] : []),
    ...changed.map((one) => `${one} ${dryRun ? `would be ${done}` : `is ${done}`}`),
    ...missing.map((name) => `NOT stored in ${name}; the next release brings it there`),
  ]);
  return missing.length === 0 ? 0 : 1;
}
