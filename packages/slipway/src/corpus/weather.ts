/**
 * What lies between us and a replayed API: its own faults as a case tells them (`ApiFault`, `Distortion`), and by
 * seed the small troubles of every network. All of it is decided here, as data; `replay.ts` carries it out.
 *
 * A seed draws for each cluster and run how bad each trouble is, none to its bound:
 *
 *   answers    up to 400 ms late, one of 40 up to 4 s; up to 3 % refused with 429, 500 or 503
 *   watches    each change up to 2 s late; ended after 5 to 60 s, half of the time as 410 Gone; one of four falls silent
 *              at some time and stays open
 *   changes    up to 10 % told twice; counts of events not told (the API server's limit for events drops them)
 *   clock      of the cluster up to ten minutes beside ours
 */
import type { Random } from "@slipway/base";
import type { ApiFault, Distortion, FaultAnswer } from "./case.ts";

export interface Weather {
  /** What a request meets that begins now. */
  request(elapsedMs: number | undefined): {
    readonly lateMs: number;
    readonly fault: FaultAnswer | undefined;
  };
  /** How much later a change is told. */
  changeLateMs(): number;
  isToldTwice(): boolean;
  /** How long a watch lives and how it ends; undefined: as long as it is asked to. */
  watch(): { readonly endsAfterMs: number; readonly end: "closed" | "expired" | "silent" } | undefined;
  /** The fault that watches stand under now. */
  watchFault(elapsedMs: number | undefined): FaultAnswer | undefined;
  readonly skewMs: number;
  readonly eventsLateMs: number;
  /** Events do not come at all, or not their repetitions. */
  readonly eventsLost: "none" | "repetitions" | "all";
}

export interface WeatherOptions {
  readonly faults: readonly ApiFault[];
  readonly distort: readonly Distortion[];
  /** Undefined: calm, only what the case says. */
  readonly random: Random | undefined;
}

export function weatherOf({ faults, distort, random }: WeatherOptions): Weather {
  const draw = random === undefined ? CALM : drawn(random);
  const own = <K extends Distortion["kind"]>(kind: K): Extract<Distortion, { kind: K }> | undefined =>
    distort.find((one): one is Extract<Distortion, { kind: K }> => one.kind === kind);
  const standing = (elapsedMs: number | undefined): ApiFault | undefined =>
    faults.find(
      ({ fromMs, untilMs }) =>
        elapsedMs !== undefined && elapsedMs >= fromMs && (untilMs === undefined || elapsedMs < untilMs),
    );
  let asked = 0;
  const happens = (ratio: number): boolean => {
    if (ratio >= 1) return true;
    asked += 1;
    // Without a seed every n-th request; a ratio of 0.3 is the 4th, 7th, 10th …
    if (random === undefined) return Math.floor(asked * ratio) > Math.floor((asked - 1) * ratio);
    return random.int(1_000_000) < ratio * 1_000_000;
  };
  return {
    request: (elapsedMs) => {
      const fault = standing(elapsedMs);
      const lateMs = draw.answerLateMs();
      if (fault !== undefined && !["drop", "expired"].includes(fault.answer) && happens(fault.ratio)) {
        return fault.answer === "slow"
          ? { lateMs: lateMs + fault.latencyMs, fault: undefined }
          : { lateMs, fault: fault.answer };
      }
      return { lateMs, fault: draw.refusal() };
    },
    changeLateMs: draw.changeLateMs,
    isToldTwice: () => own("twice") !== undefined || draw.isToldTwice(),
    watch: draw.watch,
    watchFault: (elapsedMs) => standing(elapsedMs)?.answer,
    skewMs: own("clock-skew")?.skewMs ?? draw.skewMs,
    eventsLateMs: own("events-late")?.byMs ?? 0,
    eventsLost: own("events-lost") !== undefined ? "all" : draw.losesRepetitions ? "repetitions" : "none",
  };
}

interface Draw {
  readonly answerLateMs: () => number;
  readonly refusal: () => FaultAnswer | undefined;
  readonly changeLateMs: () => number;
  readonly isToldTwice: () => boolean;
  readonly watch: Weather["watch"];
  readonly skewMs: number;
  readonly losesRepetitions: boolean;
}

const CALM: Draw = {
  answerLateMs: () => 0,
  refusal: () => undefined,
  changeLateMs: () => 0,
  isToldTwice: () => false,
  watch: () => undefined,
  skewMs: 0,
  losesRepetitions: false,
};

function drawn(random: Random): Draw {
  const lateMs = random.int(400);
  const perMille = random.ratio(1, 2) ? 0 : random.int(30);
  const changeMs = random.int(2_000);
  const twicePerMille = random.int(100);
  const breaksWatches = random.ratio(1, 2);
  const fallsSilent = random.ratio(1, 4);
  return {
    answerLateMs: () => (random.ratio(1, 40) ? random.int(4_000) : random.int(lateMs + 1)),
    refusal: () => (random.int(1_000) < perMille ? random.pick(["429", "500", "503"] as const) : undefined),
    changeLateMs: () => random.int(changeMs + 1),
    isToldTwice: () => random.int(1_000) < twicePerMille,
    watch: () => {
      if (fallsSilent && random.ratio(1, 4)) return { endsAfterMs: random.int(60_000), end: "silent" };
      if (!breaksWatches) return undefined;
      return { endsAfterMs: 5_000 + random.int(55_000), end: random.ratio(1, 2) ? "expired" : "closed" };
    },
    skewMs: random.ratio(1, 2) ? 0 : random.int(1_200_000) - 600_000,
    losesRepetitions: random.ratio(1, 4),
  };
}
