/** Whom to ask for what is stored: the observer of the running local world. */
import type { CliContext } from "./command.ts";
import type { LogHistory } from "./log-history.ts";
import type { Project } from "./project.ts";

/** Empty where nothing is stored. */
export async function openHistory(
  _context: CliContext,
  { config, paths }: Project,
): Promise<readonly LogHistory[]> {
  if (!config.isLocal) return [];
  const { findWorld } = await import("../world/state.ts");
  const { callWorld } = await import("../world/control.ts");
  const world = await findWorld(paths);
  const control = world.kind === "running" ? world.state.observer?.control : undefined;
  if (control === undefined) return [];
  return [{ query: (sql, parameters) => callWorld({ control }, "query", { sql, parameters }) }];
}
