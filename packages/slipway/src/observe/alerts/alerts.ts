/**
 * Watches: decides again and again, keeps what came of it, then tells it. The order makes it safe to be killed at any
 * moment: what is told has been written down before, and after a start everything that is open is told once more,
 * which changes nothing where it stands already.
 */
import { type Clock, SlipwayError } from "@slipway/base";
import type { Alert, Signal } from "./alert.ts";
import { type Change, decide, isOpen } from "./decide.ts";
import type { CountsView } from "./facts.ts";
import type { AlertStore, Kept, Mute } from "./kept.ts";
import type { Rule } from "./rules.ts";
import { digestOf, type ReleaseFacts, type Story, storyOf } from "./story.ts";

/** The port to where people read of incidents. It returns at once and loses nothing. */
export interface Teller {
  /** `slack #deploys`, for people. */
  readonly name: string;
  /** False for a webhook: then what follows the first message is told by `add`. */
  readonly edits: boolean;
  /** From now on the message of this id looks like this. */
  show(id: string, story: Story, at: number): void;
  /** One line below it, or beside it; once for each key. */
  add(id: string, key: string, title: string): void;
  /** How far the message has got. */
  delivery(id: string): Promise<{ readonly delivered: boolean; readonly problem: string | undefined }>;
}

export interface AlertsOptions {
  readonly service: string;
  readonly counts: CountsView;
  readonly rules: readonly Rule[];
  readonly store: AlertStore;
  readonly teller: Teller;
  readonly releases: ReleaseFacts;
  readonly clock: Clock;
  readonly onProblem: (error: unknown) => void;
}

export interface Standing {
  readonly alerts: readonly (Alert & {
    readonly mute: Mute | undefined;
    readonly rollbackTo: number | undefined;
  })[];
  readonly rules: readonly { readonly name: string; readonly text: string; readonly state: string }[];
}

export interface Alerts {
  /** Decides now. Calls while one is under way share the next. */
  evaluate(): Promise<void>;
  /** Decides every second until the signal. */
  run(signal: AbortSignal): Promise<void>;
  /** What this source has to report from now on; nothing: all of it is over. After `expiresAt` it is over by itself. */
  report(source: string, signals: readonly Signal[], expiresAt?: number): Promise<void>;
  /** Nobody is told of an incident, or of a rule, for so long; 0 ends it. Rejects with ALERT_UNKNOWN. */
  mute(id: string, forMs: number, reason: string, who: string): Promise<void>;
  /** Sends an incident that is none; resolves with what came of it within `patienceMs`. */
  test(patienceMs?: number): Promise<{ readonly delivered: boolean; readonly text: string }>;
  standing(): Standing;
  /** Called with each incident that opened, changed or closed. */
  onChange(listener: (alert: Standing["alerts"][number]) => void): void;
}

const EVERY_MS = 1_000;
/** Numbers of an incident that goes on are told, and kept, this often. */
const REFRESH_MS = 30_000;
/** More open at once than this, and further ones share a message. */
const MOST_MESSAGES = 5;
/** Where nothing can be edited, news of an incident comes no more often. */
const NEWS_EVERY_MS = 5 * 60_000;
/** What has been over for longer is not told again after a start. */
const TELL_AGAIN_MS = 24 * 60 * 60_000;
export const LONGEST_MUTE_MS = 30 * 24 * 60 * 60_000;

