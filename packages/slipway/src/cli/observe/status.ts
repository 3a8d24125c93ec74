import { type CommandDeclaration, isSet } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "show whether the collector and its agents run, and what they have stored",
  options: [{ flags: "--cluster <name>", description: "only this cluster" }],
  examples: ["slipway observe status --env production"],
  onlyPrints: true,
  async run(context, input) {
    const { inEach, observedTargets } = await import("./targets.ts");
    const { installedState } = await import("../../observer/install/install.ts");
    const { reachCollector } = await import("../../observer/reach-collector.ts");
    const { project, targets } = await observedTargets(context, input);
    const { name: service, namespace } = project.config;
    let isWell = true;
    const exitCode = await inEach(context, targets, async ({ name, client }) => {
      const state = await installedState(client, namespace, service);
      const collector = state.isCollectorReady
        ? await reachCollector(name, client, { namespace, service })
        : undefined;
      const figures = (await collector?.figures().catch((error: unknown) => {
        context.writeError(`${error instanceof Error ? error.message : String(error)}\n`);
      })) as Figures | undefined;
      isWell &&= state.isCollectorReady && state.agents.ready >= state.agents.wanted && figures !== undefined;
      if (isSet(input, "json")) context.write(`${JSON.stringify({ cluster: name, ...state, figures })}\n`);
      else context.write(`${render(name, state, figures)}\n`);
    });
    return exitCode > 0 || isWell ? exitCode : 1;
  },
};

interface Figures {
  readonly warehouse: {
    readonly access: number;
    readonly logs: number;
    readonly quarantine: number;
    readonly gaps: number;
    readonly bytes: number;
    readonly newestMs?: number;
    readonly problem?: string;
  };
}

type State = Awaited<ReturnType<typeof import("../../observer/install/install.ts")["installedState"]>>;

function render(cluster: string, state: State, figures: Figures | undefined): string {
  if (!state.isInstalled) return `${cluster}  not installed`;
  const { agents, isCollectorReady, waiting } = state;
  const lines = [
    `${cluster}  collector ${isCollectorReady ? "ready" : "not ready"}, agents on ${agents.ready} of ${agents.wanted} nodes`,
    ...waiting.map((one) => `  ${one}`),
  ];
  if (figures !== undefined) {
    const { access, logs, quarantine, gaps, bytes, newestMs, problem } = figures.warehouse;
    lines.push(
      `  ${access} requests, ${logs} other lines, ${quarantine} in quarantine, ${gaps} gaps, ${(bytes / 1e6).toFixed(1)} MB`,
    );
    if (newestMs !== undefined) lines.push(`  newest line ${new Date(newestMs).toISOString()}`);
    if (problem !== undefined) lines.push(`  ${problem}`);
  }
  return lines.join("\n");
}
