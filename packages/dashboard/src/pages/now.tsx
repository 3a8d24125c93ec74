/** The first page: is all well, and if not, what is not and what to do. Then the figures that say so. */
import { useMemo } from "react";
import { Chart, type Line } from "../charts/chart.tsx";
import type { NowAnswer, ReleaseSummary, SeriesAnswer, ServiceNow, Traffic } from "../live/api.ts";
import { now, useNow } from "../live/clock.ts";
import { useLive } from "../live/store.ts";
import { useAnswer } from "../live/use-answer.ts";
import { Ago } from "../parts/ago.tsx";
import { Badge } from "../parts/badge.tsx";
import { Choice } from "../parts/choice.tsx";
import { Commit } from "../parts/commit.tsx";
import { Answered, Empty } from "../parts/state.tsx";
import { RollbackButton } from "../shell/rollback.tsx";
import { setParameters, useRoute } from "../shell/use-route.ts";
import { headline, type Point } from "../words/headline.ts";
import { count, duration, milliseconds, percent, perSecond } from "../words/units.ts";
import { isUnderWay } from "../words/where.ts";
import { rangeOf, ranges, spanOf } from "./ranges.ts";

export function NowPage() {
  const live = useLive((live) => live.now);
  const asked = useAnswer<NowAnswer>(live === undefined ? "/api/now" : undefined);
  if (live === undefined)
    return (
      <Answered answer={asked} what="the state of your services">
        {(value) => <Inside now={value} />}
      </Answered>
    );
  return <Inside now={live} />;
}

function Inside({ now }: { readonly now: NowAnswer }) {
  return (
    <div className="page">
      <Sentence now={now} />
      {now.release === undefined ? null : <Current release={now.release} />}
      <Services services={now.services} />
      <Traffics services={now.services} />
      <Clusters now={now} />
      <Lines now={now} />
    </div>
  );
}

