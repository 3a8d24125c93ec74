/**
 * All cases, played and counted. Cases that are held back from work on the judge run as all others do, but nothing
 * about a single one leaves this file unless asked for: only their sums.
 */
import { join } from "node:path";
import { type Random, SlipwayError, seededRandom } from "@slipway/base";
import { amongThree, neighbourOf, withNeighbours } from "./beside.ts";
import { type CaseKind, type CorpusCase, loadCases } from "./case.ts";
import { loadObjects } from "./objects.ts";
import { type Recording, readRecording } from "./recording.ts";
import { type CaseResult, type PlayedCase, runCase } from "./run-case.ts";
import { type CorpusScore, score } from "./score.ts";

export interface CorpusOptions {
  /** The folder with `failures/` and `transients/`. */
  readonly corpus: string;
  readonly kinds: readonly CaseKind[];
  /** Only this case. */
  readonly id?: string | undefined;
  /** Seeded runs over all transients together, divided among them; each failure gets `seedsOfFailures`. */
  readonly seeds: number;
  readonly seedsOfFailures: number;
  /** Show held-back cases one by one: for whoever does not work on the judge. */
  readonly openHeld: boolean;
  readonly onResult?: ((played: PlayedCase) => void) | undefined;
}

export interface CorpusReport {
  readonly score: CorpusScore;
  /** Without those that are held back, unless they were asked for. */
  readonly cases: readonly PlayedCase[];
  /** Open cases that are to be replayed and have no recording. */
  readonly missing: readonly string[];
}

/** The plain rollout that the other clusters of a release play. */
const PLAIN = "plain-rollout";

export async function runCorpus(options: CorpusOptions): Promise<CorpusReport> {
  const all = await loadCases(options.corpus);
  const chosen = all.filter((one) => isChosen(one, options));
  if (options.id !== undefined) refuseHeld(all, options);
  const recordings = new Map<string, Recording | undefined>();
  const recordingOf = async (id: string): Promise<Recording | undefined> => {
    if (!recordings.has(id)) recordings.set(id, await readIfThere(all, id));
    return recordings.get(id);
  };
  const plain = await recordingOf(PLAIN);
  const played: PlayedCase[] = [];
  const missing: CorpusCase[] = [];
  const transients = chosen.filter(({ kind }) => kind === "transients").length;
  for (const one of chosen) {
    const recording = await recordingOf(one.plays ?? one.id);
    const three = plain && amongThree(one);
    if (recording === undefined || (plain === undefined && one.clusters.length > 1)) {
      missing.push(one);
      continue;
    }
    const { after } = await loadObjects(one);
    const play = (random: Random | undefined): Promise<CaseResult> =>
      runCase({ case: one, objects: after, recording, plain, random });
    const calm = await play(undefined);
    const seeds =
      one.kind === "transients"
        ? Math.ceil(options.seeds / Math.max(1, transients))
        : options.seedsOfFailures;
    const seeded: (CaseResult & { readonly seed: number })[] = [];
    for (let seed = 1; seed <= seeds; seed += 1) {
      seeded.push({ ...(await play(seededRandom(seed))), seed });
    }
    const beside =
      three &&
      withNeighbours(
        three,
        await runCase({
          case: three,
          objects: after,
          recording,
          plain: neighbourOf(after, plain),
          random: undefined,
        }),
      );
    const made = { case: one, calm, seeded, beside };
    played.push(made);
    if (!one.held || options.openHeld) options.onResult?.(made);
  }
  return {
    score: score(played, missing),
    cases: played.filter((made) => options.openHeld || !made.case.held),
    missing: missing.filter(({ held }) => options.openHeld || !held).map(({ id }) => id),
  };
}

function isChosen(one: CorpusCase, options: CorpusOptions): boolean {
  return (
    options.kinds.includes(one.kind) &&
    one.places.includes("replay") &&
    (options.id === undefined || one.id === options.id)
  );
}

function refuseHeld(all: readonly CorpusCase[], options: CorpusOptions): void {
  const one = all.find(({ id }) => id === options.id);
  if (one === undefined) {
    throw new SlipwayError({
      code: "CORPUS_CASE_UNKNOWN",
      where: "--case",
      message: `there is no case "${options.id}"`,
      hint: "slipway corpus --json lists the cases.",
      exitCode: 2,
    });
  }
  if (one.held && !options.openHeld) {
    throw new SlipwayError({
      code: "CORPUS_CASE_HELD",
      where: "--case",
      message: `"${options.id}" is held back from work on the judge`,
      hint: "It is scored in the sums. --open-held shows it, to whoever does not change the judge afterwards.",
      exitCode: 2,
    });
  }
}

async function readIfThere(all: readonly CorpusCase[], id: string): Promise<Recording | undefined> {
  const one = all.find((other) => other.id === id);
  if (one === undefined) return undefined;
  try {
    return await readRecording(join(one.directory, "recording.jsonl.gz"));
  } catch (error) {
    const isMissing = error instanceof SlipwayError && error.message === "there is no recording";
    if (isMissing) return undefined;
    throw error;
  }
}
