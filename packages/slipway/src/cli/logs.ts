import type { Target } from "../release/model.ts";
import {
  type CliContext,
  type CommandDeclaration,
  type CommandInput,
  isSet,
  releaseNumber,
  textOption,
} from "./command.ts";
import type { LogHistory } from "./log-history.ts";
import type { LogLine } from "./log-lines.ts";
import type { Project } from "./project.ts";

export const command: CommandDeclaration = {
  summary: "print the logs of the service's pods in all clusters",
  description:
    "Prints the logs of a Deployment's pods, or of all the service's pods, from every cluster of the environment, each line with its cluster and pod,\nin order of time. With --since or --release also what is stored of pods that are gone, where logs are stored.\nA cluster that does not answer is told, and costs no line of the others; without --follow the exit code is 3 then.",
  arguments: [{ flags: "[deployment]", description: "only the pods of this Deployment" }],
  options: [
    { flags: "-f, --follow", description: "go on printing as lines come, also from pods that start later" },
    {
      flags: "--tail <lines>",
      description: "start with this many lines of each pod; default: 20, and with --since or --release all",
    },
    { flags: "--since <duration>", description: "start with what was written in the last 10m, 2h, 1d" },
    { flags: "--release <number>", description: "only pods that this release made" },
    { flags: "--grep <expression>", description: "only lines that this regular expression matches" },
    { flags: "--cluster <name>", description: "only this cluster" },
    { flags: "--previous", description: "the container before the last restart" },
  ],
  examples: [
    "slipway logs web",
    "slipway logs web -f --cluster osaka",
    "slipway logs --release 12 --since 1h --grep 'error|timeout'",
  ],
  onlyPrints: true,
  async run(context, input) {
    const { openProject } = await import("./project.ts");
    const { targetsOf } = await import("./compose.ts");
    const { readPodLogs } = await import("./follow-logs.ts");
    const { inOrder, lastOf, olderThan } = await import("./log-lines.ts");
    const { renderError, SlipwayError } = await import("@slipway/base");
    const wish = await readWish(context, input);
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
    const deployment = input.arguments[0];
    const isFollowed = isSet(input, "follow");
    const wants = await podsOf(context, project, targets, wish.release);
    const logs = await readPodLogs({
      ...{ targets, wants, deployment, namespace: project.config.namespace, service: project.config.name },
      // Lines that do not match are none: how many there are is only known when all were read.
      ...{ tail: wish.grep === undefined ? wish.tail : undefined, sinceMs: wish.sinceMs },
      ...{ previous: isSet(input, "previous"), clock: context.clock, signal: context.signal },
      onProblem: (_cluster, error) => context.writeError(`${renderError(error)}\n`),
    });
    const matches = (line: LogLine): boolean => wish.grep?.test(line.text) !== false;
    const live = logs.lines.filter(matches);
    const asksHistory = wish.sinceMs !== undefined || wish.release !== undefined;
    const stored =
      asksHistory && !isSet(input, "previous")
        ? await historyOf(context, project, { ...wish, targets, deployment, cluster: only })
        : [];
    const print = await printer(context, isSet(input, "json"));
    for (const line of lastOf(inOrder([...olderThan(stored, live), ...live]), wish.tail)) print(line);
    let found = logs.pods;
    if (isFollowed && !context.signal.aborted)
      found += await followAll(context, logs, (line) => matches(line) && print(line));
    if (context.signal.aborted) return isFollowed ? 0 : 130;
    if (logs.away > 0) return 3;
    if (found > 0 || stored.length > 0) return 0;
    throw new SlipwayError({
      code: "LOGS_NO_PODS",
      where: deployment ?? project.config.name,
      message:
        wish.release === undefined
          ? "has no pods in these clusters"
          : `release ${wish.release} has no pods in these clusters, and none of its lines is stored`,
      hint: "See what is deployed with `slipway status`.",
      exitCode: 2,
    });
  },
};

interface Wish {
  readonly tail: number | undefined;
  readonly sinceMs: number | undefined;
  readonly release: number | undefined;
  readonly grep: RegExp | undefined;
}

