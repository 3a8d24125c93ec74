import { type CommandDeclaration, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "check the images, and the deployed service",
  async run(context, input) {
    const { openProject, shippableVersion } = await import("./project.ts");
    const { outputOf, readBuild } = await import("./steps.ts");
    const { verifyImages } = await import("./verify-step.ts");
    const project = await openProject(context, input);
    const record = await readBuild(project, await shippableVersion(context, input, project.config));
    return verifyImages(context, project, record, outputOf(context, isSet(input, "json")));
  },
};
