/**
 * The first sentence of the first page, for somebody woken at night: is all well, and if not, what is not, and what to do.
 * Everything that is not well is a point; the worst one is the sentence, the others follow it.
 */
import type { ClusterNow, Incident, NowAnswer, ReleaseSummary, ServiceNow } from "../live/api.ts";
import { duration, percent, perSecond } from "./units.ts";

export type Tone = "bad" | "warn" | "quiet" | "good";

export interface Point {
  readonly tone: Tone;
  readonly text: string;
  /** What to do about it, or that nothing is to be done. */
  readonly todo: string;
  /** The page that shows more, and how that link reads. */
  readonly link: { readonly href: string; readonly text: string } | undefined;
  readonly rollback: { readonly leaves: number; readonly to: number } | undefined;
}

export interface Headline extends Point {
  readonly more: readonly Point[];
}

/** Figures older than this are not "now" any more. */
const staleAfterMs = 30_000;
/** For so long the failure of a release that was taken back is news. */
const newsForMs = 24 * 3_600_000;

export function headline(now: NowAnswer, at: number): Headline {
  const points = [
    ...stale(now, at),
    ...now.alerts.filter(({ state }) => state === "firing").map((incident) => ofIncident(incident, at)),
    ...now.services.flatMap((service) => ofService(service, now.alerts)),
    ...now.clusters.flatMap((cluster) => ofCluster(cluster, now.release)),
    ...ofRelease(now, at),
    ...ofLines(now),
    ...silence(now),
  ];
  const order: readonly Tone[] = ["bad", "warn", "quiet", "good"];
  const [first, ...more] = points.toSorted((a, b) => order.indexOf(a.tone) - order.indexOf(b.tone));
  if (first === undefined) return { ...allWell(now, at), more: [] };
  return { ...first, more };
}

function allWell(now: NowAnswer, at: number): Point {
  const traffic = now.services.reduce((sum, { traffic }) => sum + traffic.perSecond, 0);
  const { release } = now;
  const going = release?.outcome === "in-progress";
  const released =
    release === undefined
      ? ""
      : going
        ? ` Release ${release.number} is going out.`
        : ` Release ${release.number} has been ${release.outcome} for ${duration(at - (release.finishedAt ?? release.startedAt))}.`;
  return point(
    "good",
    `All is well. ${many(now.services.length, "service")} in ${many(now.clusters.length, "cluster")} ${
      now.services.length === 1 ? "answers" : "answer"
    } ${perSecond(traffic)} requests.${released}`.replace("/s requests", " requests a second"),
    going ? "Watch it, or go back to sleep: it goes back by itself when a wave fails." : "Nothing to do.",
    going ? { href: `#/release/${release.number}`, text: "Watch the release" } : undefined,
  );
}

function stale(now: NowAnswer, at: number): Point[] {
  const age = at - now.at;
  if (age < staleAfterMs) return [];
  return [
    point(
      "bad",
      `These figures are ${duration(age)} old: nothing newer arrives.`,
      "Your services may be well; it is the observer that is silent. Look whether it runs: slipway local status, or the collector's pod.",
    ),
  ];
}

function ofIncident(incident: Incident, at: number): Point {
  const since = `${incident.title}, for ${duration(at - incident.openedAt)}.`;
  const { release, rollbackTo } = incident;
  const tone = incident.severity === "page" ? "bad" : incident.severity === "ticket" ? "warn" : "quiet";
  if (release !== undefined && rollbackTo !== undefined) {
    return {
      ...point(
        tone,
        since,
        `It began under release ${release}. Going back to release ${rollbackTo} takes no build.`,
        { href: logsOf(incident), text: "See the failing requests" },
      ),
      rollback: { leaves: release, to: rollbackTo },
    };
  }
  return point(
    tone,
    since,
    tone === "quiet"
      ? "For information; nothing has to be done."
      : release === undefined
        ? "No release explains it: look at what the failing requests have in common."
        : `It began under release ${release}.`,
    { href: logsOf(incident), text: "See the failing requests" },
  );
}

function logsOf({ service, release }: Incident): string {
  const parameters = new URLSearchParams({
    ...(service === "" ? {} : { service }),
    ...(release === undefined ? {} : { release: String(release) }),
    class: "5xx",
  });
  return `#/logs?${parameters}`;
}

/**
 * Errors that no alert tells of: alerts are off, or muted by mistake, or their window is not full yet. One per cent, and not a
 * single chance one; where an incident is open or muted for the service, that one has said it.
 */
