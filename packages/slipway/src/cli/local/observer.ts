/** The observer beside a running world. It starts a moment after it, and again when it died: who asks waits for that. */
import type { Clock } from "@slipway/base";
import type { CompanionState } from "../../world/companion.ts";
import { findWorld, type WorldPaths } from "../../world/state.ts";

const START_MS = 20_000;
const LOOK_MS = 100;

/** As it is when it runs, or as it was last when it does not get so far; undefined where there is no world or no observer. */
export async function observerBeside(
  paths: WorldPaths,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<CompanionState | undefined> {
  const until = clock.monotonic() + START_MS;
  for (;;) {
    const presence = await findWorld(paths);
    const observer = presence.kind === "running" ? presence.state.observer : undefined;
    const isComing = observer?.state === "starting" || observer?.state === "waiting";
    if (!isComing || clock.monotonic() >= until || signal.aborted) return observer;
    await clock.sleep(LOOK_MS, signal).catch(() => undefined);
  }
}
