import type { SlackConfig } from "../../config/types.ts";
import type { queriesToHand } from "../../observer/collector/queries.ts";
import type { SlackGiven } from "../../observer/install/secrets.ts";
import { type CommandDeclaration, dryRunOption, isSet, textOption } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "put a collector of logs and its agents into the clusters",
  description:
    "Builds one image with both programs, pushes it to the environment's registry, and applies a collector (one pod with a volume)\nand an agent for each node to the service's namespace. Doing it again brings them up to date; stored lines are kept.\nIt tells of alerts with SLACK_BOT_TOKEN or SLACK_WEBHOOK_URL, which go to a Secret; without them it keeps those that it has.",
  options: [
    { flags: "--cluster <name>", description: "only this cluster" },
    {
      flags: "--base <image>",
      description: "base image with Node 24; default: this machine's Node, where the environment allows it",
    },
    { flags: "--storage <size>", description: "size of the collector's volume", default: "20Gi" },
    { flags: "--storage-class <name>", description: "class of the volume; default: the cluster's" },
    { flags: "--ephemeral", description: "no volume: stored lines go with the collector's pod" },
    {
      flags: "--without-releases",
      description:
        "the collector may not read Secrets, where release records are; lines then have the image's tag and no release number",
    },
    dryRunOption,
  ],
  examples: [
    "slipway observe install --env production --base docker.io/library/node:24-bookworm-slim",
    "slipway observe install --env production --dry-run > observe.yaml",
  ],
  async run(context, input) {
    const { inEach, observedTargets } = await import("./targets.ts");
    const { install, plannedObjects } = await import("../../observer/install/install.ts");
    const { stringify } = await import("../yaml.ts");
    const { project, observe, targets } = await observedTargets(context, input);
    const { handedOver } = await import("../../observer/collector/input.ts");
    const { missingForSlack } = await import("../../notify/notify.ts");
    const { name: service, environment, namespace, notify } = project.config;
    const slack = slackGiven(notify.slack);
    const missing = missingForSlack(notify.slack);
    if (slack !== undefined && missing !== undefined)
      context.writeError(`warning: Slack is not told: ${missing}\n`);
    const queries = await scheduledQueries(project.config.root);
    const wishFor = (cluster: string, image: string) => ({
      collector: {
        ...{ service, environment, namespace, cluster },
        readsReleases: !isSet(input, "withoutReleases"),
        observe: handedOver(observe),
        queries,
      },
      slack,
      image,
      storage: isSet(input, "ephemeral") ? undefined : textOption(input, "storage"),
      storageClass: textOption(input, "storageClass"),
    });
    const { pushObserveImage, tagOfImage } = await import("./image.ts");
    if (isSet(input, "dryRun")) {
      const image = await tagOfImage(context, project);
      for (const { name } of targets) {
        const objects = plannedObjects(wishFor(name, image));
        if (isSet(input, "json")) context.write(`${JSON.stringify({ cluster: name, objects })}\n`);
        else context.write(`# ${name}\n${objects.map((object) => `---\n${stringify(object)}`).join("")}`);
      }
      return 0;
    }
    const say = (line: string): void => {
      if (isSet(input, "json")) context.write(`${JSON.stringify({ step: "observe", text: line })}\n`);
      else context.write(`${line}\n`);
    };
    const image = await pushObserveImage(context, project, textOption(input, "base"), say);
    const { clock, signal } = context;
    return inEach(context, targets, async ({ name, client }) => {
      const sayOf = (line: string): void => say(`${name}: ${line}`);
      await install({ client, clock, signal, say: sayOf }, wishFor(name, image));
    });
  },
};

async function scheduledQueries(root: string): Promise<ReturnType<typeof queriesToHand>> {
  const { loadQueries } = await import("../../observe/queries/load.ts");
  const { queriesToHand: handed } = await import("../../observer/collector/queries.ts");
  const { readFile } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const library = await loadQueries(root);
  const texts = new Map<string, string>();
  for (const { name, file, schedule } of library.queries)
    if (schedule !== undefined) texts.set(name, await readFile(join(root, file), "utf8"));
  return handed(library, ({ name }) => texts.get(name) ?? "");
}

/** Without what `slipway serve` alone needs: a collector has no buttons. */
function slackGiven(slack: SlackConfig | undefined): SlackGiven | undefined {
  if (slack?.botToken === undefined && slack?.webhookUrl === undefined) return undefined;
  const { apiUrl, botToken, channel, mentions, webhookUrl } = slack;
  return {
    place: { channel: channel ?? null, mentions: { ...mentions }, apiUrl: apiUrl ?? null },
    secrets: {
      ...(botToken === undefined ? {} : { "slack-bot-token": botToken }),
      ...(webhookUrl === undefined ? {} : { "slack-webhook-url": webhookUrl }),
    },
  };
}