function ofService({ service, traffic, byRelease }: ServiceNow, alerts: readonly Incident[]): Point[] {
  if (traffic.errorRatio < 0.01 || traffic.errors < 3) return [];
  if (alerts.some((incident) => incident.service === service)) return [];
  const [fresh, before] = byRelease;
  const isNew =
    fresh !== undefined && before !== undefined && fresh.traffic.errorRatio > 2 * before.traffic.errorRatio;
  return [
    point(
      traffic.errorRatio >= 0.05 ? "bad" : "warn",
      `${service} answers ${percent(traffic.errorRatio)} of requests with a 5xx.`,
      isNew
        ? `Release ${fresh.release} fails more often than release ${before.release}: compare them.`
        : "Look at what the failing requests have in common.",
      isNew
        ? {
            href: `#/compare?${new URLSearchParams({ service, a: String(before.release), b: String(fresh.release) })}`,
            text: "Compare the releases",
          }
        : {
            href: `#/logs?${new URLSearchParams({ service, class: "5xx" })}`,
            text: "See the failing requests",
          },
    ),
  ];
}

function ofCluster(cluster: ClusterNow, release: ReleaseSummary | undefined): Point[] {
  const link = { href: "#/cluster", text: "Look at the cluster" };
  if (!cluster.reachable) {
    return [
      point(
        "bad",
        `Cluster ${cluster.name} does not answer${cluster.reason === undefined ? "" : `: ${cluster.reason}`}.`,
        "Its services may still serve; releases wait for it. Look whether its API server is up and your access is valid.",
        link,
      ),
    ];
  }
  const { ready, wanted } = cluster.pods;
  // While a release goes out, pods come and go: the page of the release says how.
  if (ready >= wanted || release?.outcome === "in-progress") return [];
  return [
    point(
      ready === 0 ? "bad" : "warn",
      `${wanted - ready} of ${many(wanted, "pod")} in ${cluster.name} ${wanted - ready === 1 ? "is" : "are"} not ready.`,
      ready === 0 ? "Nothing serves there." : "The others carry the load meanwhile; look at why.",
      link,
    ),
  ];
}

function ofRelease({ release }: NowAnswer, at: number): Point[] {
  if (release === undefined) return [];
  const { number, outcome } = release;
  const link = { href: `#/release/${number}`, text: "See why" };
  const cause = release.cause === undefined ? "" : `: ${release.cause.replace(/\.$/, "")}`;
  if (outcome === "failed") {
    return [
      point("bad", `Release ${number} failed and still runs somewhere${cause}.`, "Roll it back.", link),
    ];
  }
  if (outcome === "unknown" || outcome === "interrupted") {
    return [
      point(
        "warn",
        `Release ${number} ${outcome === "unknown" ? "could not be confirmed in every cluster" : "was cut off"}${cause}.`,
        outcome === "unknown"
          ? "Look which cluster did not answer."
          : "Go on with it by slipway deploy --resume, or roll it back.",
        link,
      ),
    ];
  }
  if (outcome === "rolled-back" && at - (release.finishedAt ?? release.startedAt) < newsForMs) {
    return [
      point(
        "warn",
        `Release ${number} was taken back by itself${cause}.`,
        "The release before it serves again; nothing is urgent. Fix the cause and ship anew.",
        link,
      ),
    ];
  }
  return [];
}

function ofLines({ lines }: NowAnswer): Point[] {
  if (lines.problem !== undefined) {
    return [
      point(
        "warn",
        `Logs are not complete: ${lines.problem}.`,
        "Figures below may be too low until it ends.",
      ),
    ];
  }
  if (lines.lagMs < staleAfterMs) return [];
  return [
    point(
      "warn",
      `Logs are stored ${duration(lines.lagMs)} late.`,
      "Figures of the last minutes are not complete.",
    ),
  ];
}

function silence(now: NowAnswer): Point[] {
  if (now.services.some(({ traffic }) => traffic.requests > 0)) return [];
  if (now.release === undefined) {
    return [
      point("quiet", "Nothing has been released yet.", "In the folder of your service: slipway ship", {
        href: "#/history",
        text: "What a release is",
      }),
    ];
  }
  return [
    point(
      "quiet",
      "No request in the last five minutes.",
      "At night that may be right. If not, look at what is in front of the clusters.",
    ),
  ];
}

function point(tone: Tone, text: string, todo: string, link?: Point["link"]): Point {
  return { tone, text, todo, link, rollback: undefined };
}

export function many(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
