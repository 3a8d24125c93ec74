/**
 * Records cases of the corpus from a real cluster: `node scripts/corpus/record.ts [ID…] [--missing] [--parallel N]
 * [--full | --hollow]`.
 *
 * Each case has a namespace of its own; those that would disturb others (they stop a part of the cluster) run
 * alone, after them. Cases on hollow nodes have a control plane without a node. A case that goes otherwise than it says (no decisive signal, or a
 * transient that never becomes healthy) keeps its old recording, and the exit code is 1.
 */

import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { renderError, SlipwayError } from "@slipway/base";
import { type AnyObject, isReason, type Pod, StatusError } from "@slipway/kube";
import { disturbs } from "../../corpus/on-real.ts";
import { type CorpusCase, loadCases } from "../../packages/slipway/src/corpus/case.ts";
import {
  packRecording,
  parseRecording,
  type RecordingLine,
} from "../../packages/slipway/src/corpus/recording.ts";
import { startHollowNodes } from "./hollow.ts";
import { foreignTo, NAMESPACE, names } from "./neutral.ts";
import { watchSignal } from "./signal-watch.ts";
import { isRolledOut, openStage, type Stage, type Surroundings } from "./stage.ts";
import { openHollowCluster, openRealCluster, type RealCluster } from "./surroundings.ts";
import { endsOf, type Watcher, watchCluster } from "./watch.ts";

type Around = Surroundings & { readonly version: string };

const corpus = join(import.meta.dirname, "../../corpus");
const PARALLEL = 8;
/** Watches settle, and the baseline has a moment of its own before the apply. */
const QUIET_MS = 2_000;
/** A machine with much else to do may take so many times as long as a case says. */
const PATIENCE = 2.5;

const args = process.argv.slice(2);
const parallelAt = args.indexOf("--parallel");
const parallel = parallelAt < 0 ? PARALLEL : Number(args[parallelAt + 1]);
const wanted = args.filter(
  (arg, index) => !arg.startsWith("--") && (parallelAt < 0 || index !== parallelAt + 1),
);
const failures: string[] = [];

const pathOf = (one: CorpusCase): string => join(one.directory, "recording.jsonl.gz");
const all = await loadCases(corpus);
const unknown = wanted.filter((id) => !all.some((one) => one.id === id));
if (unknown.length > 0) {
  console.error(`record: there is no case ${unknown.join(", ")}`);
  process.exit(2);
}
const chosen = all.filter(
  (one) =>
    one.plays === undefined &&
    one.recorded !== "by-hand" &&
    (wanted.length === 0 || wanted.includes(one.id)) &&
    !(args.includes("--missing") && existsSync(pathOf(one))),
);

const hollowCases = chosen.filter((one) => one.recorded === "hollow");
const fullCases = chosen.filter((one) => !hollowCases.includes(one));
if (!args.includes("--hollow") && fullCases.length > 0) {
  await withCluster(openRealCluster, async (cluster) => {
    await inParallel(
      fullCases.filter((one) => !disturbs(one)),
      parallel,
      (one) => record(one, cluster),
    );
    for (const one of fullCases.filter(disturbs)) await record(one, cluster);
  });
}
if (!args.includes("--full") && hollowCases.length > 0) {
  await withCluster(openHollowCluster, async (cluster) => {
    // One after the other: each has nodes of its own, and a scheduler sees all that there are.
    for (const one of hollowCases) {
      const hollow = await startHollowNodes(cluster.client, cluster.clock);
      await record(one, { ...cluster, hollow });
      await hollow.close();
    }
  });
}
console.log(`recorded ${chosen.length - failures.length} of ${chosen.length}`);
for (const line of failures) console.error(line);
process.exitCode = failures.length > 0 ? 1 : 0;

async function withCluster(
  open: (env: NodeJS.ProcessEnv) => Promise<RealCluster>,
  work: (cluster: RealCluster) => Promise<void>,
): Promise<void> {
  const cluster = await open(process.env).catch((error: unknown) => {
    console.error(error instanceof SlipwayError ? renderError(error) : error);
    process.exit(3);
  });
  try {
    await work(cluster);
  } finally {
    await cluster.close();
  }
}

async function inParallel(
  cases: readonly CorpusCase[],
  width: number,
  run: (one: CorpusCase) => Promise<void>,
): Promise<void> {
  const queue = [...cases];
  const worker = async (): Promise<void> => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) await run(one);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

