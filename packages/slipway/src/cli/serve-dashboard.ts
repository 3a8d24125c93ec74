/** `slipway dashboard`: the pages for clusters that this machine reaches. */
import { spawn } from "node:child_process";
import { BlockList, isIP } from "node:net";
import { fileURLToPath } from "node:url";
import { SlipwayError } from "@slipway/base";
import { startPages } from "../observer/pages/pages.ts";
import type { RollBack } from "../observer/pages/ports.ts";
import { newToken } from "../observer/pages/token.ts";
import { createDeeds } from "../server/deeds.ts";
import { type CliContext, type CommandInput, isSet } from "./command.ts";
import { registryClientOf, releaseContextOf, targetsOf } from "./compose.ts";
import { openProject, type Project } from "./project.ts";
import { outputOf } from "./steps.ts";
import { tellingOf } from "./telling.ts";

export interface DashboardWish {
  readonly port: string;
  readonly host: string;
  readonly names: readonly string[];
  readonly opens: boolean;
}

/** Where the built pages are, beside these sources. */
export const PAGES_FOLDER = fileURLToPath(new URL("../../../dashboard/dist", import.meta.url));

export async function serveDashboard(
  context: CliContext,
  input: CommandInput,
  wish: DashboardWish,
): Promise<number> {
  const port = portOf(wish.port);
  const project = await openProject(context, input);
  const output = outputOf(context, isSet(input, "json"));
  const log = (message: string): void => {
    const at = new Date(context.clock.now()).toISOString();
    output.emit({ at, step: "dashboard", message });
    output.say(`${at} ${message}`);
  };
  if (!isLoopback(wish.host)) {
    log(
      `warning: everybody who reaches ${wish.host} can ask for the dashboard, over plain HTTP; the token is all that protects it`,
    );
  }
  const targets = await targetsOf(context, project);
  const pages = await startPages({
    release: releaseContextOf(context, project, targets),
    place: project.config.isLocal ? "world" : "clusters",
    rows: () => ({ sources: [], nothing: "no requests or logs are collected here" }),
    rollBack: rollBackOf(context, project, log),
    token: tokenOf(context),
    host: wish.host,
    port,
    names: wish.names,
    assets: PAGES_FOLDER,
    log,
  });
  const { link, url } = pages;
  output.emit({ step: "dashboard", url, link });
  output.say(
    `The dashboard of ${project.config.name} (${project.config.environment}):\n\n  ${link}\n\nCtrl-C ends it.`,
  );
  if (wish.opens) openInBrowser(link);
  if (!context.signal.aborted) {
    await new Promise((resolve) => context.signal.addEventListener("abort", resolve, { once: true }));
  }
  await pages.close();
  await Promise.allSettled(targets.map(({ client }) => client.close()));
  return 0;
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
  if (chosen === undefined || chosen === "") return newToken();
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
