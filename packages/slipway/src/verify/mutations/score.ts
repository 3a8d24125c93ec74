/** Runs the corpus and counts: what passed although it is untrue, what failed although it holds, what stayed unknown. */
import type { Clock } from "@slipway/base";
import type { BuiltImage } from "../../images/image.ts";
import type { ImageLayout } from "../../images/layout.ts";
import type { Check, Verdict } from "../check.ts";
import { collectNow } from "../collect.ts";
import type { Engine } from "../engines/engine.ts";
import { withoutImplied } from "../plan.ts";
import { decideChecks } from "../run.ts";
import { describeImage } from "../verify.ts";
import { alpineBase, bareBase, rpmBase, webBase } from "./bases.ts";
import { type Base, buildImage } from "./build.ts";
import { ALPINE, BARE, type Checks, RPM, WEB, WEB_RUNNING } from "./checks.ts";
import type { Mutation } from "./mutation.ts";
import { MUTATIONS } from "./mutations.ts";
import { isAboutRunning } from "./spread.ts";

export interface ScoreOptions {
  readonly layout: ImageLayout;
  readonly clock: Clock;
  /** Undefined: nothing runs. */
  readonly engine?: Engine;
  /** A static busybox of this machine, for images that run. */
  readonly busybox?: string;
  readonly mutations?: readonly Mutation[];
  /** Images are run only when what was done to them is about what runs. */
  readonly isShort?: boolean;
}

export interface Decided {
  /** Undefined: the undamaged image. */
  readonly mutation: string | undefined;
  readonly base: string;
  /** Name of the check in its table. */
  readonly check: string;
  readonly holds: boolean;
  /** What proves it was damaged. */
  readonly isProvable: boolean;
  readonly verdict: Verdict;
  readonly evidence: string;
  readonly needsEngine: boolean;
}

/** Those that run mostly wait: for a server to be there, for what stays broken until its deadline. */
const AT_A_TIME = 3;

/** A check in the table may be several expectations; it passes when all do, and fails when one does. */
export async function runCorpus(options: ScoreOptions): Promise<readonly Decided[]> {
  const bases: Readonly<Record<Mutation["base"], Base>> = {
    web: webBase(options.busybox),
    bare: bareBase(),
    alpine: alpineBase(),
    rpm: rpmBase(),
  };
  const undamaged = Object.values(bases).map((base) => ({ base, mutation: undefined }));
  const mutated = (options.mutations ?? MUTATIONS).map((mutation) => ({
    base: bases[mutation.base],
    mutation,
  }));
  const decided: (readonly Decided[])[] = [];
  const next = [...undamaged, ...mutated].entries(); // each takes the next one from the same row
  const work = async (): Promise<void> => {
    for (const [index, { base, mutation }] of next) {
      const image = await buildImage(base, mutation?.damage, options.layout);
      decided[index] = await decideImage(image, mutation, options);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return decided.flat();
}

async function decideImage(
  image: BuiltImage,
  mutation: Mutation | undefined,
  { clock, engine, isShort = false }: ScoreOptions,
): Promise<readonly Decided[]> {
  const isRunning = !isShort || mutation === undefined || isAboutRunning(mutation);
  const tables: readonly [Checks, boolean][] =
    image.name === "web"
      ? [[WEB, false], ...(isRunning ? [[WEB_RUNNING, true] as [Checks, boolean]] : [])]
      : [[{ bare: BARE, alpine: ALPINE, rpm: RPM }[image.name] as Checks, false]];
  const isFalse = [...(mutation?.untrue ?? []), ...(mutation?.unprovable ?? [])];
  const named = new Map<Check, string>();
  const all: Check[] = [];
  const needsEngine = new Map<string, boolean>();
  for (const [table, isRunning] of tables) {
    for (const [name, say] of Object.entries(table)) {
      const said = withoutImplied(collectNow(() => describeImage(image.name, say)));
      const own = isFalse.includes(name) ? said : said.map((check) => patient(check, mutation));
      for (const check of own) named.set(check, name);
      all.push(...own);
      needsEngine.set(name, isRunning);
    }
  }
  // Closing belongs to whoever opened it: one engine serves the whole corpus.
  const shared = engine === undefined ? undefined : { ...engine, close: () => Promise.resolve() };
  const results = await decideChecks(all, {
    images: [image],
    root: "/",
    clock,
    ...(shared === undefined ? {} : { engine: () => Promise.resolve(shared) }),
  });
  const byName = Map.groupBy(all.keys(), (index) => named.get(all[index] as Check) as string);
  const unknownNames = isFalse.filter((name) => !byName.has(name));
  if (unknownNames.length > 0)
    throw new Error(`${mutation?.name}: no check is called ${unknownNames.join(", ")}`);
  return [...byName].map(([name, indexes]) => {
    const own = indexes.map((index) => results[index]).filter((one) => one !== undefined);
    const worst = (["fail", "unknown", "pass"] as const).find((verdict) =>
      own.some((one) => one.verdict === verdict),
    );
    const telling = own.find((one) => one.verdict === worst);
    return {
      mutation: mutation?.name,
      base: image.name,
      check: name,
      holds: mutation?.untrue.includes(name) !== true,
      isProvable: mutation?.unprovable?.includes(name) !== true,
      verdict: worst ?? "unknown",
      evidence: telling?.evidence ?? "",
      needsEngine: needsEngine.get(name) === true,
    };
  });
}

/** A busy machine may need longer than a second until a server is there; only what is broken would take all of it. */
function patient(check: Check, mutation: Mutation | undefined): Check {
  const deadlineMs = mutation === undefined ? 60_000 : 10_000;
  return check.deadlineMs === 0 ? check : { ...check, deadlineMs: Math.max(check.deadlineMs, deadlineMs) };
}

export const show = ({ base, mutation, check, verdict, evidence }: Decided): string =>
  `${base} / ${mutation ?? "undamaged"}: ${check}: ${verdict}: ${evidence.slice(0, 160)}`;

export const falsePasses = (decided: readonly Decided[]): readonly Decided[] =>
  decided.filter(({ holds, verdict }) => !holds && verdict === "pass");

export const falseFailures = (decided: readonly Decided[]): readonly Decided[] =>
  decided.filter(({ holds, isProvable, verdict }) => holds && isProvable && verdict === "fail");

export const undecided = (decided: readonly Decided[]): readonly Decided[] =>
  decided.filter(({ verdict }) => verdict === "unknown");

/**
 * What two engines say differently of one check of one image, a line each; a check that only one of them has is a
 * difference too. Unknown differs from nothing.
 */
export function differences(one: readonly Decided[], other: readonly Decided[]): readonly string[] {
  const key = ({ base, mutation, check }: Decided): string => JSON.stringify([base, mutation, check]);
  const others = new Map(other.map((decided) => [key(decided), decided]));
  const own = new Set(one.map(key));
  return [
    ...one.flatMap((decided) => {
      const second = others.get(key(decided));
      if (second === undefined) return [`${show(decided)} | not asked there`];
      const verdicts = [decided.verdict, second.verdict];
      if (verdicts[0] === verdicts[1] || verdicts.includes("unknown")) return [];
      return [`${show(decided)} | ${second.verdict}: ${second.evidence.slice(0, 160)}`];
    }),
    ...other
      .filter((decided) => !own.has(key(decided)))
      .map((decided) => `${show(decided)} | not asked here`),
  ];
}