async function readWish({ clock }: CliContext, input: CommandInput): Promise<Wish> {
  const { parseDuration, SlipwayError } = await import("@slipway/base");
  const usage = (code: string, where: string, message: string): Error =>
    new SlipwayError({ code, where, message, exitCode: 2 });
  const since = textOption(input, "since");
  const wanted = textOption(input, "release");
  const release = wanted === undefined ? undefined : releaseNumber(wanted);
  if (wanted !== undefined && release === undefined)
    throw usage("USAGE_RELEASE", "--release", "should be the number of a release");
  const isOpen = since !== undefined || release !== undefined;
  const lines = textOption(input, "tail");
  const tail = lines === undefined ? (isOpen ? undefined : 20) : Number(lines);
  if (tail !== undefined && (!Number.isInteger(tail) || tail < 0))
    throw usage("USAGE_TAIL", "--tail", "should be a whole number");
  const expression = textOption(input, "grep");
  let grep: RegExp | undefined;
  try {
    grep = expression === undefined ? undefined : new RegExp(expression);
  } catch (error) {
    throw usage("USAGE_GREP", "--grep", (error as Error).message);
  }
  const sinceMs = since === undefined ? undefined : clock.now() - parseDuration(since, "--since");
  return { tail, sinceMs, release, grep };
}

/** Whether a pod is of the release that was asked for, by the records in the clusters. */
async function podsOf(
  context: CliContext,
  project: Project,
  targets: Awaited<ReturnType<typeof import("./compose.ts")["targetsOf"]>>,
  release: number | undefined,
): Promise<Parameters<typeof import("./follow-logs.ts")["readPodLogs"]>[0]["wants"]> {
  if (release === undefined) return () => true;
  const { releaseContextOf } = await import("./compose.ts");
  const { PATIENT_MS, readKnowledge } = await import("../release/history/knowledge.ts");
  const { releaseFactsOf } = await import("../observer/records.ts");
  const { releaseOfPod } = await import("../observe/collect/pod-labels.ts");
  const { records } = await readKnowledge(releaseContextOf(context, project, targets), {
    patienceMs: PATIENT_MS,
  });
  const facts = releaseFactsOf(records);
  return (cluster, pod) => releaseOfPod(pod, cluster, facts).release === release;
}

/** What is stored; nothing, with a word about it, where it cannot be asked. */
async function historyOf(
  context: CliContext,
  project: Project,
  wish: Wish & {
    readonly targets: readonly Target[];
    readonly deployment: string | undefined;
    readonly cluster: string | undefined;
  },
): Promise<readonly LogLine[]> {
  const { openHistory } = await import("./open-history.ts");
  const { readHistory } = await import("./log-history.ts");
  const histories = await openHistory(context, project, wish.targets);
  const ask = async (history: LogHistory): Promise<readonly LogLine[]> => {
    try {
      return await readHistory(history, { ...wish, sinceMs: wish.sinceMs ?? 0, grep: wish.grep?.source });
    } catch (error) {
      context.writeError(`no stored lines: ${error instanceof Error ? error.message : String(error)}\n`);
      return [];
    }
  };
  return (await Promise.all(histories.map(ask))).flat();
}

const LOOK_EVERY_MS = 100;

async function followAll(
  { clock, signal }: CliContext,
  logs: { follow(onLine: (line: LogLine) => void): Promise<number> },
  onLine: (line: LogLine) => void,
): Promise<number> {
  const { Reorder } = await import("./log-lines.ts");
  const order = new Reorder<LogLine>();
  const over = new AbortController();
  const flushing = (async () => {
    while (!over.signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, over.signal).catch(() => {});
      for (const line of order.take(clock.monotonic())) onLine(line);
    }
  })();
  try {
    return await logs.follow((line) => {
      if (!signal.aborted) order.add(line, clock.monotonic());
    });
  } finally {
    over.abort();
    await flushing;
    for (const line of order.take(Number.POSITIVE_INFINITY)) onLine(line);
  }
}

async function printer(context: CliContext, isJson: boolean): Promise<(line: LogLine) => void> {
  const { renderLine } = await import("./log-lines.ts");
  const isColoured = context.isTerminal && !context.env["NO_COLOR"];
  return (line) => {
    const { cluster, pod, container, at, text } = line;
    const time = new Date(at).toISOString();
    context.write(
      isJson
        ? `${JSON.stringify({ cluster, pod, container, time, line: text })}\n`
        : `${renderLine(line, isColoured)}\n`,
    );
  };
}
