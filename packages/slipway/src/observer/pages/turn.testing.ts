import { until, type VirtualClock } from "@slipway/base";

/** Virtual time goes on until real answers have come. */
export async function turn(clock: VirtualClock, condition: () => boolean): Promise<void> {
  await until(
    "what real answers bring",
    async () => {
      if (!condition()) await clock.advance(100);
      return condition();
    },
    { everyMs: 1 },
  );
}
