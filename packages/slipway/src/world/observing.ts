/**
 * What watches a world, as the configuration wants it at the moment: a companion, or none. The configuration may change
 * while the world runs; changes are carried out one after the other.
 */
import type { Companion, CompanionSpec, CompanionState } from "./companion.ts";

export interface Observing {
  /** Starts what is wanted by now; apart, because nobody waits for it. */
  start(): Promise<void>;
  /** Undefined: none is wanted any more. */
  want(spec: CompanionSpec | undefined): Promise<void>;
  state(): CompanionState | undefined;
  figures(): Promise<unknown>;
  stop(): Promise<void>;
}

export function createObserving(options: {
  readonly spec: CompanionSpec | undefined;
  readonly make: (spec: CompanionSpec) => Companion;
  /** One began or ended because it is wanted, or is not; `isThere`: whether there is one now. */
  readonly onChange: (isThere: boolean) => Promise<void>;
}): Observing {
  const { make, onChange } = options;
  let wanted = options.spec;
  let companion: Companion | undefined;
  let isStarted = false;
  let last: Promise<void> = Promise.resolve();

  const carryOut = async (): Promise<void> => {
    if (!isStarted) return;
    if (companion !== undefined && wanted !== undefined) return companion.update(wanted);
    if (companion === undefined && wanted === undefined) return;
    if (wanted !== undefined) {
      companion = make(wanted);
      companion.start();
    } else {
      await companion?.stop();
      companion = undefined;
    }
    await onChange(companion !== undefined);
  };
  const next = (work: () => Promise<void>): Promise<void> => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };

  return {
    start: () =>
      next(() => {
        isStarted = true;
        return carryOut();
      }),
    want(spec) {
      wanted = spec;
      return next(carryOut);
    },
    state: () => companion?.state(),
    figures: async () => companion?.figures(),
    stop: () =>
      next(async () => {
        isStarted = false;
        await companion?.stop();
      }),
  };
}
