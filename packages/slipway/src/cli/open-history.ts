/** Whom to ask for what is stored: the observer of the running local world, or the collectors of the clusters. */
import type { Config } from "../config/types.ts";
import type { Target } from "../release/model.ts";
import type { CliContext } from "./command.ts";
import type { LogHistory } from "./log-history.ts";
import type { Project } from "./project.ts";

/** Empty where nothing is stored. */
export async function openHistory(
  context: CliContext,
  project: Project,
  targets?: readonly Target[],
): Promise<readonly LogHistory[]> {
  const { config, paths } = project;
  if (!config.isLocal) {
    const { targetsOf } = await import("./compose.ts");
    return collectorsOf(context, config, targets ?? (await targetsOf(context, project)));
  }
  const { observerBeside } = await import("./local/observer.ts");
  const { callWorld } = await import("../world/control.ts");
  const control = (await observerBeside(paths, context))?.control;
  if (control === undefined) return [];
  return [
    {
      name: "world",
      query(sql, parameters, { maxRows, timeoutMs = 30_000, signal } = {}) {
        const body = { sql, parameters, maxRows, timeoutMs };
        // A little longer, so that who is asked can say why.
        return callWorld({ control }, "query", body, timeoutMs + 5_000, signal);
      },
    },
  ];
}

/** A cluster without a collector, or whose collector may not be reached with these rights, has nothing to say. */
async function collectorsOf(
  context: CliContext,
  { name: service, namespace, observe }: Config,
  targets: readonly Target[],
): Promise<readonly LogHistory[]> {
  if (observe === undefined) return [];
  const { reachCollector } = await import("../observer/reach-collector.ts");
  const found = await Promise.all(
    targets.map(({ name, client }) =>
      reachCollector(name, client, { namespace, service }).catch((error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        context.writeError(`${name}: no stored lines: ${why}\n`);
        return undefined;
      }),
    ),
  );
  return found.filter((one) => one !== undefined);
}
