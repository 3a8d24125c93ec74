import { type CommandDeclaration, isSet, textOption } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "check the built images, and the deployed service",
  description:
    "Runs the checks of the spec files: on the images without running them, and over HTTP on the deployed service.\nA check passes, fails, or is unknown when there was no way to see; unknown is not a pass.",
  options: [
    { flags: "-t, --filter <text>", description: "only checks whose name contains this" },
    { flags: "--only <what>", description: "image or service" },
    { flags: "--allow-unknown", description: "do not fail for checks that could not be decided" },
    { flags: "-v, --verbose", description: "show the passed checks too" },
    { flags: "--allow-dirty", description: "check uncommitted changes for an environment that is not local" },
  ],
  examples: ["slipway verify", "slipway verify --only image -v"],
  async run(context, input) {
    const { SlipwayError } = await import("@slipway/base");
    const { openProject, shippableVersion } = await import("./project.ts");
    const { outputOf, readBuild } = await import("./steps.ts");
    const { verifyStep } = await import("./verify-step.ts");
    const { findWorld } = await import("../world/state.ts");
    const only = textOption(input, "only");
    if (only !== undefined && only !== "image" && only !== "service") {
      throw new SlipwayError({
        code: "USAGE_ONLY",
        where: `--only ${only}`,
        message: "should be image or service",
        exitCode: 2,
      });
    }
    const project = await openProject(context, input);
    const record = await readBuild(project, await shippableVersion(context, input, project.config));
    const presence = await findWorld(project.paths);
    return verifyStep(
      context,
      project,
      record,
      project.config.isLocal && presence.kind === "running" ? presence.state : undefined,
      outputOf(context, isSet(input, "json")),
      {
        isShip: false,
        filter: textOption(input, "filter"),
        allowUnknown: isSet(input, "allowUnknown"),
        verbose: isSet(input, "verbose"),
        ...(only === undefined ? {} : { only }),
      },
    );
  },
};
