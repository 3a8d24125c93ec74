/**
 * How long until somebody knows: the same failures on a real Kubernetes, deployed by Slipway's release engine and, in a
 * namespace beside it in the same minute, by `kubectl apply` and `kubectl rollout status` with its own patience. Time is
 * counted from the decisive signal of the case (corpus/README.md), which each namespace shows for itself.
 *
 * One case of each cause that a rollout of one Deployment can show within a minute. Preflight, which would refuse some of
 * them before anything is changed, is asked first and then switched off, so that the judge is what is measured.
 *
 * Needs SLIPWAY_REAL_KUBERNETES (see corpus/README.md) and kubectl. Writes results/causes.md when all cases ran; exits 1
 * when a cause is wrong or the median is above its goal.
 *
 *   node bench/causes.bench.ts [cases, all] [patience of kubectl as for --timeout; without it the Deployment's deadline]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { casesFor, type Ran, runCase, taking } from "../corpus/running.ts";
import { exec, formatDuration, renderTable, systemClock, writeAtomic } from "../packages/base/src/index.ts";
import type { AnyObject } from "../packages/kube/src/index.ts";
import { type CorpusCase, loadCases, loadObjects } from "../packages/slipway/src/corpus/case.ts";
import { quantile } from "../packages/slipway/src/corpus/score.ts";
import { type SignalWatch, watchSignal } from "../scripts/corpus/signal-watch.ts";
import { openStage, type Stage } from "../scripts/corpus/stage.ts";
import { openRealCluster, type RealCluster } from "../scripts/corpus/surroundings.ts";
import { watchCluster } from "../scripts/corpus/watch.ts";

const AT_A_TIME = 2;
const MEDIAN_AT_MOST_MS = 10_000;
const most = Number(process.argv[2] ?? Number.POSITIVE_INFINITY);
/** `90s`; undefined: the progressDeadlineSeconds of the Deployment, 600 where it says nothing. */
const patience: string | undefined = process.argv[3];
const clock = systemClock;

/** One way of deploying one case. */
interface Told {
  /** From the decisive signal; undefined when it was not seen before the end. */
  readonly afterSignalMs: number | undefined;
  readonly said: string;
  /** Of Slipway: the cause and container of the case; of kubectl: that it failed at all. */
  readonly isRight: boolean;
}

interface Row {
  readonly one: CorpusCase;
  readonly ours: Told;
  readonly kubectl: Told;
  readonly preflight: string | undefined;
}

if (process.env["SLIPWAY_REAL_KUBERNETES"] === undefined) {
  console.error("causes: NOT MEASURED, SLIPWAY_REAL_KUBERNETES is not set: there is no real Kubernetes");
} else {
  const cluster = await openRealCluster(process.env);
  try {
    await measure(cluster);
  } finally {
    await cluster.close();
  }
}

async function measure(cluster: RealCluster): Promise<void> {
  const all = await oneOfEachCause();
  const cases = all.slice(0, most);
  const inTurn = taking<Begun>(AT_A_TIME);
  const rows = await Promise.all(
    cases.map(async (one): Promise<Row> => {
      // kubectl waits on when its turn is over: waiting disturbs nobody.
      const { waiting, ...mine } = await inTurn(() => bothWays(one, cluster));
      return { one, ...mine, kubectl: await waiting };
    }),
  );
  const page = await render(rows, cluster);
  console.log(page.text);
  if (cases.length === all.length && patience === undefined)
    await writeAtomic(join(import.meta.dirname, "results/causes.md"), page.text);
  process.exitCode = page.isMet ? 0 : 1;
}

interface Begun {
  readonly ours: Told;
  readonly preflight: string | undefined;
  readonly waiting: Promise<Told>;
}

async function bothWays(one: CorpusCase, cluster: RealCluster): Promise<Begun> {
  const broken = (error: unknown): Told => ({
    afterSignalMs: undefined,
    said: String(error),
    isRight: false,
  });
  const begun = await beginKubectl(one, cluster).catch((error: unknown) => ({
    ended: Promise.resolve(broken(error)),
  }));
  const waiting = begun.ended.catch(broken);
  const mine = await bySlipway(one, cluster).catch((error: unknown) => ({
    ours: broken(error),
    preflight: undefined,
  }));
  console.log(`${one.id}: ${secondsText(mine.ours.afterSignalMs)} ${mine.ours.said}`);
  return { ...mine, waiting };
}

