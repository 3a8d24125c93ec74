import {
  type CommandDeclaration,
  dryRunOption,
  isSet,
  rebindOf,
  rebindOption,
  textOption,
} from "./command.ts";

export const command: CommandDeclaration = {
  summary: "take the service back to the last good release",
  description:
    "Goes forward to the newest release that was healthy in every cluster and differs from what runs, with the manifests,\nConfigMaps and Secrets as they were stored. Needs no build, no git and no registry tag.",
  arguments: [{ flags: "[release]", description: "a release number instead; see slipway history" }],
  options: [
    { flags: "--wait <duration>", description: "wait this long for a lock that somebody holds" },
    { flags: "--steal-lock", description: "take the lock from whoever holds it" },
    rebindOption,
    dryRunOption,
  ],
  examples: ["slipway rollback", "slipway rollback 12", "slipway rollback --dry-run"],
  async run(context, input) {
    const { parseDuration, SlipwayError } = await import("@slipway/base");
    const { openProject } = await import("./project.ts");
    const { registryClientOf, releaseContextOf, targetsOf } = await import("./compose.ts");
    const { outputOf } = await import("./steps.ts");
    const { withProgress } = await import("./deploy-step.ts");
    const { planRollback, rollback } = await import("../release/release.ts");
    const { refusalError } = await import("../release/plan.ts");
    const { renderPlan } = await import("../release/plan-text.ts");
    const { whatOf } = await import("../release/text.ts");
    const [wanted] = input.arguments;
    const to = wanted === undefined ? undefined : Number(wanted.replace(/^#/, ""));
    if (to !== undefined && !(Number.isInteger(to) && to > 0)) {
      throw new SlipwayError({
        code: "USAGE_RELEASE",
        where: `rollback ${wanted}`,
        message: "should be a release number",
        hint: "See them with `slipway history`.",
        exitCode: 2,
      });
    }
    const project = await openProject(context, input);
    const output = outputOf(context, isSet(input, "json"));
    const registry = registryClientOf(context);
    const release = releaseContextOf(context, project, await targetsOf(context, project), registry);
    if (isSet(input, "dryRun")) {
      const { target, leaves, plan } = await planRollback(release, { to, rebind: rebindOf(input) });
      const refused = refusalError(plan.refusals);
      const clusters = release.targets.map(({ name }) => name).join(", ");
      output.emit({
        step: "rollback",
        kind: "would-roll-back",
        from: leaves.number,
        to: target.number,
        refused: refused?.toJSON(),
      });
      output.say(
        `would take ${clusters} from release ${leaves.number} back to release ${target.number} (${target.version.commit} ${whatOf(target)})`,
      );
      output.say(renderPlan(plan));
      await registry.close();
      if (refused !== undefined) return refused.exitCode ?? 1;
      return 0;
    }
    const result = await withProgress(
      context,
      project,
      output,
      (onEvent) =>
        rollback(release, {
          to,
          rebind: rebindOf(input),
          onEvent,
          signal: context.signal,
          lockWaitMs: parseDuration(textOption(input, "wait") ?? "0", "--wait"),
          stealLock: isSet(input, "stealLock"),
        }),
      release,
    );
    await registry.close();
    return result.exitCode;
  },
};
