import {
  type CommandDeclaration,
  dryRunOption,
  isSet,
  listOption,
  rebindOf,
  rebindOption,
  releaseNumber,
  textOption,
} from "./command.ts";

export const command: CommandDeclaration = {
  summary: "take the service back to the last good release",
  description:
    "Goes forward to the newest release that was healthy in every cluster, differs from what runs and is not held, with the\nmanifests, ConfigMaps and Secrets as they were stored. Needs no build, no git, no CI and no registry tag. Shows what\nit will do; on a terminal it asks first. What it leaves is held: it is not deployed again until somebody says so.",
  arguments: [
    { flags: "[release]", description: "a release number instead (12 or #12); see slipway history" },
  ],
  options: [
    {
      flags: "--to-commit <commit>",
      description: "the newest good release of this commit; its beginning is enough",
    },
    {
      flags: "--cluster <name>",
      description: "only this cluster goes back; may be repeated",
      repeatable: true,
    },
    { flags: "--yes", description: "do not ask" },
    { flags: "--force", description: "go back although the registry no longer has an image of the target" },
    { flags: "--wait <duration>", description: "wait this long for a lock that somebody holds" },
    {
      flags: "--steal-lock",
      description: "take the lock from whoever holds it; the release's record says so",
    },
    rebindOption,
    dryRunOption,
  ],
  examples: [
    "slipway rollback",
    "slipway rollback 12",
    "slipway rollback --to-commit 3f2a91b",
    "slipway rollback --cluster osaka --yes",
    "slipway rollback --dry-run",
  ],
  async run(context, input) {
    const { parseDuration } = await import("@slipway/base");
    const { openProject } = await import("./project.ts");
    const { registryClientOf, releaseContextOf, targetsOf } = await import("./compose.ts");
    const { outputOf } = await import("./steps.ts");
    const { withProgress } = await import("./deploy-step.ts");
    const { indent } = await import("./width.ts");
    const { planRollback, rollback } = await import("../release/release.ts");
    const { refusalError } = await import("../release/plan/refusals.ts");
    const { renderPlan } = await import("../release/plan/plan-text.ts");
    const { renderRollbackPlan } = await import("../release/plan/rollback-plan.ts");
    const { to, toCommit } = await wantedRelease(input);
    const lockWaitMs = parseDuration(textOption(input, "wait") ?? "0", "--wait");
    const project = await openProject(context, input);
    const output = outputOf(context, isSet(input, "json"));
    const registry = registryClientOf(context, project);
    const release = releaseContextOf(context, project, await targetsOf(context, project), registry);
    const clusters = listOption(input, "cluster");
    const wish = { to, toCommit, clusters, force: isSet(input, "force"), rebind: rebindOf(input) };
    try {
      const planned = await planRollback(release, { ...wish, dryRun: isSet(input, "dryRun") });
      const { target, leaves, changes, eta, unreachable, warnings } = planned;
      const refused = refusalError(planned.refusals);
      output.emit({
        step: "rollback",
        kind: isSet(input, "dryRun") ? "would-roll-back" : "planned",
        from: leaves.number,
        to: target.number,
        clusters: planned.clusters,
        unreachable: Object.fromEntries(unreachable),
        changes,
        etaMs: eta?.ms,
        warnings,
        refused: refused?.toJSON(),
      });
      const others = release.targets
        .map(({ name }) => name)
        .filter((name) => !planned.clusters.includes(name));
      const now = context.clock.now();
      const { service, environment } = release;
      output.say(renderRollbackPlan({ ...planned, service, environment, others, now }));
      for (const [name, reason] of unreachable)
        output.say(indent(`${name} cannot be asked and will be unknown: ${reason}`));
      if (isSet(input, "dryRun")) {
        for (const warning of warnings) output.say(indent(`warning: ${warning}`));
        if (planned.plan !== undefined) output.say(renderPlan(planned.plan));
        if (refused === undefined) return 0;
        output.say(`refused: ${refused.where}: ${refused.message}`);
        return refused.exitCode ?? 1;
      }
      if (refused !== undefined) throw refused;
      const asks = context.confirm !== undefined && !isSet(input, "yes") && !isSet(input, "json");
      if (
        asks &&
        !(await context.confirm?.(`Take ${planned.clusters.join(", ")} back to release ${target.number}?`))
      ) {
        output.say("Nothing was changed.");
        return 1;
      }
      // What was agreed to, and nothing that somebody released since. Whoever was away may be back after a question.
      const knownAway = new Map([...unreachable, ...planned.othersAway]);
      const agreed = asks ? { ...wish, to: target.number, toCommit: undefined } : { ...wish, knownAway };
      const result = await withProgress(
        context,
        project,
        output,
        (onEvent) =>
          rollback(release, {
            ...agreed,
            onEvent,
            signal: context.signal,
            lockWaitMs,
            stealLock: isSet(input, "stealLock"),
          }),
        release,
      );
      return result.exitCode;
    } finally {
      await registry.close();
    }
  },
};

async function wantedRelease(input: {
  readonly arguments: readonly string[];
  readonly options: Parameters<typeof textOption>[0]["options"];
}): Promise<{ readonly to: number | undefined; readonly toCommit: string | undefined }> {
  const { SlipwayError } = await import("@slipway/base");
  const [wanted] = input.arguments;
  const toCommit = textOption(input, "toCommit");
  const usage = (where: string, message: string, hint: string): Error =>
    new SlipwayError({ code: "USAGE_RELEASE", where, message, hint, exitCode: 2 });
  if (wanted !== undefined && toCommit !== undefined)
    throw usage("rollback", "takes a release or a commit, not both", "Leave one of them out.");
  if (toCommit !== undefined && !/^[0-9a-f]{4,40}$/.test(toCommit))
    throw usage(`--to-commit ${toCommit}`, "should be 4 to 40 hex digits", "See slipway history.");
  const to = wanted === undefined ? undefined : releaseNumber(wanted);
  if (wanted !== undefined && to === undefined) {
    throw usage(
      `rollback ${wanted}`,
      "should be a release number",
      "See them with `slipway history`; a commit goes with --to-commit.",
    );
  }
  return { to, toCommit };
}
