import { setMaxListeners } from "node:events";
import type { Clock } from "@slipway/base";
import type { SandboxProject } from "../../verify/engines/sandbox/project.ts";
import {
  type CliContext,
  type CommandDeclaration,
  type CommandInput,
  isSet,
  optionWords,
  textOption,
} from "../command.ts";
import type { BackgroundPaths } from "./detach.ts";
import { fileOptions } from "./options.ts";
import type { Printer } from "./printer.ts";

export const command: CommandDeclaration = {
  summary: "build and run the services of a Compose file, without Docker",
  description:
    "Builds the images, starts the services in the sandbox of this machine by their depends_on, and shows their logs until Ctrl-C.\nPublished ports are open on 127.0.0.1. Where the project has a slipway.config.ts, the bases of its environment count. A part of the Compose Specification is understood; the rest is refused by name.",
  runsUntilStopped: true,
  options: [
    ...fileOptions,
    { flags: "--deadline <duration>", description: "for all services to be ready", default: "60s" },
    { flags: "--grace <duration>", description: "at most this long for a service to stop" },
    { flags: "-d, --detach", description: "return when it is ready; `slipway compose down` stops it" },
  ],
  examples: ["slipway compose up", "slipway compose up -f compose.yaml -f compose.dev.yaml --profile debug"],
  async run(context, input) {
    const { parseDuration, writeAtomic } = await import("@slipway/base");
    const { join } = await import("node:path");
    const { outputOf } = await import("../steps.ts");
    const { buildProject } = await import("../../verify/compose/images.ts");
    const { composePaths, loadComposeProject } = await import("./options.ts");
    const { createPrinter } = await import("./printer.ts");
    const { composeBuildOf, sandboxEngineOf } = await import("../compose.ts");
    const { basesOf } = await import("./bases.ts");
    const deadlineMs = parseDuration(textOption(input, "deadline") ?? "60s", "--deadline");
    const graceText = textOption(input, "grace");
    const graceMs = graceText === undefined ? undefined : parseDuration(graceText, "--grace");

    const loaded = await loadComposeProject(context, input);
    const paths = composePaths(loaded);
    const output = outputOf(context, isSet(input, "json"));
    if (isSet(input, "detach")) return detach(context, input, paths);
    const bases = await basesOf(context, input);
    for (const warning of loaded.warnings) context.writeError(`warning: ${warning}\n`);
    await writeAtomic(join(paths.root, ".gitignore"), "*\n");
    const names = loaded.project.services.map(({ name }) => name);
    const isColoured = context.isTerminal && context.env["NO_COLOR"] === undefined;
    const printer = createPrinter(output, names, { isColoured });

    const engine = await sandboxEngineOf(context, paths);
    await engine.sweep();
    engine.prepare();
    try {
      const build = await composeBuildOf(context, loaded, paths.layout, bases);
      const spec = await buildProject(loaded.project, {
        ...build,
        onProgress: (event) => {
          if (event.kind === "built") printer.tell("built", `built ${event.image}`, { ...event });
          if (event.kind === "warning") context.writeError(`warning: ${event.image}: ${event.message}\n`);
        },
      }).finally(() => build.registry.close());
      context.signal.throwIfAborted();
      return await serve(context, await engine.createProject(spec), printer, { deadlineMs, graceMs });
    } catch (error) {
      throw await namingOwnRun(error, paths.runs);
    } finally {
      await engine.close();
    }
  },
};

/** A port may be taken by this very project in another terminal, or in the background, where it is easily forgotten. */
async function namingOwnRun(error: unknown, runs: string): Promise<unknown> {
  const { SlipwayError } = await import("@slipway/base");
  if (!(error instanceof SlipwayError) || error.code !== "ENGINE_PORT_TAKEN") return error;
  const { livingRuns } = await import("../../verify/engines/sandbox/runs.ts");
  const other = (await livingRuns(runs)).find(({ pid }) => pid !== process.pid);
  if (other === undefined) return error;
  const { code, where, message, exitCode } = error;
  const hint = `This project is running already (process ${other.pid}): slipway compose down stops it.`;
  return new SlipwayError({
    ...{ code, message, hint, cause: error },
    ...(where === undefined ? {} : { where }),
    ...(exitCode === undefined ? {} : { exitCode }),
  });
}

async function detach(context: CliContext, input: CommandInput, paths: BackgroundPaths): Promise<number> {
  const { upInBackground } = await import("./detach.ts");
  const { composeWords } = await import("./options.ts");
  const { relative } = await import("node:path");
  const isJson = isSet(input, "json");
  const words = [
    ...["compose", "up", ...composeWords(input), ...optionWords(input, ["deadline", "grace"])],
    ...(isJson ? ["--json"] : []),
  ];
  const code = await upInBackground(context, words, paths);
  if (code === 0 && !isJson)
    context.write(
      `it goes on in the background; its lines are in ${relative(context.cwd, paths.log)}, and slipway compose down stops it\n`,
    );
  return code;
}

