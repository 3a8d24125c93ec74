/**
 * How long leases have been seen to stand still, by our own monotonic clock: one that was not renewed while another one
 * was waited for need not be watched again. Without it the wait for a dead holder grows with the number of clusters.
 */
import type { Clock } from "@slipway/base";
import type { Lease } from "@slipway/kube";

export interface Sightings {
  /** For how many ms this very renewal of the cluster's lease has been known; 0 when it is new. */
  standsStillMs(cluster: string, lease: Lease): number;
}

export function createSightings(clock: Clock): Sightings {
  const first = new Map<string, { readonly renewal: string; readonly atMs: number }>();
  return {
    standsStillMs(cluster, { spec }) {
      const renewal = `${spec?.holderIdentity} ${spec?.leaseTransitions} ${spec?.renewTime}`;
      const known = first.get(cluster);
      const nowMs = clock.monotonic();
      if (known?.renewal === renewal) return nowMs - known.atMs;
      first.set(cluster, { renewal, atMs: nowMs });
      return 0;
    },
  };
}
