import { renderTable, shellLine } from "@slipway/base";
import type { EdgeStatus } from "../../edge/edge.ts";
import type { WorldState } from "../../world/state.ts";
import { type CommandDeclaration, isSet } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "show what runs in the local world and where",
  examples: ["slipway local status", "slipway local status --json"],
  onlyPrints: true,
  async run(context, input) {
    const { openProject, requireWorld } = await import("../project.ts");
    const { callWorld } = await import("../../world/control.ts");
    const project = await openProject(context, input);
    const known = await requireWorld(project);
    const state = await callWorld<WorldState & { edgeStatus: EdgeStatus | null }>(known, "status");
    if (isSet(input, "json")) {
      const { control: _, clusters, ...shown } = state;
      context.write(
        `${JSON.stringify({ ...shown, clusters: clusters.map(({ token: _token, ...cluster }) => cluster) })}\n`,
      );
    } else {
      context.write(`${renderWorld(state, project.paths.kubeconfig)}\n${renderEndpoints(state.edgeStatus)}`);
    }
    return 0;
  },
};

export function renderWorld(state: WorldState, kubeconfig: string): string {
  return renderTable([
    ...state.clusters.map(({ name, url, runtime, lost }) => [
      `cluster ${name}`,
      url,
      lost ? "lost" : runtime,
    ]),
    ["registry", `http://${state.registry}`, ""],
    ["edge", state.edge ?? "no routes configured", ""],
    ["kubectl", `export KUBECONFIG=${shellLine([kubeconfig])}`, ""],
  ]);
}

function renderEndpoints(status: EdgeStatus | null): string {
  if (status === null) return "";
  const rows = status.services.flatMap(({ name, endpoints }) =>
    endpoints.length === 0
      ? [[`service ${name}`, "no endpoints", "", ""]]
      : endpoints.map((endpoint) => [
          `service ${name}`,
          endpoint.id,
          endpoint.pod,
          `${endpoint.state}${endpoint.reason === undefined ? "" : ` (${endpoint.reason})`}`,
        ]),
  );
  return rows.length === 0 ? "" : `${renderTable(rows)}\n`;
}