/** From the first start to the last stop. */
async function serve(
  context: CliContext,
  project: SandboxProject,
  printer: Printer,
  limits: { readonly deadlineMs: number; readonly graceMs: number | undefined },
): Promise<number> {
  const { formatDuration } = await import("@slipway/base");
  const { bringUp, upError } = await import("../../verify/compose/run.ts");
  const { bringDown } = await import("../../verify/compose/down.ts");
  const { tellReady } = await import("./detach.ts");
  const { clock, signal } = context;
  const names = project.spec.services.map(({ name }) => name);
  const shown = new AbortController();
  setMaxListeners(0, shown.signal, signal); // several for each service, and there may be many
  const counted = new LineCounts();
  const logs = names.flatMap((name) =>
    STREAMS.map((stream) =>
      follow(project, name, stream, shown.signal, (line) => {
        printer.log(name, stream, line);
        counted.add(name, stream);
      }),
    ),
  );
  try {
    const result = await bringUp(project, { clock, deadlineMs: limits.deadlineMs, signal });
    if (result.kind === "failed") throw upError(result);
    await showWhatEnded(project, counted, clock);
    const published = await publishedBy(project, names);
    const addresses = published.map(({ service, url }) => `\n  ${service}  ${url}`).join("");
    const { tookMs } = result;
    printer.tell("ready", `ready in ${formatDuration(tookMs)}${addresses}`, { tookMs, published });
    tellReady();
    return await allEnded(project, names, context, printer);
  } finally {
    await bringDown(project, {
      graceMs: limits.graceMs,
      onStopped: (stopped) => {
        const text = `stopped ${stopped.service}${stopped.wasKilled ? " (killed)" : ""}`;
        printer.tell("stopped", text, { ...stopped });
      },
    });
    shown.abort();
    await Promise.all(logs);
  }
}

const STREAMS = ["stdout", "stderr"] as const;
type Stream = (typeof STREAMS)[number];

async function follow(
  project: SandboxProject,
  service: string,
  stream: Stream,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<void> {
  const text = new TextDecoder();
  for await (const line of project.container(service).follow(stream, signal))
    onLine(text.decode(line, { stream: true }).replace(/\n$/, ""));
}

/** How many lines of each service have been shown. */
class LineCounts {
  readonly #counts = new Map<string, number>();

  add(service: string, stream: Stream): void {
    this.#counts.set(`${service}/${stream}`, this.of(service, stream) + 1);
  }

  of(service: string, stream: Stream): number {
    return this.#counts.get(`${service}/${stream}`) ?? 0;
  }
}

/** For a log that is slow to be read; what is missing then comes later. */
const LAST_LINES_MS = 2_000;

/** Whoever waits in the background sees no line after "ready": what a migration said, which has ended, comes before it. */
async function showWhatEnded(project: SandboxProject, counted: LineCounts, clock: Clock): Promise<void> {
  const untilMs = clock.monotonic() + LAST_LINES_MS;
  for (const { name } of project.spec.services) {
    const container = project.container(name);
    if ((await container.state()).status !== "exited") continue;
    const written = await container.logs();
    for (const stream of STREAMS) {
      const lines = written[stream].split("\n").length - 1;
      while (counted.of(name, stream) < lines && clock.monotonic() < untilMs) await clock.sleep(10);
    }
  }
}

async function publishedBy(project: SandboxProject, names: readonly string[]) {
  const found = await Promise.all(
    names.map(async (service) =>
      (await project.container(service).published()).map(({ hostIp, hostPort, port, protocol }) => ({
        service,
        port,
        url: `${protocol === "udp" ? "udp" : "http"}://${hostIp.includes(":") ? `[${hostIp}]` : hostIp}:${hostPort}`,
      })),
    ),
  );
  return found.flat();
}

/** Until the person has enough, or nothing is left that runs or will run again. */
async function allEnded(
  project: SandboxProject,
  names: readonly string[],
  context: CliContext,
  printer: Printer,
): Promise<number> {
  const codes = await Promise.all(
    names.map(async (name) => {
      const code = await project.container(name).ended(context.signal);
      if (code !== undefined)
        printer.tell("exited", `${name} exited with ${code}`, { service: name, exitCode: code });
      return code;
    }),
  );
  if (context.signal.aborted) return 130;
  return codes.every((code) => code === 0) ? 0 : 1;
}