async function record(one: CorpusCase, around: Around): Promise<void> {
  let stage: Stage | undefined;
  const began = around.clock.now();
  try {
    stage = await openStage(one, around);
    const told = await recordOn(stage, one, around);
    const seconds = Math.round((around.clock.now() - began) / 1_000);
    console.log(`${one.id}: ${told}, ${seconds} s`);
  } catch (error) {
    const why = error instanceof SlipwayError ? `${error.where}: ${error.message}` : String(error);
    failures.push(`${one.id}: ${why}`);
    console.error(`${one.id}: NOT RECORDED: ${why}`);
  } finally {
    await stage?.tearDown().catch((error: unknown) => console.error(`${one.id}: not torn down: ${error}`));
  }
}

async function recordOn(stage: Stage, one: CorpusCase, around: Around): Promise<string> {
  const { client, clock } = around;
  const { namespace, objects } = stage;
  const { toNeutral } = names(namespace);
  const signal = watchSignal(one, clock);
  const ends = new Map<string, number>();
  let watcher: Watcher | undefined;
  const logs: Promise<void>[] = [];
  watcher = await watchCluster({
    client,
    namespace,
    clock,
    onObject: (object, type) => {
      signal.see(object, type);
      if (object.kind !== "Pod") return;
      for (const [container, count] of endsOf(object as Pod)) {
        const key = `${object.metadata.uid}/${container}`;
        const before = ends.get(key) ?? 0;
        ends.set(key, count);
        if (count > before) logs.push(keepLog(object as Pod, container));
      }
    },
  });
  const keepLog = async (pod: Pod, container: string): Promise<void> => {
    const { name } = pod.metadata;
    const status = [
      ...(pod.status?.initContainerStatuses ?? []),
      ...(pod.status?.containerStatuses ?? []),
    ].find((status) => status.name === container);
    const previous = status?.state?.running !== undefined;
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of client.logs({ namespace, name }, { container, previous })) chunks.push(chunk);
    } catch {
      return; // gone with its pod: then nobody could have read it
    }
    const text = toNeutral(Buffer.concat(chunks).toString("utf8"));
    watcher?.add({ at: clock.now(), log: { pod: name, container, previous, text } });
  };

  await clock.sleep(QUIET_MS);
  await stage.prepare();
  const stop = new AbortController();
  const appliedAt = signal.begin();
  const steps = stage.play(appliedAt, stop.signal);
  steps.catch(() => undefined);
  const refused = await apply(stage, one, around, watcher);
  if (one.decisive !== undefined && "applied" in one.decisive) signal.mark(appliedAt);
  if (refused !== undefined && one.decisive !== undefined && "refused" in one.decisive) {
    if (one.decisive.refused.test(refused)) signal.mark(clock.now());
  }
  const told =
    one.kind === "failures"
      ? await untilDecided(one, around, signal.seenAt)
      : await untilHealthy(one, stage, around, steps);
  stop.abort();
  await steps.catch(() => undefined);
  await Promise.all(logs);
  await watcher.close();
  const decisiveAt = signal.seenAt();
  const lines = watcher.lines
    .map((line): RecordingLine => ({ ...line, at: line.at - appliedAt }))
    .toSorted((a, b) => a.at - b.at);
  const packed = packRecording({
    header: {
      case: one.id,
      kubernetes: around.version,
      recordedAt: new Date(appliedAt).toISOString(),
      place: one.recorded === "hollow" ? "hollow" : "real",
      appliedAt: 0,
      ...(decisiveAt === undefined ? {} : { decisiveAt: decisiveAt - appliedAt }),
      namespace: NAMESPACE,
    },
    lines,
  });
  check(packed, one);
  await writeFile(pathOf(one), packed);
  return `${lines.length} lines, ${objects.after.length} objects applied, ${told}`;
}

