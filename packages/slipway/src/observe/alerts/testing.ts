/** A service under a given traffic, second by second, with the rules that watch it. */
import { observeOf } from "../../config/observe.ts";
import { countsForTests, labelsForTests, type WrittenRequest } from "../counts/testing.ts";
import type { Signal } from "./alert.ts";
import { type Change, decide, type Memory, NOTHING_YET } from "./decide.ts";
import { type Rule, rulesOf, targetOf } from "./rules.ts";

type Written = NonNullable<Parameters<typeof observeOf>[0]>;

export interface Told extends Change {
  /** Seconds since the start. */
  readonly at: number;
}

/** Requests of one second. */
export interface Traffic {
  readonly perSecond: number;
  /** Share that fails. */
  readonly failing?: number;
  /** Share that takes a second. */
  readonly slow?: number;
  /** Source; 1 is release 1, 11 another cluster, 12 the edge where it reached none. */
  readonly source?: number;
}

export const T0 = Date.UTC(2026, 4, 1, 12, 0, 17);

export function rulesForTests(observe: Exclude<Written, false> = {}): readonly Rule[] {
  return rulesOf(observeOf(observe) as NonNullable<ReturnType<typeof observeOf>>);
}

export class Watched {
  readonly #counts;
  readonly #add;
  readonly #rules: readonly Rule[];
  memory: Memory = NOTHING_YET;
  signals: readonly Signal[] = [];
  readonly told: Told[] = [];
  #owed = { requests: 0, failing: 0, slow: 0 };
  #seconds = 0;
  /** What the wall clock is wrong by, ms. */
  skewMs = 0;

  constructor(observe: Exclude<Written, false> = {}) {
    const config = observeOf(observe) as NonNullable<ReturnType<typeof observeOf>>;
    const { counts, add } = countsForTests({ targetMs: targetOf(config) });
    this.#counts = counts;
    this.#add = add;
    this.#rules = rulesOf(config);
    for (const release of [2, 3])
      counts.label(release, labelsForTests({ release, pod: `web-${release}` }), 0);
    counts.label(11, labelsForTests({ cluster: "osaka", pod: "web-o" }), 0);
    counts.label(12, labelsForTests({ cluster: "", release: 0, pod: "" }), 0);
  }

  get now(): number {
    return T0 + this.#seconds * 1000 + this.skewMs;
  }

  get seconds(): number {
    return this.#seconds;
  }

  /** Minutes of the past with this traffic and no failures. */
  past(minutes: number, perMinute: number): void {
    const first = Math.floor(T0 / 60_000) - minutes;
    const key = {
      cluster: "tokyo",
      service: "web",
      release: 1,
      origin: "pod",
      class: "2xx",
      bucket: 35,
    } as const;
    this.#counts.restore(
      Array.from({ length: minutes }, (_, index) => ({
        ...key,
        minuteMs: (first + index) * 60_000,
        count: perMinute,
      })),
    );
  }

  /** Lets this traffic come for so many seconds, and decides every `every` of them. */
  run(seconds: number, traffic: Traffic | readonly Traffic[], every = 1): void {
    for (let second = 0; second < seconds; second += 1) {
      this.#seconds += 1;
      for (const one of [traffic].flat()) this.#second(one);
      if (second % every === every - 1) this.decide();
    }
  }

  /** These requests, now. */
  requests(requests: readonly Omit<WrittenRequest, "at">[]): void {
    this.#add(
      requests.map((one) => ({ ...one, at: this.now })),
      this.now,
    );
    this.decide();
  }

  decide(): void {
    const { memory, changes } = decide(this.#counts, this.#rules, this.signals, this.memory, this.now);
    this.memory = memory;
    this.told.push(...changes.map((change) => ({ ...change, at: this.#seconds })));
  }

  /** Changes that somebody would hear of, as `seconds kind rule`. */
  heard(): readonly string[] {
    return this.told
      .filter(({ kind }) => kind !== "updated")
      .map(({ at, kind, alert }) => `${at} ${kind} ${alert.rule}`);
  }

  open(): readonly string[] {
    return this.memory.alerts.filter(({ state }) => state !== "resolved").map(({ rule }) => rule);
  }

  #second({ perSecond, failing = 0, slow = 0, source = 1 }: Traffic): void {
    const owed = this.#owed;
    owed.requests += perSecond;
    const requests: WrittenRequest[] = [];
    for (; owed.requests >= 1 - 1e-9; owed.requests -= 1) {
      owed.failing += failing;
      owed.slow += slow;
      const fails = owed.failing >= 1 - 1e-9;
      const isSlow = owed.slow >= 1 - 1e-9;
      if (fails) owed.failing -= 1;
      if (isSlow) owed.slow -= 1;
      requests.push({ at: this.now, source, status: fails ? 502 : 200, ms: isSlow ? 1_000 : 20 });
    }
    this.#add(requests, this.now);
  }
}
