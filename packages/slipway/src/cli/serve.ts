import { type CommandDeclaration, dryRunOption, isSet, textOption } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "listen to Slack's buttons and send what the outbox holds",
  description:
    'Stays in the foreground. Takes presses of the buttons "Roll back" and "Hold" over Socket Mode (SLACK_APP_TOKEN) or\nover HTTP (SLACK_SIGNING_SECRET, behind a public URL), does what the command line does, and answers in the thread.\nSends messages that other commands could not send, and corrects those that are outdated.',
  options: [
    { flags: "--port <number>", description: "port for HTTP; 0 takes a free one", default: "3000" },
    { flags: "--host <address>", description: "address to listen on", default: "127.0.0.1" },
    dryRunOption,
  ],
  runsUntilStopped: true,
  examples: ["slipway serve --env production", "slipway serve --host 0.0.0.0 --port 8080 --json"],
  async run(context, input) {
    const { SlipwayError } = await import("@slipway/base");
    const { openProject } = await import("./project.ts");
    const { outputOf } = await import("./steps.ts");
    const { missingForSlack } = await import("../notify/notify.ts");
    const { tellingOf } = await import("./telling.ts");
    const { announcement, serve } = await import("../server/server.ts");
    const { serveFamilies } = await import("../server/metrics.ts");
    const { openLedger } = await import("../server/ledger.ts");
    const { createDeeds } = await import("../server/deeds.ts");
    const { registryClientOf, releaseContextOf, targetsOf } = await import("./compose.ts");
    const { join } = await import("node:path");
    const port = Number(textOption(input, "port"));
    if (!Number.isInteger(port) || port < 0 || port > 65535) {
      throw new SlipwayError({
        code: "USAGE_PORT",
        where: `--port ${textOption(input, "port")}`,
        message: "should be a number from 0 to 65535",
        exitCode: 2,
      });
    }
    const host = textOption(input, "host") ?? "127.0.0.1";
    const project = await openProject(context, input);
    const output = outputOf(context, isSet(input, "json"));
    const events = new Map<string, number>();
    const log = (entry: { readonly event: string; readonly message: string }): void => {
      events.set(entry.event, (events.get(entry.event) ?? 0) + 1);
      const at = new Date(context.clock.now()).toISOString();
      output.emit({ at, step: "serve", ...entry });
      output.say(`${at} ${entry.event}: ${entry.message}`);
    };
    const telling = tellingOf(context, project, {
      write: output.say,
      onWarning: (message) => log({ event: "warning", message }),
    });
    const { slack } = project.config.notify;
    if (slack === undefined || telling.kind === "printed") {
      throw new SlipwayError({
        code: "SERVE_NO_SLACK",
        where: "notify/slack",
        message: missingForSlack(slack) as string,
        hint:
          slack?.botToken === undefined
            ? "Set SLACK_BOT_TOKEN and notify.slack.channel; see docs/guide/slack.md."
            : "Add notify.slack.channel to slipway.config.ts.",
        exitCode: 2,
      });
    }
    const common = {
      service: project.config.name,
      environment: project.config.environment,
      slack,
      telling,
      host,
    };
    if (isSet(input, "dryRun")) {
      for (const entry of announcement(common, port)) log(entry);
      return 0;
    }
    const serving = await serve({
      ...common,
      port,
      log,
      clock: context.clock,
      ledger: openLedger(join(project.paths.root, "presses")),
      deeds: createDeeds({
        from: "slack",
        clock: context.clock,
        log,
        telling: () =>
          tellingOf(context, project, {
            write: output.say,
            onWarning: (message) => log({ event: "warning", message }),
          }),
        withRelease: async (work) => {
          const registry = registryClientOf(context, project);
          const targets = await targetsOf(context, project);
          try {
            return await work(releaseContextOf(context, project, targets, registry));
          } finally {
            await Promise.allSettled([registry.close(), ...targets.map(({ client }) => client.close())]);
          }
        },
      }),
    });
    const { exposition } = await import("../observe/prometheus/metrics.ts");
    const { processFamilies } = await import("../observe/prometheus/process.ts");
    const { serveMetrics } = await import("../observe/prometheus/serve.ts");
    const metrics = await serveMetrics({
      folder: project.paths.metrics,
      name: "serve",
      read: exposition([
        ...serveFamilies(() => telling.notifier.waiting(), events),
        ...processFamilies(process, context.clock.now()),
      ]),
      onProblem: (error) => log({ event: "warning", message: `metrics: ${String(error)}` }),
    });
    log({ event: "listening", message: `figures for Prometheus on ${metrics.url}` });
    if (!context.signal.aborted) {
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve, { once: true }));
    }
    log({ event: "stopping", message: "takes nothing new; lets what was begun end" });
    metrics.close();
    await serving.stop();
    return 0;
  },
};
