/**
 * The status again and again: whenever something of the service changes in a cluster, and every few seconds for what
 * is not watched (other kinds, the lock). On a terminal it is drawn in place; elsewhere it is printed when it differs.
 */

import { type Observer, observe } from "../release/engine/observe.ts";
import type { ReleaseContext } from "../release/model.ts";
import type { CliContext } from "./command.ts";

/** Changes come in bursts; one look a second is often enough for a person. */
const LEAST_MS = 1_000;
const MOST_MS = 5_000;
const HOME_AND_CLEAR = "\x1b[H\x1b[J";

export async function watchStatus(
  context: CliContext,
  release: ReleaseContext,
  options: {
    readonly show: () => Promise<string>;
    readonly redraws: boolean;
    /** Milliseconds after which it looks without having seen a change. */
    readonly mostMs?: number;
  },
): Promise<number> {
  const { clock, signal } = context;
  const observers = release.targets.map((target) =>
    observe(target.client, { namespaces: [release.namespace], clock }),
  );
  // What may not be watched is still looked at every few seconds.
  for (const observer of observers) observer.ready.catch(() => undefined);
  let shown = "";
  try {
    while (!signal.aborted) {
      const versions = observers.map((observer) => observer.version());
      // A cluster that goes away while it is watched is news, not the end.
      const text = await options.show().catch((error: unknown) => `${(error as Error).message}\n`);
      if (signal.aborted) break;
      if (options.redraws) context.write(`${HOME_AND_CLEAR}${text}`);
      else if (text !== shown) context.write(text);
      shown = text;
      await clock.sleep(LEAST_MS, signal).catch(() => undefined);
      await anyChange(observers, versions, { mostMs: (options.mostMs ?? MOST_MS) - LEAST_MS, signal });
    }
  } finally {
    for (const observer of observers) observer.close();
  }
  return 0;
}

async function anyChange(
  observers: readonly Observer[],
  versions: readonly number[],
  limits: { readonly mostMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const done = new AbortController();
  const either = AbortSignal.any([done.signal, limits.signal]);
  await Promise.race(
    observers.map((observer, index) => observer.changed(versions[index] ?? 0, limits.mostMs, either)),
  );
  done.abort();
}