/** Reads what was kept, and tells what is open. */
export async function createAlerts(options: AlertsOptions): Promise<Alerts> {
  const { counts, rules, store, teller, releases, clock } = options;
  const listeners: ((alert: Standing["alerts"][number]) => void)[] = [];
  let kept: Kept = await store.read();
  let keptAt = Number.NEGATIVE_INFINITY;
  const shownAt = new Map<string, number>();
  const newsAt = new Map<string, number>();
  let queue: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;

  const muteOf = (alert: Alert): Mute | undefined =>
    kept.mutes.find(({ id, until }) => until > clock.now() && (id === alert.id || id === alert.rule));
  const alertsAt = (place: string): readonly Alert[] =>
    kept.memory.alerts.filter(({ id }) => kept.places[id] === place);
  const viewOf = (alert: Alert): Standing["alerts"][number] => ({
    ...alert,
    mute: isOpen(alert) ? muteOf(alert) : undefined,
    rollbackTo:
      alert.release === undefined || !isOpen(alert) ? undefined : releases(alert.release)?.rollbackTo,
  });

  const step = async (): Promise<void> => {
    const now = clock.now();
    const before = kept;
    const reported = Object.fromEntries(
      Object.entries(before.reported).filter(
        ([, { expiresAt }]) => expiresAt === undefined || expiresAt > now,
      ),
    );
    // Two sources may use the same words: their rows are not the same.
    const signals = Object.entries(reported).flatMap(([source, one]) =>
      one.signals.map((signal) => ({ ...signal, key: `${source}|${signal.key}` })),
    );
    const { memory, changes } = decide(counts, rules, signals, before.memory, now);
    const mutes = before.mutes.filter(({ until }) => until > now);
    kept = { memory, mutes, reported, places: before.places };
    kept = { ...kept, places: placesOf(memory.alerts, kept.places, muteOf, now) };
    const isNews =
      changes.some(({ kind }) => kind !== "updated") ||
      mutes.length !== before.mutes.length ||
      JSON.stringify(kept.places) !== JSON.stringify(before.places);
    const hasNumbers = changes.length > 0 && Math.abs(now - keptAt) >= REFRESH_MS;
    if (isNews || hasNumbers) await save(now);
    tellAll(changes, now, isNews);
    for (const { alert } of changes) for (const listener of listeners) listener(viewOf(alert));
  };
  /** When it cannot be kept, a full disk say, it is told all the same: rather twice than not at all. */
  const save = async (now: number): Promise<void> => {
    keptAt = now;
    await store.write(kept).catch((error: unknown) => options.onProblem(error));
  };
  /** One after the other; a change that is asked for is applied between two decisions. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = queue.then(work);
    queue = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  };

  const tellAll = (changes: readonly Change[], now: number, isNews: boolean): void => {
    const changed = new Map(changes.map((change) => [kept.places[change.alert.id], change.kind]));
    const open = kept.memory.alerts.filter(isOpen).map(({ id }) => kept.places[id]);
    for (const place of new Set([...changed.keys(), ...open])) {
      if (place === undefined) continue;
      const kind = changed.get(place);
      const isDue = Math.abs(now - (shownAt.get(place) ?? Number.NEGATIVE_INFINITY)) >= REFRESH_MS;
      // A mute changes what is said, without a change of the incident.
      if ((kind !== undefined && (kind !== "updated" || isDue)) || isNews) show(place, now);
    }
    for (const change of changes) tellNews(change, now);
  };
  const show = (place: string, now: number): void => {
    const alerts = alertsAt(place);
    const [first] = alerts;
    if (first === undefined) return;
    shownAt.set(place, now);
    const story = place === first.id ? storyOf(first, muteOf(first), releases) : digestOf(alerts, muteOf);
    teller.show(place, story, first.changedAt);
  };
  /** What must be heard, and an edit would not say aloud. */
  const tellNews = ({ kind, alert }: Change, now: number): void => {
    const place = kept.places[alert.id];
    if (place === undefined || muteOf(alert) !== undefined) return;
    if (kind === "resolved") return tellEnd(alert, place);
    const isLoud = kind === "graver" || (kind === "reopened" && alert.severity === "page");
    const isNew = kind === "opened" && place !== alert.id && !teller.edits;
    if (!isLoud && !isNew) return;
    if (kind !== "graver" && Math.abs(now - (newsAt.get(place) ?? Number.NEGATIVE_INFINITY)) < NEWS_EVERY_MS)
      return;
    newsAt.set(place, now);
    const what = kind === "graver" ? `now a ${alert.severity}` : kind === "opened" ? alert.severity : "again";
    teller.add(place, `${kind}-${alert.id}-${alert.changedAt}`, `${what}: ${alert.title}`);
  };
  const tellEnd = (alert: Alert, place: string): void => {
    if (!teller.edits) teller.add(place, `over-${alert.id}-${alert.resolvedAt}`, `resolved: ${alert.title}`);
  };

  for (const place of new Set(Object.values(kept.places))) {
    const recent = alertsAt(place).filter(
      (alert) => isOpen(alert) || clock.now() - alert.changedAt < TELL_AGAIN_MS,
    );
    if (recent.length > 0) show(place, clock.now());
    for (const alert of recent) if (!isOpen(alert)) tellEnd(alert, place);
  }

  const evaluate = (): Promise<void> => {
    next ??= inTurn(() => {
      next = undefined;
      return step();
    }).catch((error: unknown) => options.onProblem(error));
    return next;
  };

  return {
    evaluate,
    async run(signal) {
      while (!signal.aborted) {
        await evaluate();
        await clock.sleep(EVERY_MS, signal).catch(() => undefined);
      }
    },
    report: (source, signals, expiresAt) =>
      inTurn(async () => {
        const { [source]: _, ...others } = kept.reported;
        kept = {
          ...kept,
          reported: signals.length === 0 ? others : { ...others, [source]: { signals, expiresAt } },
        };
        await save(clock.now());
        await step();
      }),
    mute: (id, forMs, reason, who) =>
      inTurn(async () => {
        const now = clock.now();
        const others = kept.mutes.filter((one) => one.id !== id);
        if (forMs > 0) {
          requireKnown(id, kept, rules);
          const until = now + Math.min(forMs, LONGEST_MUTE_MS);
          kept = { ...kept, mutes: [...others, { id, until, reason, who }] };
        } else {
          if (others.length === kept.mutes.length) requireKnown(id, kept, rules);
          kept = { ...kept, mutes: others };
        }
        await save(now);
        await step();
        for (const alert of kept.memory.alerts) {
          if (alert.id !== id && alert.rule !== id) continue;
          const place = kept.places[alert.id];
          if (place !== undefined && isOpen(alert)) show(place, now);
          if (isOpen(alert)) for (const listener of listeners) listener(viewOf(alert));
        }
      }),
    async test(patienceMs = 15_000) {
      const now = clock.now();
      const id = `test-${now.toString(36)}`;
      const story: Story = {
        state: "firing",
        severity: "info",
        title: `${options.service}: a test of the alerts`,
        since: undefined,
        facts: [{ name: "nothing is wrong", value: "somebody wanted to see whether this arrives" }],
        samples: [],
        rollback: undefined,
      };
      teller.show(id, story, now);
      const until = clock.monotonic() + patienceMs;
      let delivery = await teller.delivery(id);
      while (!delivery.delivered && clock.monotonic() < until) {
        await clock.sleep(50);
        delivery = await teller.delivery(id);
      }
      if (delivery.delivered) {
        teller.show(id, { ...story, state: "resolved" }, clock.now());
        return { delivered: true, text: `${teller.name}: it arrived` };
      }
      const why = delivery.problem ?? "no answer yet";
      return { delivered: false, text: `${teller.name}: not delivered: ${why}. It is tried again.` };
    },
    standing: () => ({
      alerts: kept.memory.alerts.map(viewOf),
      rules: rules.map(({ name, text, service }) => {
        const isMuted = kept.mutes.some((mute) => mute.id === name && mute.until > clock.now());
        const isFiring = kept.memory.alerts.some(
          (alert) =>
            isOpen(alert) && alert.rule === name && (service === undefined || alert.service === service),
        );
        const state = isMuted ? "muted" : isFiring ? "firing" : "ok";
        return { name, text: service === undefined ? text : `${service}: ${text}`, state };
      }),
    }),
    onChange: (listener) => void listeners.push(listener),
  };
}

