/** `slipway dashboard`: the pages for clusters that this machine reaches. */
import { spawn } from "node:child_process";
import { BlockList, isIP } from "node:net";
import { newSecret, SlipwayError } from "@slipway/base";
import { type ClusterAlerts, clusterAlerts } from "../observer/pages/cluster-alerts.ts";
import { useFrom } from "../observer/pages/clusters/prometheus-use.ts";
import { type Collectors, findCollectors, type ReachCollector } from "../observer/pages/collectors.ts";
import { pagesFolder } from "../observer/pages/folder.ts";
import { startPages } from "../observer/pages/pages.ts";
import type { RollBack } from "../observer/pages/ports.ts";
import { createQueries } from "../observer/queries.ts";
import { collectorIn, reachCollector } from "../observer/reach-collector.ts";
import type { Target } from "../release/model.ts";
import { createDeeds } from "../server/deeds.ts";
import { type CliContext, type CommandInput, isSet } from "./command.ts";
import { registryClientOf, releaseContextOf, targetsOf } from "./compose.ts";
import { dashboardOf } from "./local/dashboard.ts";
import { observerBeside } from "./local/observer.ts";
import { openProject, type Project, requireWorld } from "./project.ts";
import { outputOf } from "./steps.ts";
import { tellingOf } from "./telling.ts";

export interface DashboardWish {
  readonly port: string | undefined;
  readonly host: string | undefined;
  readonly names: readonly string[];
  readonly opens: boolean;
}

export async function serveDashboard(
  context: CliContext,
  input: CommandInput,
  wish: DashboardWish,
): Promise<number> {
  const port = portOf(wish.port ?? "0");
  const host = wish.host ?? "127.0.0.1";
  const project = await openProject(context, input);
  const output = outputOf(context, isSet(input, "json"));
  const tell = (url: string, link: string, more: string): void => {
    output.emit({ step: "dashboard", url, link });
    output.say(
      `The dashboard of ${project.config.name} (${project.config.environment}):\n\n  ${link}\n\n${more}`,
    );
    if (wish.opens) openInBrowser(link);
  };
  const world = project.config.isLocal ? await requireWorld(project) : undefined;
  const running =
    world === undefined ? undefined : dashboardOf({ observer: await observerBeside(project.paths, context) });
  if (running !== undefined) {
    if (wish.port !== undefined || wish.host !== undefined || wish.names.length > 0)
      throw servedAlready(running.url);
    tell(running.url, running.link, "It is served as long as the local world runs.");
    return 0;
  }
  const log = (message: string): void => {
    const at = new Date(context.clock.now()).toISOString();
    output.emit({ at, step: "dashboard", message });
    output.say(`${at} ${message}`);
  };
  if (!isLoopback(host)) {
    log(
      `warning: everybody who reaches ${host} can ask for the dashboard, over plain HTTP; the token is all that protects it`,
    );
  }
  const targets = await targetsOf(context, project);
  const collectors =
    project.config.isLocal || project.config.observe === undefined
      ? undefined
      : await findCollectors(
          targets.map(({ name }) => name),
          reachIn(project, targets),
          context.clock,
        );
  const alerts = collectors === undefined ? undefined : alertsIn(project, targets, context);
  const rows = (): ReturnType<Collectors["rows"]> =>
    collectors?.rows() ?? { sources: [], nothing: nothingCollected(project) };
  const queries = createQueries({
    root: project.config.root,
    clock: context.clock,
    sources: () => rows().sources,
  });
  const pages = await startPages({
    release: releaseContextOf(context, project, targets),
    place: project.config.isLocal ? "world" : "clusters",
    rows,
    alerts,
    queries,
    use: useFrom(project.config.observe, context.env),
    rollBack: rollBackOf(context, project, log),
    token: tokenOf(context),
    host,
    port,
    names: wish.names,
    assets: pagesFolder(log),
    log,
  });
  tell(pages.url, pages.link, "Ctrl-C ends it.");
  if (!context.signal.aborted) {
    await new Promise((resolve) => context.signal.addEventListener("abort", resolve, { once: true }));
  }
  await pages.close();
  collectors?.close();
  alerts?.close();
  await Promise.allSettled(targets.map(({ client }) => client.close()));
  return 0;
}

function nothingCollected({ config }: Project): string {
  if (config.observe === undefined) return "observe is false in the configuration: nothing is collected";
  return "the observer of the local world does not run: see slipway local status";
}

function reachIn({ config }: Project, targets: readonly Target[]): ReachCollector {
  const { name: service, namespace } = config;
  return async (cluster) => {
    const target = targets.find(({ name }) => name === cluster);
    return target === undefined ? undefined : reachCollector(cluster, target.client, { namespace, service });
  };
}

function alertsIn({ config }: Project, targets: readonly Target[], { clock }: CliContext): ClusterAlerts {
  const place = { namespace: config.namespace, service: config.name };
  return clusterAlerts(
    targets.map(({ name, client }) => collectorIn(name, client, place)),
    clock,
  );
}

function servedAlready(url: string): SlipwayError {
  return new SlipwayError({
    code: "USAGE_DASHBOARD",
    where: "slipway dashboard",
    message: `that of the local world is served already, at ${url}`,
    hint: "Set observe.dashboard.port, host or names in slipway.config.ts, and start the world again.",
    exitCode: 2,
  });
}

function portOf(text: string): number {
  const port = Number(text);
  if (text !== "" && Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw new SlipwayError({
    code: "USAGE_PORT",
    where: `--port ${text}`,
    message: "should be a number from 0 to 65535",
    exitCode: 2,
  });
}

/** One that is chosen outlives a restart, and with it every session. */
function tokenOf({ env }: CliContext): string {
  const chosen = env["SLIPWAY_DASHBOARD_TOKEN"];
  if (chosen === undefined || chosen === "") return newSecret();
  if (chosen.length >= 16) return chosen;
  throw new SlipwayError({
    code: "USAGE_TOKEN",
    where: "SLIPWAY_DASHBOARD_TOKEN",
    message: "should have at least 16 characters",
    exitCode: 2,
  });
}

/** With clients made anew: those of the pages live on meanwhile, and a release ends its own. */
function rollBackOf(context: CliContext, project: Project, log: (message: string) => void): RollBack {
  const deeds = createDeeds({
    from: "dashboard",
    clock: context.clock,
    log: ({ message }) => log(message),
    telling: () => tellingOf(context, project, { write: log, onWarning: log }),
    withRelease: async (work) => {
      const registry = registryClientOf(context, project);
      const targets = await targetsOf(context, project);
      try {
        return await work(releaseContextOf(context, project, targets, registry));
      } finally {
        await Promise.allSettled([registry.close(), ...targets.map(({ client }) => client.close())]);
      }
    },
  });
  const { name: service, environment } = project.config;
  return ({ leaves, to }, who, signal) =>
    deeds.rollBack({ on: { service, environment, number: leaves }, to }, who, signal);
}

function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  const loopback = new BlockList();
  loopback.addSubnet("127.0.0.0", 8, "ipv4");
  loopback.addAddress("::1", "ipv6");
  const family = isIP(host);
  return family !== 0 && loopback.check(host, family === 6 ? "ipv6" : "ipv4");
}

/** That no browser opens is no failure: the link is printed. */
function openInBrowser(link: string): void {
  const program = process.platform === "darwin" ? "open" : "xdg-open";
  const child = spawn(program, [link], { stdio: "ignore", detached: true });
  child.on("error", () => undefined);
  child.unref();
}
