/** What the clusters know of the service, asked all at once, with those that do not answer. */
import { SlipwayError } from "@slipway/base";
import { cannotBeAsked, isUnreachable, whyUnreachable } from "../apply/apply.ts";
import type { ReleaseContext, ReleaseRecord, Target } from "../model.ts";
import { mergeRecords, readRecords } from "./records.ts";

export interface Knowledge {
  readonly records: readonly ReleaseRecord[];
  readonly unreachable: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
  /** Numbers of releases whose records exist and can be read in no cluster. */
  readonly unreadable: readonly number[];
}

/** A cluster that shows no sign of life for this long is left out, where it is urgent and where somebody only looks. */
export const URGENT_MS = 3_000;
export const PATIENT_MS = 10_000;
/** From then on a person wants to know what is waited for. */
const SLOW_MS = 3_000;

export interface ReadOptions {
  /** Milliseconds without a sign of life. Default: as long as a request may take, for whoever needs every cluster. */
  readonly patienceMs?: number | undefined;
  /** Found not to answer by this command already, and why: to ask again would only take as long again. */
  readonly knownAway?: ReadonlyMap<string, string> | undefined;
  /** Told of each cluster that has not answered after a few seconds. */
  readonly onSlow?: ((cluster: string) => void) | undefined;
}

/** Reads the history of every cluster at once. */
export async function readKnowledge(context: ReleaseContext, options: ReadOptions = {}): Promise<Knowledge> {
  const unreachable = new Map<string, string>();
  const warnings: string[] = [];
  const damaged = new Set<number>();
  const copies = await Promise.all(
    context.targets.map(async (target) => {
      const away = options.knownAway?.get(target.name);
      if (away !== undefined) {
        unreachable.set(target.name, away);
        return [];
      }
      const reading = readRecords(target.client, context, (damage, number) => {
        damaged.add(number);
        warnings.push(`${damage.where}: ${damage.message}`);
      });
      try {
        return await inTime(context, target, reading, options);
      } catch (error) {
        if (!cannotBeAsked(error)) throw error;
        unreachable.set(target.name, whyUnreachable(error));
        return [];
      }
    }),
  );
  const records = mergeRecords(copies);
  for (const { number } of records) damaged.delete(number);
  return { records, unreachable, warnings, unreadable: [...damaged] };
}

/** A big history may take long; a cluster that lives says its version at once. */
async function inTime<T>(
  { clock }: ReleaseContext,
  target: Target,
  reading: Promise<T>,
  { patienceMs, onSlow }: ReadOptions,
): Promise<T> {
  const timer = new AbortController();
  const after = (ms: number): Promise<void> => clock.sleep(ms, timer.signal);
  const dead = async (): Promise<never> => {
    await after(patienceMs as number);
    throw new SlipwayError({
      code: "CLUSTER_UNREACHABLE",
      where: `clusters/${target.name}`,
      message: `no sign of life for ${(patienceMs as number) / 1000} s`,
      exitCode: 3,
    });
  };
  try {
    if (onSlow !== undefined)
      void after(SLOW_MS).then(
        () => onSlow(target.name),
        () => undefined,
      );
    if (patienceMs !== undefined) {
      // Whatever it answers, it answers; that it cannot be reached is known then, too.
      const version = target.client.version().catch((error: unknown) => {
        if (isUnreachable(error)) throw error;
      });
      await Promise.race([version, reading, dead()]);
    }
    return await reading;
  } finally {
    timer.abort();
    // Given up, it may still fail; nobody listens any more.
    reading.catch(() => undefined);
  }
}

/** `amongOthers`: more clusters there are, which may answer, and do not count for what was asked. */
export function noClusterAnswers(
  unreachable: ReadonlyMap<string, string>,
  amongOthers = false,
): SlipwayError {
  const [name, reason] = [...unreachable][0] ?? ["", ""];
  const all = [...unreachable.keys()].join(", ");
  const none = unreachable.size === 1 ? `${all} does not answer` : `none of ${all} answers`;
  return new SlipwayError({
    code: "CLUSTER_UNREACHABLE",
    where: `clusters/${name}`,
    message: `${amongOthers ? none : "no cluster answers"}: ${reason}`,
    hint: "Are they running, and is the way to them open? For local clusters: slipway local status",
    exitCode: 3,
  });
}
