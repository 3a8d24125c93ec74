import { type CommandDeclaration, isSet, textOption } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "import existing log files into the warehouse",
  description:
    "Reads log files into the warehouse of the local world, plain or compressed (gzip, zstd), so that they can be queried\nlike what was collected. Each line is stored once: the same file again adds nothing, whatever it is called now, one that has\ngrown adds what is new, and an interrupted import goes on where it was.",
  arguments: [
    { flags: "<files...>", description: "access logs, application logs, or containers' log files" },
  ],
  options: [
    {
      flags: "--service <name>",
      description: "whose lines they are; default: the service of the configuration",
    },
    {
      flags: "--format <format>",
      description: "nginx's log_format, or one of its names; default: found by looking",
    },
    { flags: "--release <number>", description: "the release that wrote them" },
    { flags: "--cluster <name>", description: "the cluster that they are from" },
  ],
  examples: [
    "slipway logs import access.log access.log.*.gz",
    "slipway logs import --service web --format '$remote_addr [$time_local] \"$request\" $status $body_bytes_sent $request_time' old.log",
  ],
  async run(context, input) {
    const { openProject } = await import("../project.ts");
    const { importLogs } = await import("../import-logs.ts");
    const project = await openProject(context, input);
    const isJson = isSet(input, "json");
    const { importedText } = await import("../import-logs.ts");
    await importLogs(context, project, {
      files: input.arguments,
      service: textOption(input, "service") ?? project.config.name,
      cluster: textOption(input, "cluster") ?? "",
      release: releaseOf(textOption(input, "release")),
      format: textOption(input, "format"),
      onFile: (imported) =>
        context.write(isJson ? `${JSON.stringify(imported)}\n` : `${importedText(imported)}\n`),
    });
    return 0;
  },
};

function releaseOf(text: string | undefined): number {
  return text === undefined ? 0 : Number(text);
}
