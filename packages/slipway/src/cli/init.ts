import { type CommandDeclaration, dryRunOption, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "write a slipway.config.ts from the Dockerfiles and manifests that are there",
  options: [{ flags: "--force", description: "replace a configuration that exists" }, dryRunOption],
  examples: ["slipway init && slipway ship"],
  async run(context, input) {
    const { existsSync } = await import("node:fs");
    const { join } = await import("node:path");
    const { SlipwayError, writeAtomic } = await import("@slipway/base");
    const { CONFIG_FILE } = await import("../config/load.ts");
    const { surveyProject } = await import("../config/survey.ts");
    const { renderStarter } = await import("../config/starter.ts");
    const file = join(context.cwd, CONFIG_FILE);
    if (existsSync(file) && !isSet(input, "force")) {
      throw new SlipwayError({
        code: "INIT_EXISTS",
        where: CONFIG_FILE,
        message: "exists already",
        hint: "Edit it, or replace it with --force.",
        exitCode: 2,
      });
    }
    const survey = await surveyProject(context.cwd);
    const { text, notes: guesses } = renderStarter(survey);
    const notes = [...guesses];
    // Without one, COPY . . would take the whole repository's history into the image, which `ship` refuses.
    const ignoreFile = join(context.cwd, ".dockerignore");
    const needsIgnore = survey.dockerfiles.some((found) => found.context === ".") && !existsSync(ignoreFile);
    if (needsIgnore) notes.push("images: a new .dockerignore keeps .git out of the image");
    if (!isSet(input, "dryRun")) {
      await writeAtomic(file, text);
      if (needsIgnore) await writeAtomic(ignoreFile, ".git\n");
    }
    if (isSet(input, "json"))
      context.write(`${JSON.stringify({ file, written: !isSet(input, "dryRun"), text, notes })}\n`);
    else {
      context.write(isSet(input, "dryRun") ? text : `wrote ${CONFIG_FILE}\n`);
      for (const note of notes) context.write(`  ${note}\n`);
      if (!isSet(input, "dryRun")) context.write("next: slipway ship\n");
    }
    return 0;
  },
};
