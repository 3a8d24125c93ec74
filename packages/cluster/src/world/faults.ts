/**
 * What can go wrong in a simulated world, how often, and how often it did. Two sorts: faults of single moments have a
 * probability in thousandths (`perMille`), faults that come by themselves have a mean interval in virtual time.
 */
export interface Faults {
  /** Of each notification to a controller: lost with its watch, made good by a list 5 to 10 s later. */
  readonly droppedNotificationPerMille: number;
  /** Of each notification: comes twice, the second up to 500 ms later. */
  readonly duplicatedNotificationPerMille: number;
  /** Of each notification: comes 200 to 3,000 ms late instead of 1 to 4 ms. */
  readonly delayedNotificationPerMille: number;
  /** Of each decision: made on a picture up to 2,000 ms old (never older than one the controller has seen). */
  readonly staleSnapshotPerMille: number;
  /** Of each write: refused as a conflict, as if someone else had written first. */
  readonly writeConflictPerMille: number;
  /** Of each write: answered 500, nothing stored. */
  readonly apiErrorPerMille: number;
  /** Of each write: stored, but answered 504 as if it had not been. */
  readonly lostReplyPerMille: number;
  /** Of each pod: takes 10 times as long to start. */
  readonly slowStartPerMille: number;
  /** One node loses all its pods for 5 to 40 s. */
  readonly nodeCrashEveryMs: number;
  /** One running pod's container ends; it is restarted at kubelet's back-off. */
  readonly podCrashEveryMs: number;
  /** One ready pod fails its readiness probe for 1 to 5 s. */
  readonly readinessFlapEveryMs: number;
  /** For 2 to 10 s every new pod is refused by a quota. */
  readonly quotaEveryMs: number;
  /** One controller is gone for 1 to 5 s and comes back knowing nothing. */
  readonly controllerRestartEveryMs: number;
}

export const NO_FAULTS: Faults = {
  droppedNotificationPerMille: 0,
  duplicatedNotificationPerMille: 0,
  delayedNotificationPerMille: 0,
  staleSnapshotPerMille: 0,
  writeConflictPerMille: 0,
  apiErrorPerMille: 0,
  lostReplyPerMille: 0,
  slowStartPerMille: 0,
  nodeCrashEveryMs: 0,
  podCrashEveryMs: 0,
  readinessFlapEveryMs: 0,
  quotaEveryMs: 0,
  controllerRestartEveryMs: 0,
};

/** Far worse than any real cluster: a rollout of 50 pods meets most of them. */
export const MANY_FAULTS: Faults = {
  droppedNotificationPerMille: 4,
  duplicatedNotificationPerMille: 20,
  delayedNotificationPerMille: 20,
  staleSnapshotPerMille: 100,
  writeConflictPerMille: 10,
  apiErrorPerMille: 5,
  lostReplyPerMille: 5,
  slowStartPerMille: 30,
  nodeCrashEveryMs: 20_000,
  podCrashEveryMs: 8_000,
  readinessFlapEveryMs: 4_000,
  quotaEveryMs: 20_000,
  controllerRestartEveryMs: 15_000,
};

export type Fault =
  | "dropped notification"
  | "duplicated notification"
  | "delayed notification"
  | "stale snapshot"
  | "write conflict"
  | "api error"
  | "lost reply"
  | "slow start"
  | "node crash"
  | "node return"
  | "pod crash"
  | "readiness flap"
  | "quota refusal"
  | "controller restart";

export const FAULTS: readonly Fault[] = [
  "dropped notification",
  "duplicated notification",
  "delayed notification",
  "stale snapshot",
  "write conflict",
  "api error",
  "lost reply",
  "slow start",
  "node crash",
  "node return",
  "pod crash",
  "readiness flap",
  "quota refusal",
  "controller restart",
];

/** How often each fault struck, by the step of the scenario in which it did. */
export class FaultCounts {
  readonly #counts = new Map<string, Map<Fault, number>>();

  add(step: string, fault: Fault, times = 1): void {
    const ofStep = this.#counts.get(step) ?? new Map<Fault, number>();
    ofStep.set(fault, (ofStep.get(fault) ?? 0) + times);
    this.#counts.set(step, ofStep);
  }

  merge(other: FaultCounts): void {
    for (const [step, counts] of other.#counts) {
      for (const [fault, times] of counts) this.add(step, fault, times);
    }
  }

  get steps(): readonly string[] {
    return [...this.#counts.keys()];
  }

  of(step: string, fault: Fault): number {
    return this.#counts.get(step)?.get(fault) ?? 0;
  }
}