function Sentence({ now }: { readonly now: NowAnswer }) {
  const at = useNow();
  const said = headline(now, at);
  return (
    <section className={`headline ${said.tone}`} aria-live="polite" aria-label="In one sentence">
      <h1>{said.text}</h1>
      <p>{said.todo}</p>
      <Actions point={said} />
      {said.more.length === 0 ? null : (
        <ul className="more-points">
          {said.more.map((point) => (
            <li key={point.text} className={point.tone}>
              <span>
                <strong>{point.text}</strong> {point.todo}
              </span>{" "}
              {point.link === undefined ? null : <a href={point.link.href}>{point.link.text}</a>}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Actions({ point }: { readonly point: Point }) {
  if (point.link === undefined && point.rollback === undefined) return null;
  return (
    <div className="buttons">
      {point.rollback === undefined ? null : <RollbackButton {...point.rollback} />}
      {point.link === undefined ? null : (
        <a className="button" href={point.link.href}>
          {point.link.text}
        </a>
      )}
    </div>
  );
}

function Current({ release }: { readonly release: ReleaseSummary }) {
  return (
    <section className="strip" aria-label="Newest release">
      <a className="strip-number" href={`#/release/${release.number}`} data-row>
        Release {release.number}
      </a>
      <Badge word={release.outcome} />
      <span className="strip-message">
        {release.message} <Commit hash={release.commit} />
      </span>
      <span className="strip-clusters">
        {release.clusters.map(({ name, verdict, step }) => (
          <span key={name}>
            {name}{" "}
            {isUnderWay({ verdict, step }) ? <Badge word={step} tone="going" /> : <Badge word={verdict} />}
          </span>
        ))}
      </span>
      <span className="muted">
        by {release.who}, <Ago at={release.startedAt} />
      </span>
    </section>
  );
}

function Services({ services }: { readonly services: readonly ServiceNow[] }) {
  if (services.length === 0) return null;
  return (
    <section>
      <h2>
        Services <small>last 5 minutes</small>
      </h2>
      <table className="cards five">
        <thead>
          <tr>
            <th scope="col">Service</th>
            <th scope="col" className="number">
              Requests
            </th>
            <th scope="col" className="number">
              Errors
            </th>
            <th scope="col" className="number">
              p50
            </th>
            <th scope="col" className="number">
              p95
            </th>
            <th scope="col" className="number">
              p99
            </th>
          </tr>
        </thead>
        {services.map(({ service, traffic, byRelease }) => (
          <tbody key={service}>
            <tr>
              <th scope="row">
                <a href={`#/logs?service=${encodeURIComponent(service)}`} data-row>
                  {service}
                </a>
              </th>
              <TrafficCells traffic={traffic} />
            </tr>
            {byRelease.length < 2
              ? null
              : byRelease.map(({ release, traffic }) => (
                  <tr key={release} className="part">
                    <th scope="row">
                      <a href={`#/release/${release}`}>release {release}</a>
                    </th>
                    <TrafficCells traffic={traffic} />
                  </tr>
                ))}
          </tbody>
        ))}
      </table>
    </section>
  );
}

/** A share of errors that a promise of 99.9 % does not allow, and one that nobody overlooks. */
function errorTone(ratio: number): string {
  return ratio >= 0.01 ? "bad" : ratio > 0.001 ? "warn" : "";
}

function TrafficCells({ traffic }: { readonly traffic: Traffic }) {
  return (
    <>
      <td className="number" data-label="Requests" title={`${count(traffic.requests)} requests`}>
        {perSecond(traffic.perSecond)}
      </td>
      <td
        className={`number ${errorTone(traffic.errorRatio)}`}
        data-label="Errors"
        title={`${count(traffic.errors)} answers with 5xx`}
      >
        {percent(traffic.errorRatio)}
      </td>
      <td className="number" data-label="p50">
        {milliseconds(traffic.p50)}
      </td>
      <td className="number" data-label="p95">
        {milliseconds(traffic.p95)}
      </td>
      <td className="number" data-label="p99">
        {milliseconds(traffic.p99)}
      </td>
    </>
  );
}

function Traffics({ services }: { readonly services: readonly ServiceNow[] }) {
  const { parameters } = useRoute();
  const isWorld = useLive((live) => live.session?.place === "world");
  const committed = useLive((live) => live.committed);
  const at = useNow();
  const service = parameters["service"] ?? "";
  const { from, to, stepMs } = spanOf(parameters, at, isWorld ? "15m" : "1h");
  const isZoomed = parameters["from"] !== undefined;
  const question = new URLSearchParams({
    service,
    from: String(from),
    to: String(to),
    step: String(stepMs / 1_000),
  });
  // A chart whose steps are long does not change each second.
  const answer = useAnswer<SeriesAnswer>(
    `/api/series?${question}`,
    committed,
    stepMs <= 60_000 ? 2_000 : 15_000,
  );
  return (
    <section>
      <div className="section-head">
        <h2>Traffic</h2>
        {services.length < 2 ? null : (
          <Choice
            label="Service"
            value={service}
            options={[
              { value: "", text: "All" },
              ...services.map(({ service }) => ({ value: service, text: service })),
            ]}
            onChoose={(service) => setParameters({ service })}
          />
        )}
        <div data-ranges className="ranges">
          <Choice
            label="Time"
            value={isZoomed ? "" : rangeOf(parameters, isWorld ? "15m" : "1h").value}
            options={ranges}
            onChoose={(range) => setParameters({ range, from: "", to: "" })}
          />
          {isZoomed ? (
            <button type="button" onClick={() => setParameters({ from: "", to: "" })}>
              Back to live
            </button>
          ) : null}
        </div>
      </div>
      <Answered answer={answer} what="traffic over time">
        {(series) => <Charts series={series} from={from} to={to} />}
      </Answered>
    </section>
  );
}

function Charts({
  series,
  from,
  to,
}: {
  readonly series: SeriesAnswer;
  readonly from: number;
  readonly to: number;
}) {
  // At the moment of its answer: later, the newest step would seem to have lasted longer than what it counts.
  const drawn = useMemo(() => drawing(series, now()), [series]);
  if (!series.requests.some((requests) => requests > 0)) {
    return (
      <Empty title="No requests in this time">
        Send one through what is in front of the clusters, or choose a longer time.
      </Empty>
    );
  }
  const zoom = (span: { from: number; to: number } | undefined): void =>
    setParameters(
      span === undefined ? { from: "", to: "" } : { from: String(span.from), to: String(span.to) },
    );
  const common = { from, to, times: drawn.times, markers: series.markers, group: "now", onZoom: zoom };
  return (
    <div className="charts">
      <Chart {...common} title="Requests" lines={drawn.requests} format={perSecond} />
      <Chart {...common} title="Errors" lines={drawn.errors} format={percent} />
      <Chart {...common} title="Response time" lines={drawn.latency} format={milliseconds} height={200} />
    </div>
  );
}

interface Drawing {
  readonly times: readonly number[];
  readonly requests: readonly Line[];
  readonly errors: readonly Line[];
  readonly latency: readonly Line[];
}

/** The newest step is not full yet: its rate is of the time that it has lasted, and of a moment there is none. */
function drawing(series: SeriesAnswer, at: number): Drawing {
  const { stepMs } = series;
  const lasted = at - (series.times.at(-1) ?? 0);
  const length = series.times.length - (lasted < Math.min(stepMs / 4, 10_000) ? 1 : 0);
  const seconds = (index: number): number =>
    Math.min(stepMs, index === series.times.length - 1 ? Math.max(1_000, lasted) : stepMs) / 1_000;
  const cut = <T,>(values: readonly T[]): readonly T[] => values.slice(0, length);
  return {
    times: cut(series.times),
    requests: [
      {
        label: "requests",
        colour: "one",
        isArea: true,
        values: cut(series.requests).map((n, index) => n / seconds(index)),
      },
    ],
    errors: [
      {
        label: "5xx",
        colour: "bad",
        isArea: true,
        values: cut(series.errors).map((n, index) => {
          const all = series.requests[index] ?? 0;
          return all === 0 ? null : n / all;
        }),
      },
    ],
    latency: [
      { label: "p50", colour: "three", values: cut(series.p50) },
      { label: "p95", colour: "one", values: cut(series.p95) },
      { label: "p99", colour: "two", values: cut(series.p99) },
    ],
  };
}

function Clusters({ now }: { readonly now: NowAnswer }) {
  return (
    <section>
      <h2>Clusters</h2>
      <div className="tiles">
        {now.clusters.map(({ name, reachable, reason, release, pods }) => {
          const traffic = now.services
            .flatMap(({ byCluster }) => byCluster)
            .filter(({ cluster }) => cluster === name)
            .reduce((sum, { traffic }) => sum + traffic.perSecond, 0);
          return (
            <a key={name} className="tile" href={`#/cluster?cluster=${encodeURIComponent(name)}`} data-row>
              <strong>{name}</strong>
              {reachable ? (
                <>
                  <span className={pods.ready < pods.wanted ? "warn" : ""}>
                    {pods.wanted === 0 ? "no pods" : `${pods.ready} of ${pods.wanted} pods ready`}
                  </span>
                  <span>{release === undefined ? "nothing released" : `release ${release}`}</span>
                  <span>{perSecond(traffic)} requests</span>
                </>
              ) : (
                <span className="bad">does not answer: {reason}</span>
              )}
            </a>
          );
        })}
      </div>
    </section>
  );
}

/** Nothing is lost unseen: what came in is requests, other lines, or lines that nobody could read. */
function Lines({ now: { lines } }: { readonly now: NowAnswer }) {
  const missing = lines.read - lines.requests - lines.logs - lines.quarantine;
  return (
    <p className="fine">
      {count(lines.read)} log lines read: {count(lines.requests)} requests ({count(lines.probes)} of them
      health checks, which no figure counts), {count(lines.logs)} others,{" "}
      {lines.quarantine === 0 ? (
        "none unreadable"
      ) : (
        <a href="#/queries?sql=select%20*%20from%20quarantine%20order%20by%20ts%20desc%20limit%20100">
          {count(lines.quarantine)} unreadable
        </a>
      )}
      {missing === 0 ? null : <strong className="bad">, {count(missing)} that are nowhere</strong>}
      {lines.gaps === 0 ? "" : `, ${count(lines.gaps)} bytes lost before they could be read`}. Newest line
      stored {lines.lagMs < 1_000 ? milliseconds(lines.lagMs) : duration(lines.lagMs)} after it was written.
    </p>
  );
}
