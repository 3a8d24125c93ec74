/**
 * How long until somebody knows: the same failures on a real Kubernetes, deployed by Slipway's release engine and, in
 * namespaces beside it in the same minute, by `kubectl apply` and `kubectl rollout status`, and by `helm upgrade --wait` where
 * helm is installed, each with its own patience. Time is counted from the decisive signal of the case (corpus/README.md), which each namespace shows for itself.
 *
 * One case of each cause that a rollout of one Deployment can show, of those that are not held back. Preflight, which would refuse some of
 * them before anything is changed, is asked first and then switched off, so that the judge is what is measured.
 *
 * Needs SLIPWAY_REAL_KUBERNETES (see corpus/README.md) and kubectl. Writes results/causes.md when all cases ran; exits 1
 * when a cause is wrong or the median is above its goal.
 *
 *   node bench/causes.bench.ts [cases, all] [patience of kubectl and helm as for --timeout; without it their own]
 */
import { cpus } from "node:os";
import { join } from "node:path";
import { casesFor, type Ran, runCase, taking } from "../corpus/running.ts";
import { formatDuration, renderTable, systemClock, writeAtomic } from "../packages/base/src/index.ts";
import { type CorpusCase, loadCases } from "../packages/slipway/src/corpus/case.ts";
import { loadObjects } from "../packages/slipway/src/corpus/objects.ts";
import { quantile } from "../packages/slipway/src/corpus/score.ts";
import { type SignalWatch, watchSignal } from "../scripts/corpus/signal-watch.ts";
import { openStage, type Stage } from "../scripts/corpus/stage.ts";
import { openRealCluster, type RealCluster } from "../scripts/corpus/surroundings.ts";
import { watchCluster } from "../scripts/corpus/watch.ts";
import { type Peer, type PeerEnd, peers } from "./causes/peers.ts";

const AT_A_TIME = 2;
const MEDIAN_AT_MOST_MS = 10_000;
/**
 * Who has not given up by then is ended. A pod that replaces one that was evicted is progress to the Deployment controller (1.20.2),
 * which begins its deadline anew: kubectl would wait for ever.
 */
const PEER_ENDED_AFTER_MS = 20 * 60_000;
const most = Number(process.argv[2] ?? Number.POSITIVE_INFINITY);
/** `90s`; undefined: kubectl has the progressDeadlineSeconds of the Deployment, 600 where it says nothing, helm five minutes. */
const patience: string | undefined = process.argv[3];
const clock = systemClock;

/** One way of deploying one case. */
interface Told {
  /** From the decisive signal; undefined when it was not seen before the end. */
  readonly afterSignalMs: number | undefined;
  readonly said: string;
  /** The cause and container are those of the case. */
  readonly isRight: boolean;
}

interface PeerTold extends Omit<Told, "isRight"> {
  readonly verdict: PeerEnd["verdict"] | "not run";
}