/** The first by name of each cause. */
async function oneOfEachCause(): Promise<readonly CorpusCase[]> {
  const chosen = new Map<string, CorpusCase>();
  for (const one of casesFor(await loadCases(join(import.meta.dirname, "../corpus")), "real")) {
    const { expect, decisive, recorded, hook, steps } = one;
    if (expect.verdict !== "failed" || recorded !== "real" || hook !== undefined) continue;
    if (decisive === undefined || "refused" in decisive || "applied" in decisive) continue;
    if (steps.some((step) => step.do !== "webhook")) continue;
    const workloads = (await loadObjects(one)).after.filter(({ spec }) => hasTemplate(spec));
    const isOneDeployment = workloads.length === 1 && workloads[0]?.kind === "Deployment";
    if (isOneDeployment && !chosen.has(expect.cause)) chosen.set(expect.cause, one);
  }
  return [...chosen.values()];
}

function hasTemplate(spec: unknown): boolean {
  return typeof spec === "object" && spec !== null && "template" in spec;
}

interface Scene {
  readonly stage: Stage;
  readonly signal: SignalWatch;
  /** Takes the case's steps before the apply; those after it go on by themselves. */
  begin(): Promise<void>;
  close(): Promise<void>;
}

async function openScene(one: CorpusCase, cluster: RealCluster): Promise<Scene> {
  const stage = await openStage(one, cluster);
  const signal = watchSignal(one, clock);
  const { client } = cluster;
  const { namespace } = stage;
  const watcher = await watchCluster({ client, namespace, clock, onObject: signal.see });
  const stop = new AbortController();
  let steps: Promise<void> | undefined;
  return {
    stage,
    signal,
    begin: async () => {
      await stage.prepare();
      steps = stage.play(signal.begin(), stop.signal);
      steps.catch(() => undefined);
    },
    close: async () => {
      stop.abort();
      await steps?.catch(() => undefined);
      await watcher.close();
      await stage.tearDown();
    },
  };
}

function sinceSignal({ signal }: Scene, at: number): number | undefined {
  const seenAt = signal.seenAt();
  return seenAt === undefined ? undefined : Math.max(0, at - seenAt);
}

async function bySlipway(
  one: CorpusCase,
  cluster: RealCluster,
): Promise<{ readonly ours: Told; readonly preflight: string | undefined }> {
  const scene = await openScene(one, cluster);
  try {
    const { namespace, objects } = scene.stage;
    let verdictAt: number | undefined;
    const ran = await runCase({
      one,
      client: cluster.client,
      namespace,
      before: objects.before,
      after: objects.after,
      onChange: scene.begin,
      onEvent: ({ type }) => {
        if (type === "verdict") verdictAt ??= clock.now();
      },
    });
    const afterSignalMs = verdictAt === undefined ? undefined : sinceSignal(scene, verdictAt);
    return { ours: { afterSignalMs, ...whatSlipwaySaid(one, ran) }, preflight: ran.preflight };
  } finally {
    await scene.close();
  }
}

function whatSlipwaySaid({ expect }: CorpusCase, ran: Ran): Pick<Told, "said" | "isRight"> {
  const cause = ran.result?.clusters[0]?.cause;
  if (cause === undefined)
    return { said: ran.refusal?.message ?? `${ran.result?.record.outcome}`, isRight: false };
  const isRight =
    expect.verdict === "failed" &&
    cause.code === expect.cause &&
    (expect.container === undefined || cause.object.container === expect.container);
  return { said: `${cause.code}: ${cause.why}`, isRight };
}

