import { builderOption, type CommandDeclaration, deployOptions, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "build, verify, push and deploy: the whole way of a commit",
  description:
    "Takes the work tree to the clusters: build, verify (the images, together, in a cluster made for it), push, deploy wave by wave, check the deployed service.\nFor a local environment it starts the local world first.",
  options: [
    { flags: "--skip-verify", description: "leave out the checks" },
    { flags: "--skip-cluster", description: "do not try the manifests in an embedded cluster" },
    builderOption,
    ...deployOptions,
  ],
  examples: ["slipway ship", "slipway ship --env production", "slipway ship --dry-run"],
  async run(context, input) {
    const { ensureWorld, openProject, shippableSources } = await import("./project.ts");
    const { findWorld } = await import("../world/state.ts");
    const { versionTag } = await import("./git.ts");
    const { buildStep, outputOf, pushStep, withReferences } = await import("./steps.ts");
    const { verifyStep } = await import("./verify-step.ts");
    const { verifyWords } = await import("./verify.ts");
    const { checkFiles, deployStep } = await import("./deploy-step.ts");
    const { builderOf } = await import("./builder.ts");
    const builder = builderOf(context, input);
    const project = await openProject(context, input);
    const { config } = project;
    const sources = await shippableSources(context, input, config);
    const output = outputOf(context, isSet(input, "json"));
    const command = verifyWords(input);
    output.say(
      `${config.name} ${versionTag(sources.version)} → ${config.environment} (${config.release.waves.map((wave) => wave.join(" + ")).join(", then ")})`,
    );

    // What can be found wrong in files and images is, before the world is started or anything leaves this machine.
    await checkFiles(project);
    output.say("build");
    const built = await buildStep(context, project, sources, output, builder);
    if (!isSet(input, "skipVerify")) {
      output.say("verify");
      const verified = await verifyStep(context, project, built, undefined, output, {
        phases: ["built"],
        isShip: true,
        command,
        // The local clusters themselves are next where the environment is local.
        triesManifests: !config.isLocal && !isSet(input, "skipCluster"),
      });
      if (verified !== 0) return verified;
    }
    if (isSet(input, "dryRun")) {
      // Nothing is started and nothing leaves this machine: the plan names what a push would make.
      output.say("plan");
      const presence = config.isLocal ? await findWorld(project.paths) : undefined;
      if (presence !== undefined && presence.kind !== "running") {
        const names = config.clusters.map(({ name }) => name);
        output.emit({ step: "plan", kind: "no-world", clusters: names });
        const images = built.images.map(({ name }) => name).join(", ");
        const push = images === "" ? "" : `, push ${images}`;
        output.say(`  would start the local world (${names.join(", ")})${push} and deploy`);
        output.say("  the plan against what it has stored needs it running: slipway local up");
        return 0;
      }
      const running = presence?.state;
      return deployStep(context, input, project, withReferences(project, built, running), running, output);
    }
    const world = config.isLocal ? await ensureWorld(project, output.say, context.signal) : undefined;
    output.say("push");
    const pushed = await pushStep(context, project, built, world, output);
    if (!isSet(input, "skipVerify")) {
      const verified = await verifyStep(context, project, pushed, world, output, {
        phases: ["pushed"],
        isShip: true,
        command,
      });
      if (verified !== 0) return verified;
    }
    output.say("deploy");
    const deployed = await deployStep(context, input, project, pushed, world, output);
    const now = world === undefined ? undefined : await findWorld(project.paths);
    if (now?.kind === "running") {
      const { shownDashboard } = await import("./local/dashboard.ts");
      const shown = shownDashboard(now.state, context.isTerminal);
      if (shown !== undefined) output.say(`dashboard ${shown}`);
    }
    if (deployed !== 0 || isSet(input, "skipVerify")) return deployed;
    return verifyStep(context, project, pushed, world, output, {
      phases: ["deployed"],
      isShip: true,
      command,
    });
  },
};