interface Row {
  readonly one: CorpusCase;
  readonly ours: Told;
  /** By the peer's name. */
  readonly peers: ReadonlyMap<string, PeerTold>;
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

interface Installed {
  readonly peer: Peer;
  readonly version: string;
}

async function measure(cluster: RealCluster): Promise<void> {
  const installed: Installed[] = [];
  for (const peer of peers) {
    const version = await peer.version();
    if (version !== undefined) installed.push({ peer, version });
  }
  const all = await oneOfEachCause();
  const cases = all.slice(0, most);
  const inTurn = taking<Begun>(AT_A_TIME);
  const rows = await Promise.all(
    cases.map(async (one): Promise<Row> => {
      // Peers wait on when their turn is over: waiting disturbs nobody.
      const { waiting, ...mine } = await inTurn(() => allWays(one, cluster, installed));
      return { one, ...mine, peers: new Map(await Promise.all(waiting)) };
    }),
  );
  const page = render(rows, cluster, installed);
  console.log(page.text);
  if (cases.length === all.length && patience === undefined)
    await writeAtomic(join(import.meta.dirname, "results/causes.md"), page.text);
  process.exitCode = page.isMet ? 0 : 1;
}

interface Begun {
  readonly ours: Told;
  readonly preflight: string | undefined;
  readonly waiting: readonly Promise<readonly [string, PeerTold]>[];
}

async function allWays(
  one: CorpusCase,
  cluster: RealCluster,
  installed: readonly Installed[],
): Promise<Begun> {
  const broken = (error: unknown) => ({ afterSignalMs: undefined, said: String(error) });
  const notRun = (error: unknown): PeerTold => ({ ...broken(error), verdict: "not run" });
  const waiting: Promise<readonly [string, PeerTold]>[] = [];
  for (const { peer } of installed) {
    const begun = await beginPeer(peer, one, cluster).catch((error: unknown) => ({
      ended: Promise.resolve(notRun(error)),
    }));
    waiting.push(begun.ended.catch(notRun).then((told) => [peer.name, told] as const));
  }
  const mine = await bySlipway(one, cluster).catch((error: unknown) => ({
    ours: { ...broken(error), isRight: false },
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
    if (one.held || one.startsBroken) continue;
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

/** Resolves when the change is on its way; `ended` when the peer has ended by itself, or was ended. */
async function beginPeer(
  peer: Peer,
  one: CorpusCase,
  cluster: RealCluster,
): Promise<{ readonly ended: Promise<PeerTold> }> {
  const scene = await openScene(one, cluster);
  const { namespace, objects } = scene.stage;
  const wait = async (ended: Promise<PeerEnd>): Promise<PeerTold> => {
    try {
      const end = await ended;
      const afterSignalMs = sinceSignal(scene, clock.now());
      console.log(`${one.id}: ${peer.name} ${secondsText(afterSignalMs)} ${end.verdict}: ${end.said}`);
      return { afterSignalMs, ...end };
    } finally {
      await scene.close();
    }
  };
  try {
    const { before, after } = objects;
    const { kubeconfig } = cluster;
    const signal = AbortSignal.timeout(PEER_ENDED_AFTER_MS);
    const begin = scene.begin;
    const begun = await peer.begin({ kubeconfig, namespace, before, after, patience, signal, begin });
    return { ended: wait(begun.ended) };
  } catch (error) {
    await scene.close();
    throw error;
  }
}

function render(
  rows: readonly Row[],
  cluster: RealCluster,
  installed: readonly Installed[],
): { readonly text: string; readonly isMet: boolean } {
  const timesOf = (told: readonly (Pick<Told, "afterSignalMs"> | undefined)[]): readonly number[] =>
    told.flatMap((one) => (one?.afterSignalMs === undefined ? [] : [one.afterSignalMs]));
  const times = timesOf(rows.map(({ ours }) => ours));
  const right = rows.filter(({ ours }) => ours.isRight).length;
  const median = quantile(times, 0.5);
  const isMet = right === rows.length && (median ?? Number.POSITIVE_INFINITY) <= MEDIAN_AT_MOST_MS;
  const text = [
    "# Until somebody knows\n",
    "Made by `node bench/causes.bench.ts`. Each case of the corpus was deployed on a real Kubernetes in namespaces side by side: by",
    "Slipway, by `kubectl apply` with `kubectl rollout status`, and by `helm upgrade --wait` where helm is installed. Seconds are",
    "counted from the case's decisive signal, the first thing in the API from which an attentive person could know the cause, to the",
    "verdict and to the end of the others. Preflight was off for the measurement; where it refuses the same change before anything is",
    "changed, its code is shown. Causes of which every case is held back from work on the judge are left out.\n",
    "```",
    renderTable([
      [
        "case",
        "slipway",
        "the cause it told",
        "",
        ...installed.flatMap(({ peer }) => [peer.name, ""]),
        "preflight",
      ],
      ...rows.map(({ one, ours, peers: told, preflight }) => [
        one.id,
        secondsText(ours.afterSignalMs),
        ours.said.split(":")[0] ?? "",
        ours.isRight ? "right" : "WRONG",
        ...installed.flatMap(({ peer }) => {
          const end = told.get(peer.name);
          return [secondsText(end?.afterSignalMs), end?.verdict ?? "not run"];
        }),
        preflight ?? "",
      ]),
    ]),
    "```\n",
    `- slipway: the right cause and container in ${right} of ${rows.length}; median ${secondsText(median)} after the signal (goal: at most ${formatDuration(MEDIAN_AT_MOST_MS)}), slowest ${secondsText(quantile(times, 1))}`,
    ...installed.flatMap(({ peer: { name }, version }) => [
      `- ${name} (${version}): median ${secondsText(quantile(timesOf(rows.map((row) => row.peers.get(name))), 0.5))} after the signal, ${patience === undefined ? `with its own patience, ended where it still waited after ${formatDuration(PEER_ENDED_AFTER_MS)}` : `--timeout ${patience}`}. Its last words:`,
      ...[...Map.groupBy(rows, (row) => row.peers.get(name)?.said ?? "")].map(
        ([said, group]) => `  - ${group.length} × \`${said}\``,
      ),
    ]),
    ...peers
      .filter((peer) => !installed.some((one) => one.peer === peer))
      .map(({ name }) => `- ${name} is not installed on this machine and was not run`),
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
