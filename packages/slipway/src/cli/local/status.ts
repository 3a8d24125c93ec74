import { renderTable, shellLine } from "@slipway/base";
import type { EdgeStatus } from "../../edge/edge.ts";
import type { ObserverFigures } from "../../observer/observer.ts";
import type { WorldState } from "../../world/state.ts";
import { type CommandDeclaration, isSet } from "../command.ts";
import { shownDashboard } from "./dashboard.ts";

export const command: CommandDeclaration = {
  summary: "show what runs in the local world and where",
  examples: ["slipway local status", "slipway local status --json"],
  onlyPrints: true,
  async run(context, input) {
    const { openProject, requireWorld } = await import("../project.ts");
    const { callWorld } = await import("../../world/control.ts");
    const project = await openProject(context, input);
    const known = await requireWorld(project);
    const state = await callWorld<WorldStatus>(known, "status");
    if (isSet(input, "json")) {
      const { control: _, clusters, observer, ...shown } = state;
      context.write(
        `${JSON.stringify({
          ...shown,
          clusters: clusters.map(({ token: _token, ...cluster }) => cluster),
          observer:
            observer === undefined ? undefined : { ...observer, token: undefined, control: undefined },
        })}\n`,
      );
    } else {
      context.write(
        `${renderWorld(state, project.paths.kubeconfig, context.isTerminal)}\n${renderObserver(state)}${renderEndpoints(state.edgeStatus)}`,
      );
    }
    return 0;
  },
};

interface WorldStatus extends WorldState {
  readonly edgeStatus: EdgeStatus | null;
  readonly observerFigures: ObserverFigures | null;
}

function renderObserver({ observer, observerFigures }: WorldStatus): string {
  if (observer === undefined) return "";
  const { state, deaths, problem } = observer;
  const read =
    observerFigures === null
      ? ""
      : `${observerFigures.lines} lines of ${observerFigures.logs} logs, ${observerFigures.unread} bytes to read`;
  const trouble = [
    ...(deaths === 0 ? [] : [`started again ${deaths}×`]),
    ...(problem === undefined ? [] : [problem]),
  ].join(", ");
  return `${renderTable([["observer", state, [read, trouble].filter((text) => text !== "").join("; ")]])}\n`;
}

/** With the link that signs in only for a person at a terminal: other output may be kept. */
export function renderWorld(state: WorldState, kubeconfig: string, isTerminal: boolean): string {
  return renderTable([
    ...state.clusters.map(({ name, url, runtime, lost }) => [
      `cluster ${name}`,
      url,
      lost ? "lost" : runtime,
    ]),
    ["registry", `http://${state.registry}`, ""],
    ["edge", state.edge ?? "no routes configured", ""],
    ...(state.observer === undefined
      ? []
      : [["dashboard", shownDashboard(state, isTerminal) ?? "slipway dashboard", ""]]),
    ...[state.metrics, state.observer?.metrics].flatMap((url) =>
      url === undefined ? [] : [["metrics", url, "bearer token: .slipway/metrics/token"]],
    ),
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