/** In order, as a release does; a hook's Job first, and nothing else unless it completes. */
async function apply(
  stage: Stage,
  one: CorpusCase,
  around: Surroundings,
  watcher: Watcher,
): Promise<string | undefined> {
  const { client, clock } = around;
  const { toNeutral } = names(stage.namespace);
  const put = async (object: AnyObject): Promise<string | undefined> => {
    try {
      const { metadata } = await client.apply(object, { fieldManager: "slipway", force: true });
      watcher.add({
        at: clock.now(),
        applied: { kind: object.kind, name: object.metadata.name, generation: metadata.generation },
      });
      return undefined;
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      const status = JSON.parse(toNeutral(JSON.stringify(error.status))) as typeof error.status;
      watcher.add({ at: clock.now(), refused: { kind: object.kind, name: object.metadata.name, status } });
      return status.message;
    }
  };
  const job = stage.objects.after.find(
    (object) => object.kind === "Job" && object.metadata.name === one.hook?.job,
  );
  if (job !== undefined) {
    const refused = await put(job);
    if (refused !== undefined) return refused;
    if (!(await hasCompleted(job, one, around))) return undefined;
  }
  for (const object of stage.objects.after.filter((object) => object !== job)) {
    const refused = await put(object);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

async function hasCompleted(
  job: AnyObject,
  one: CorpusCase,
  { client, clock }: Surroundings,
): Promise<boolean> {
  const end = clock.now() + (one.hook?.timeoutMs ?? 0);
  while (clock.now() < end) {
    const { status } = (await client.get({
      apiVersion: "batch/v1",
      kind: "Job",
      name: job.metadata.name,
      namespace: job.metadata.namespace,
    })) as AnyObject & {
      readonly status?: { readonly conditions?: readonly { type: string; status: string }[] };
    };
    const ended = status?.conditions?.find((condition) => condition.status === "True")?.type;
    if (ended !== undefined) return ended === "Complete";
    await clock.sleep(300);
  }
  return false;
}

async function untilDecided(
  one: CorpusCase,
  { clock }: Surroundings,
  decisiveAt: () => number | undefined,
): Promise<string> {
  const end = clock.now() + one.atMostMs * PATIENCE;
  while (decisiveAt() === undefined) {
    if (clock.now() > end)
      throw new SlipwayError({
        code: "CORPUS_NO_SIGNAL",
        where: one.id,
        message: `the decisive signal did not come within ${(one.atMostMs * PATIENCE) / 1_000} s`,
      });
    await clock.sleep(200);
  }
  await clock.sleep(one.lingerMs);
  return "signal seen";
}

async function untilHealthy(
  one: CorpusCase,
  stage: Stage,
  { client, clock }: Surroundings,
  steps: Promise<void>,
): Promise<string> {
  const end = clock.now() + one.atMostMs * PATIENCE;
  let areDone = false;
  steps.then(
    () => {
      areDone = true;
    },
    () => undefined,
  );
  const endless = one.steps.some((step) => step.do === "open-gate");
  const deployments = stage.objects.after.filter((object) => object.kind === "Deployment");
  for (;;) {
    if (clock.now() > end)
      throw new SlipwayError({
        code: "CORPUS_NOT_HEALTHY",
        where: one.id,
        message: `did not become healthy within ${(one.atMostMs * PATIENCE) / 1_000} s`,
      });
    await clock.sleep(500);
    if (!areDone && !endless) continue;
    try {
      const ready = await Promise.all(
        deployments.map(({ metadata }) => isRolledOut(client, metadata.name, stage.namespace)),
      );
      const pods = await client.list<Pod>(
        { apiVersion: "v1", kind: "Pod" },
        { namespace: stage.namespace, labelSelector: "app=web" },
      );
      if (
        ready.every((one) => one) &&
        pods.items.every((pod) => pod.metadata.deletionTimestamp === undefined)
      )
        break;
    } catch (error) {
      if (isReason(error, "NotFound")) throw error; // an API server that is away comes back
    }
  }
  await clock.sleep(Math.max(one.lingerMs, one.bakeMs + 5_000));
  return "healthy";
}

/** Read as the replay will read it; nothing of this machine may be left. */
function check(packed: Buffer, one: CorpusCase): void {
  const { gunzipSync } = process.getBuiltinModule("node:zlib");
  const text = gunzipSync(packed).toString("utf8");
  parseRecording(text, one.id);
  const left = foreignTo(text);
  if (left === undefined) return;
  const at = text.indexOf(left);
  throw new SlipwayError({
    code: "CORPUS_NOT_NEUTRAL",
    where: one.id,
    message: `holds "${left}": ${text.slice(Math.max(0, at - 80), at + 80)}`,
  });
}
