import type { Pod } from "@slipway/kube";
import { type CliContext, type CommandDeclaration, isSet, textOption } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "print the logs of the service's pods in all clusters",
  description:
    "Prints the logs of a Deployment's pods, or of all the service's pods, from every cluster of the environment, each line with its cluster and pod.",
  arguments: [{ flags: "[deployment]", description: "only the pods of this Deployment" }],
  options: [
    { flags: "-f, --follow", description: "go on printing as lines come, also from pods that start later" },
    { flags: "--tail <lines>", description: "start with this many lines of each pod", default: "20" },
    { flags: "--cluster <name>", description: "only this cluster" },
    { flags: "--previous", description: "the container before the last restart" },
  ],
  examples: ["slipway logs web", "slipway logs web -f --cluster osaka"],
  onlyPrints: true,
  async run(context, input) {
    const { openProject } = await import("./project.ts");
    const { targetsOf } = await import("./compose.ts");
    const { followLogs } = await import("./follow-logs.ts");
    const { SlipwayError } = await import("@slipway/base");
    const project = await openProject(context, input);
    const only = textOption(input, "cluster");
    const targets = (await targetsOf(context, project)).filter(
      ({ name }) => only === undefined || name === only,
    );
    if (targets.length === 0) {
      throw new SlipwayError({
        code: "USAGE_CLUSTER",
        where: `--cluster ${only}`,
        message: "no such cluster in this environment",
        hint: `Known: ${project.config.clusters.map(({ name }) => name).join(", ")}.`,
        exitCode: 2,
      });
    }
    const tail = Number(textOption(input, "tail"));
    if (!Number.isInteger(tail) || tail < 0)
      throw new SlipwayError({
        code: "USAGE_TAIL",
        where: "--tail",
        message: "should be a whole number",
        exitCode: 2,
      });
    const found = await followLogs({
      targets,
      namespace: project.config.namespace,
      service: project.config.name,
      deployment: input.arguments[0],
      follow: isSet(input, "follow"),
      previous: isSet(input, "previous"),
      tail,
      signal: context.signal,
      onLine: (line) => print(context, isSet(input, "json"), line),
    });
    if (found > 0 || context.signal.aborted)
      return context.signal.aborted && !isSet(input, "follow") ? 130 : 0;
    throw new SlipwayError({
      code: "LOGS_NO_PODS",
      where: input.arguments[0] ?? project.config.name,
      message: "has no pods in these clusters",
      hint: "See what is deployed with `slipway status`.",
      exitCode: 2,
    });
  },
};

function print(
  context: CliContext,
  json: boolean,
  line: { cluster: string; pod: Pod; container: string; text: string },
): void {
  const pod = line.pod.metadata.name;
  context.write(
    json
      ? `${JSON.stringify({ cluster: line.cluster, pod, container: line.container, line: line.text })}\n`
      : `${line.cluster} ${pod}  ${line.text}\n`,
  );
}