/** Resolves when the change is applied; `ended` when `kubectl rollout status` has ended by itself. */
async function beginKubectl(one: CorpusCase, cluster: RealCluster): Promise<{ ended: Promise<Told> }> {
  const scene = await openScene(one, cluster);
  const { namespace, objects } = scene.stage;
  const kubectl = ["kubectl", "--kubeconfig", cluster.kubeconfig, "--namespace", namespace];
  const folder = await mkdtemp(join(tmpdir(), "slipway-causes-"));
  const apply = async (name: string, all: readonly AnyObject[]): Promise<void> => {
    const file = join(folder, `${name}.yaml`);
    await writeFile(file, all.map((object) => stringify(object)).join("---\n"));
    const applied = await exec([...kubectl, "apply", "-f", file]);
    if (applied.exitCode !== 0) throw new Error(`${one.id}: kubectl apply: ${applied.stderr}`);
  };
  const wait = async (): Promise<Told> => {
    try {
      const limit = patience === undefined ? [] : [`--timeout=${patience}`];
      const status = await exec([...kubectl, "rollout", "status", "deployment/web", ...limit]);
      const afterSignalMs = sinceSignal(scene, clock.now());
      const lines = `${status.stdout}\n${status.stderr}`.trim().split("\n");
      const said = lines.at(-1) ?? "";
      console.log(`${one.id}: kubectl ${secondsText(afterSignalMs)} ${said}`);
      return { afterSignalMs, said, isRight: status.exitCode !== 0 };
    } finally {
      await scene.close();
    }
  };
  try {
    // The annotation of the last apply, as a service has that kubectl applies.
    await apply("before", objects.before);
    await scene.begin();
    await apply("after", objects.after);
  } catch (error) {
    await scene.close();
    throw error;
  } finally {
    await rm(folder, { recursive: true });
  }
  return { ended: wait() };
}

async function render(
  rows: readonly Row[],
  cluster: RealCluster,
): Promise<{ readonly text: string; readonly isMet: boolean }> {
  const times = (way: "ours" | "kubectl"): readonly number[] =>
    rows.flatMap((row) => (row[way].afterSignalMs === undefined ? [] : [row[way].afterSignalMs]));
  const right = rows.filter(({ ours }) => ours.isRight).length;
  const median = quantile(times("ours"), 0.5);
  const isMet = right === rows.length && (median ?? Number.POSITIVE_INFINITY) <= MEDIAN_AT_MOST_MS;
  const helm = await exec(["helm", "version", "--short"]).then(
    ({ exitCode }) => exitCode === 0,
    () => false,
  );
  const text = [
    "# Until somebody knows\n",
    "Made by `node bench/causes.bench.ts`. Each case of the corpus was deployed twice on a real Kubernetes, side by side in two",
    "namespaces: by Slipway, and by `kubectl apply` with `kubectl rollout status`. Seconds are counted from the case's decisive",
    "signal, the first thing in the API from which an attentive person could know the cause, to the verdict and to the end of",
    "kubectl. Preflight was off for the measurement; where it refuses the same change before anything is changed, its code is",
    "shown.\n",
    "```",
    renderTable([
      ["case", "slipway", "the cause it told", "", "kubectl", "", "preflight"],
      ...rows.map(({ one, ours, kubectl, preflight }) => [
        one.id,
        secondsText(ours.afterSignalMs),
        ours.said.split(":")[0] ?? "",
        ours.isRight ? "right" : "WRONG",
        secondsText(kubectl.afterSignalMs),
        kubectl.isRight ? "failed" : "SUCCESS",
        preflight ?? "",
      ]),
    ]),
    "```\n",
    `- slipway: the right cause and container in ${right} of ${rows.length}; median ${secondsText(median)} after the signal (goal: at most ${formatDuration(MEDIAN_AT_MOST_MS)}), slowest ${secondsText(quantile(times("ours"), 1))}`,
    `- kubectl rollout status: median ${secondsText(quantile(times("kubectl"), 0.5))} after the signal, ${patience === undefined ? "with its own patience (progressDeadlineSeconds, 600 s)" : `--timeout=${patience}`}. Its last words:`,
    ...[...Map.groupBy(rows, ({ kubectl }) => kubectl.said)].map(
      ([said, group]) => `  - ${group.length} × \`${said}\``,
    ),
    helm
      ? "- helm is installed here and was not measured: it waits for the same conditions of the Deployment"
      : "- helm is not installed on this machine: `helm upgrade --wait` was not run",
    ...rows
      .filter(({ ours }) => !ours.isRight)
      .map(({ one, ours }) => `- WRONG: ${one.id} was to be told as another cause, and was: ${ours.said}`),
    `- Kubernetes ${cluster.version}, Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? "unknown"})`,
    "",
  ].join("\n");
  return { text, isMet };
}

function secondsText(ms: number | undefined): string {
  return ms === undefined ? "-" : `${(ms / 1000).toFixed(1)} s`;
}
