/** Pods as cells, now and over time. Colour says the state, form says the same: a cross fails, an outline is not there yet. */
import { memo, useMemo } from "react";
import type { PodCell, PodChange } from "../live/api.ts";
import { hourMinute } from "../words/time.ts";
import { duration } from "../words/units.ts";
import { type Life, lives } from "./life.ts";

export const states: readonly { readonly state: PodCell["state"]; readonly text: string }[] = [
  { state: "pending", text: "waits for a node" },
  { state: "starting", text: "starts" },
  { state: "running", text: "runs, not ready" },
  { state: "ready", text: "ready" },
  { state: "failing", text: "fails" },
  { state: "terminating", text: "ends" },
];

export function Cells({ pods }: { readonly pods: readonly PodCell[] }) {
  const fresh = pods.filter(({ revision }) => revision === "new");
  const old = pods.filter(({ revision }) => revision === "old");
  return (
    <div className="cells">
      {[
        { name: "new", pods: fresh },
        { name: "old", pods: old },
      ]
        .filter(({ pods }) => pods.length > 0)
        .map(({ name, pods }) => (
          <div key={name} className="cell-row">
            <span className="cell-name">
              {name} <b>{pods.filter(({ state }) => state === "ready").length}</b>/{pods.length} ready
            </span>
            <span className="cell-grid">
              {pods.map((pod) => (
                <i
                  key={pod.name}
                  className={`cell ${pod.revision} ${pod.state}`}
                  title={`${pod.name}: ${pod.state}${pod.why === "" ? "" : `, ${pod.why}`}${
                    pod.restarts === 0 ? "" : `, ${pod.restarts} restarts`
                  }`}
                />
              ))}
            </span>
          </div>
        ))}
    </div>
  );
}

/** The pods that somebody would ask about, each with what it waits for. */
export function Trouble({ pods }: { readonly pods: readonly PodCell[] }) {
  const order: readonly PodCell["state"][] = ["failing", "running", "starting", "pending"];
  const found = pods
    .filter(({ state }) => order.includes(state))
    .toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  if (found.length === 0) return null;
  return (
    <ul className="trouble">
      {found.slice(0, 4).map(({ name, state, why, restarts }) => (
        <li key={name}>
          <i className={`cell new ${state}`} aria-hidden="true" />
          <span>
            <code>{name}</code> {why === "" ? state : why}
            {restarts === 0 ? "" : `, ${restarts} ${restarts === 1 ? "restart" : "restarts"}`}
          </span>
        </li>
      ))}
      {found.length > 4 ? <li className="muted">and {found.length - 4} more</li> : null}
    </ul>
  );
}

export function Legend() {
  return (
    <p className="legend" aria-hidden="true">
      {states.map(({ state, text }) => (
        <span key={state}>
          <i className={`cell new ${state}`} /> {text}
        </span>
      ))}
      <span>
        <i className="cell old ready" /> of the release before
      </span>
    </p>
  );
}

export function Timeline({
  changes,
  clusters,
  began,
  from,
  to,
}: {
  readonly changes: readonly PodChange[];
  readonly clusters: readonly string[];
  /** Of the release; the axis counts from there. */
  readonly began: number;
  readonly from: number;
  readonly to: number;
}) {
  const all = useMemo(() => lives(changes), [changes]);
  return (
    <div className="timelines">
      {clusters.map((cluster) => (
        <Strips
          key={cluster}
          cluster={cluster}
          lives={all.filter((life) => life.cluster === cluster && isSeen(life, from, to))}
          began={began}
          from={from}
          to={to}
        />
      ))}
    </div>
  );
}

function isSeen({ spans }: Life, from: number, to: number): boolean {
  return spans.some((span) => span.from < to && (span.to ?? to) > from);
}

/** Between the marks of the axis, ms: at most six of them. */
const axisSteps: readonly number[] = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 14_400].map(
  (s) => s * 1_000,
);

function Strips({
  cluster,
  lives,
  began,
  from,
  to,
}: {
  readonly cluster: string;
  readonly lives: readonly Life[];
  readonly began: number;
  readonly from: number;
  readonly to: number;
}) {
  if (lives.length === 0) return null;
  const row = Math.min(12, Math.max(4, Math.floor(320 / lives.length)));
  const height = row * lives.length;
  const ready = lives.filter(
    ({ revision, spans }) => revision === "new" && spans.at(-1)?.state === "ready",
  ).length;
  const fresh = lives.filter(({ revision }) => revision === "new").length;
  const step = axisSteps.find((ms) => (to - began) / ms <= 6) ?? (axisSteps.at(-1) as number);
  // The last one would be cut off where it stands at the very end.
  const marks = Array.from(
    { length: Math.floor((to - began) / step) + 1 },
    (_, index) => index * step,
  ).filter((mark) => (began + mark - from) / (to - from) < 0.96);
  return (
    <div className="timeline">
      <h3>{cluster}</h3>
      <div>
        <svg
          viewBox={`0 0 1000 ${height}`}
          preserveAspectRatio="none"
          style={{ height }}
          role="img"
          aria-label={`Pods of ${cluster} over ${duration(to - from)}: ${ready} of ${fresh} new ones are ready at the end`}
        >
          {lives.map((life, index) => (
            <Strip key={life.name} life={life} y={index * row} height={row - 1} from={from} to={to} />
          ))}
        </svg>
        <div className="timeline-axis" aria-hidden="true">
          {marks.map((mark) => (
            <span key={mark} style={{ left: `${((began + mark - from) / (to - from)) * 100}%` }}>
              {mark === 0 ? hourMinute(began) : `+${duration(mark)}`}
            </span>
          ))}
        </div>
      </div>
    </div>
  );
}

const Strip = memo(function Strip({
  life,
  y,
  height,
  from,
  to,
}: {
  readonly life: Life;
  readonly y: number;
  readonly height: number;
  readonly from: number;
  readonly to: number;
}) {
  const x = (at: number): number => ((Math.min(Math.max(at, from), to) - from) / (to - from)) * 1_000;
  return (
    <g className={life.revision}>
      <title>{`${life.name} (${life.revision}): ${life.spans.at(-1)?.state}`}</title>
      {life.spans.map((span) => {
        const left = x(span.from);
        // A state that was passed in a moment is still seen.
        const width = Math.max(1.5, x(span.to ?? to) - left);
        return span.from > to || (span.to ?? to) < from ? null : (
          <rect
            key={span.from}
            className={`cell-${span.state}`}
            x={left}
            y={y}
            width={width}
            height={height}
          />
        );
      })}
    </g>
  );
});
