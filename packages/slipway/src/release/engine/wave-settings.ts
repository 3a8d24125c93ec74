/** The waves that a release really has, those of the config less clusters that are no targets, and their settings. */
import type { ReleaseConfig } from "../../config/types.ts";
import type { WaveSettings } from "../gates/gate.ts";

/** How long clusters that did not answer are tried after the other waves, unless the configuration says otherwise. */
export const REQUEUE_FOR_MS = 600_000;

/** The configured waves, without clusters that are not among `names`; those that no wave names come last. */
export function wavesOf(release: ReleaseConfig, names: readonly string[]): readonly (readonly string[])[] {
  const waves = release.waves
    .map((wave) => wave.filter((name) => names.includes(name)))
    .filter((wave) => wave.length > 0);
  const rest = names.filter((name) => !waves.flat().includes(name));
  return rest.length === 0 ? waves : [...waves, rest];
}

/**
 * By position beside `waves`, with one more for clusters that are requeued. A wave's own gates replace the release's;
 * of the release's, a person is not asked after the last wave: there is nothing left to let through.
 */
export function settingsOf(
  release: ReleaseConfig,
  waves: readonly (readonly string[])[],
): readonly WaveSettings[] {
  const common = release.gates ?? [];
  const automatic = common.filter((gate) => gate.kind !== "approval");
  const ofWaves = waves.map((wave, index): WaveSettings => {
    const position = release.waves.findIndex((one) => one.some((name) => wave.includes(name)));
    const own = release.waveSettings?.[position];
    const isLast = index === waves.length - 1;
    return {
      bakeMs: own?.bakeMs,
      maxParallel: own?.maxParallel,
      gates: own?.gates ?? (isLast ? automatic : common),
    };
  });
  return [...ofWaves, { bakeMs: undefined, maxParallel: undefined, gates: automatic }];
}
