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
  return [
    {
      name: "world",
      query(sql, parameters, { maxRows, timeoutMs = 30_000 } = {}) {
        const body = { sql, parameters, maxRows, timeoutMs };
        // A little longer, so that who is asked can say why.
        return callWorld({ control }, "query", body, timeoutMs + 5_000);
      },
    },
  ];
}
