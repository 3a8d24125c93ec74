/** The dashboard of a local world, served by the process that holds its warehouse. */

import { join } from "node:path";
import type { Clock, Random } from "@slipway/base";
import { newSecret } from "@slipway/base";
import type { ObserveConfig } from "../config/observe.ts";
import type { Config } from "../config/types.ts";
import type { Target } from "../release/model.ts";
import { worldPaths } from "../world/state.ts";
import type { Observer } from "./observer.ts";
import { pagesFolder } from "./pages/folder.ts";
import { type Pages, type PagesOptions, startPages } from "./pages/pages.ts";
import type { Rows } from "./pages/rows.ts";
import { releaseContext, rollBackOf } from "./release-context.ts";
import { readRememberedPages, rememberPages } from "./remembered-pages.ts";

export interface WorldPagesOptions extends Pick<PagesOptions, "alerts" | "queries" | "use"> {
  readonly config: Config;
  readonly observe: ObserveConfig;
  readonly targets: readonly Target[];
  readonly observer: Observer;
  readonly rows: Rows;
  readonly clock: Clock;
  readonly random: Random;
  readonly env: NodeJS.ProcessEnv;
  readonly log: (line: string) => void;
}

export async function startWorldPages(
  options: WorldPagesOptions,
): Promise<Pages & { readonly token: string }> {
  const { config, observe, observer, log } = options;
  const { warehouse } = observer;
  const file = join(worldPaths(config.root).observe, "pages.json");
  const last = await readRememberedPages(file);
  const token = last?.token ?? newSecret();
  const sources = [options.rows];
  const assets = pagesFolder(log);
  const start = (port: number): Promise<Pages> =>
    startPages({
      release: releaseContext(options),
      place: "world",
      rows: () => ({ sources, nothing: "" }),
      onCommit: (listener) => warehouse.onCommit(listener),
      alerts: options.alerts,
      use: options.use,
      queries: options.queries,
      rollBack: rollBackOf(options, log),
      token,
      host: observe.dashboard.host,
      names: observe.dashboard.names,
      port,
      assets,
      log,
    });
  const wanted = observe.dashboard.port;
  // Last time's port is only a wish; one that the configuration names is not.
  const pages =
    wanted === 0 && last !== undefined ? await start(last.port).catch(() => start(0)) : await start(wanted);
  await rememberPages(file, { port: pages.port, token });
  return { ...pages, token };
}
