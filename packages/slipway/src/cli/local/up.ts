import { type CommandDeclaration, isSet } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "start the local clusters, the registry and the edge",
  description:
    "Starts the local world in the background: the clusters of the environment, an image registry and the edge in front.\nWhat was stored before (objects, release history, images) is there again.",
  options: [{ flags: "--dry-run", description: "say what would be started" }],
  examples: ["slipway local up", "export KUBECONFIG=$(slipway local kubeconfig); kubectl get pods -A"],
  async run(context, input) {
    const { openProject, worldSpec } = await import("../project.ts");
    const { renderWorld } = await import("./status.ts");
    const project = await openProject(context, input);
    const spec = worldSpec(project);
    if (isSet(input, "dryRun")) {
      context.write(
        isSet(input, "json")
          ? `${JSON.stringify({ wouldStart: spec })}\n`
          : `would start clusters ${spec.clusters.join(", ")} in ${project.paths.root}\n`,
      );
      return 0;
    }
    const { launchWorld } = await import("../../world/process.ts");
    const startedAt = context.clock.monotonic();
    const state = await launchWorld(spec, context.signal);
    if (isSet(input, "json")) {
      const { control: _, observer: _observer, ...shown } = state;
      context.write(`${JSON.stringify(shown)}\n`);
    } else {
      context.write(
        `${renderWorld(state, project.paths.kubeconfig, context.isTerminal)}\nready in ${((context.clock.monotonic() - startedAt) / 1000).toFixed(1)} s\n`,
      );
    }
    return 0;
  },
};
