/** What the edge has answered since its start, counted without making a key for a request. */
import { bucketOf } from "../../observe/counts/histogram.ts";
import type { Backend } from "./balancer.ts";

export interface ServedCount {
  readonly cluster: string;
  readonly service: string;
  readonly replicaSet: string;
  readonly requests: number;
  /** Answers of 500 and above, the edge's own after a lost endpoint included. */
  readonly errors: number;
  /** Response times as a histogram (`observe/counts/histogram.ts`): requests by bucket, up to the last that has any. */
  readonly times: readonly number[];
}

type Served = Omit<{ -readonly [K in keyof ServedCount]: ServedCount[K] }, "times"> & {
  readonly times: number[];
};

/** Releases come and go while the edge stays: beyond this the oldest counts are dropped. */
const SERVED_KEPT = 500;

export class Totals {
  readonly #replicaSetOf: (backend: Backend) => string;
  /** By cluster, then by class of status: index 2 counts 2xx. */
  readonly #classes = new Map<string, number[]>();
  readonly #served: Served[] = [];
  /** The count of an endpoint's ReplicaSet, by the endpoint itself. */
  readonly #servedBy = new WeakMap<Backend, Served>();

  /** `replicaSetOf` is asked once for each endpoint. */
  constructor(replicaSetOf: (backend: Backend) => string) {
    this.#replicaSetOf = replicaSetOf;
  }

  /** `ms` undefined: the connection was handed over, and how long it lasts is no response time. */
  count(backend: Backend | undefined, service: string, status: number, ms?: number): void {
    const cluster = backend?.cluster ?? "edge";
    if (backend !== undefined) {
      const sums = this.#servedBy.get(backend) ?? this.#servedOf(backend, service);
      sums.requests += 1;
      if (status >= 500) sums.errors += 1;
      if (ms !== undefined) {
        const bucket = bucketOf(Math.round(ms));
        while (sums.times.length <= bucket) sums.times.push(0);
        sums.times[bucket] = (sums.times[bucket] as number) + 1;
      }
    }
    const known = this.#classes.get(cluster);
    const classes = known ?? [0, 0, 0, 0, 0, 0];
    if (known === undefined) this.#classes.set(cluster, classes);
    const index = Math.floor(status / 100);
    classes[index] = (classes[index] ?? 0) + 1;
  }

  /** By cluster and class of status: `tokyo 2xx`. */
  counters(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      [...this.#classes].flatMap(([cluster, classes]) =>
        classes.flatMap((sum, index) => (sum === 0 ? [] : [[`${cluster} ${index}xx`, sum] as const])),
      ),
    );
  }

  served(): readonly ServedCount[] {
    return this.#served.map((one) => ({ ...one, times: [...one.times] }));
  }

  #servedOf(backend: Backend, service: string): Served {
    const { cluster } = backend;
    const replicaSet = this.#replicaSetOf(backend);
    let sums = this.#served.find(
      (one) => one.cluster === cluster && one.service === service && one.replicaSet === replicaSet,
    );
    if (sums === undefined) {
      if (this.#served.length >= SERVED_KEPT) this.#served.shift();
      sums = { cluster, service, replicaSet, requests: 0, errors: 0, times: [] };
      this.#served.push(sums);
    }
    this.#servedBy.set(backend, sums);
    return sums;
  }
}
