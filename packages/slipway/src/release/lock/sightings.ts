/**
 * How long leases have been seen to stand still, by our own monotonic clock: one that was not renewed while another one
 * was waited for need not be watched again. Without it the wait for a dead holder grows with the number of clusters.
 */
import type { Clock } from "@slipway/base";
import type { Lease } from "@slipway/kube";

export interface Sighting {
  /** For how many ms this very renewal of the cluster's lease has been known; 0 when it is new. */
  readonly standsStillMs: number;
  /** How old it was when it was first seen, by the two clocks; negative: its holder's clock is ahead of ours. */
  readonly firstAgeMs: number;
}

export interface Sightings {
  see(cluster: string, lease: Lease): Sighting;
}

export function createSightings(clock: Clock): Sightings {
  const first = new Map<
    string,
    { readonly renewal: string; readonly atMs: number; readonly firstAgeMs: number }
  >();
  return {
    see(cluster, { spec }) {
      const renewal = `${spec?.holderIdentity} ${spec?.leaseTransitions} ${spec?.renewTime}`;
      const atMs = clock.monotonic();
      const known = first.get(cluster);
      if (known?.renewal === renewal)
        return { standsStillMs: atMs - known.atMs, firstAgeMs: known.firstAgeMs };
      const firstAgeMs = clock.now() - (Date.parse(spec?.renewTime ?? "") || 0);
      first.set(cluster, { renewal, atMs, firstAgeMs });
      return { standsStillMs: 0, firstAgeMs };
    },
  };
}