/** A message for each open incident that somebody should hear of: its own, or a share in a digest when there are many. */
function placesOf(
  alerts: readonly Alert[],
  before: Kept["places"],
  muteOf: (alert: Alert) => Mute | undefined,
  now: number,
): Kept["places"] {
  const places: Record<string, string> = {};
  for (const { id } of alerts) {
    const place = before[id];
    if (place !== undefined) places[id] = place;
  }
  for (const alert of [...alerts].reverse()) {
    if (!isOpen(alert) || places[alert.id] !== undefined || muteOf(alert) !== undefined) continue;
    const open = alerts.filter((one) => isOpen(one) && places[one.id] !== undefined);
    const own = open.filter((one) => places[one.id] === one.id).length;
    const digest = open.map((one) => places[one.id]).find((place) => place?.startsWith("digest-"));
    places[alert.id] = own < MOST_MESSAGES ? alert.id : (digest ?? `digest-${now.toString(36)}`);
  }
  return places;
}

function requireKnown(id: string, kept: Kept, rules: readonly Rule[]): void {
  const { alerts } = kept.memory;
  const names = [...new Set([...rules.map(({ name }) => name), ...alerts.map(({ rule }) => rule)])];
  if (names.includes(id) || alerts.some((alert) => alert.id === id)) return;
  const open = alerts.filter(isOpen).map((alert) => alert.id);
  throw new SlipwayError({
    code: "ALERT_UNKNOWN",
    where: `alerts/${id}`,
    message: "is neither a rule nor an incident",
    hint: `Rules: ${names.join(", ")}. Open incidents: ${open.join(", ") || "none"}.`,
    exitCode: 2,
  });
}
