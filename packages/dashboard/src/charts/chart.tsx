/**
 * Lines over time. One uPlot for the life of the chart: new figures are put into it, and only other lines or other colours
 * make it anew. Figures at the pointer stand in the head of the chart, where they do not cover what is looked at.
 */
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import type { DeployMarker } from "../live/api.ts";
import { useIsDark } from "../shell/theme.ts";
import { absolute, hourMinute } from "../words/time.ts";
import { alone } from "./alone.ts";
import { type ColourName, colour, faint } from "./colours.ts";

export interface Line {
  readonly label: string;
  readonly colour: ColourName;
  readonly values: readonly (number | null)[];
  readonly isArea?: boolean;
}

export interface ChartProps {
  readonly title: string;
  /** Begin of each step, ms. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  /** What the axis spans, ms; else as far as there are values. */
  readonly from?: number;
  readonly to?: number;
  readonly format: (value: number) => string;
  readonly markers?: readonly DeployMarker[];
  readonly height?: number;
  /** Charts with the same key share the pointer. */
  readonly group?: string;
  /** A span was chosen with the pointer, ms; undefined: the choice was taken back. */
  readonly onZoom?: ((span: { from: number; to: number } | undefined) => void) | undefined;
}

export function Chart({
  title,
  times,
  lines,
  from,
  to,
  format,
  markers = [],
  height = 168,
  group,
  onZoom,
}: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const head = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const isDark = useIsDark();
  // What the drawing looks at when it draws, so that nothing is made anew for it.
  const latest = useRef({ markers, format, lines, onZoom, from, to });
  latest.current = { markers, format, lines, onZoom, from, to };
  const shape = lines.map(({ label, colour, isArea }) => `${label}/${colour}/${isArea}`).join();

  // biome-ignore lint/correctness/useExhaustiveDependencies: only the shape and the colours make a new plot
  useEffect(() => {
    const host = box.current as HTMLDivElement;
    const made = new uPlot(
      options({
        host,
        height,
        group,
        latest,
        say: (index) => say(head.current, plot.current, latest.current, index),
      }),
      data(times, lines),
      host,
    );
    plot.current = made;
    say(head.current, made, latest.current, null);
    const observer = new ResizeObserver(() => {
      if (host.clientWidth > 0 && host.clientWidth !== made.width)
        made.setSize({ width: host.clientWidth, height });
    });
    observer.observe(host);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape, isDark, height, group]);

  useEffect(() => {
    plot.current?.setData(data(times, lines));
    say(head.current, plot.current, latest.current, plot.current?.cursor.idx ?? null);
  }, [times, lines]);

  return (
    <figure className="chart">
      <figcaption>
        <span className="chart-title">{title}</span>
        <div className="chart-head" ref={head}>
          {lines.map(({ label, colour }) => (
            <span key={label}>
              <i className={`swatch ${colour}`} aria-hidden="true" />
              {label} <b />
            </span>
          ))}
        </div>
      </figcaption>
      <div
        ref={box}
        className="plot"
        role="img"
        aria-label={summary({ title, lines, format, times, markers })}
      />
    </figure>
  );
}

function data(times: readonly number[], lines: readonly Line[]): uPlot.AlignedData {
  return [times.map((time) => time / 1_000), ...lines.map(({ values }) => values as (number | null)[])];
}

interface Latest {
  readonly markers: readonly DeployMarker[];
  readonly format: (value: number) => string;
  readonly lines: readonly Line[];
  readonly onZoom: ChartProps["onZoom"];
  readonly from: number | undefined;
  readonly to: number | undefined;
}

function options({
  host,
  height,
  group,
  latest,
  say,
}: {
  readonly host: HTMLElement;
  readonly height: number;
  readonly group: string | undefined;
  readonly latest: { readonly current: Latest };
  readonly say: (index: number | null) => void;
}): uPlot.Options {
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = {
    stroke: colour("ink-3"),
    font,
    ticks: { show: false },
    grid: { stroke: colour("line"), width: 1 },
  };
  return {
    width: Math.max(host.clientWidth, 60),
    height,
    padding: [18, 8, 0, 0],
    legend: { show: false },
    ms: 1e-3,
    cursor: {
      y: false,
      points: { size: 6 },
      drag: { x: true, y: false, setScale: false },
      ...(group === undefined ? {} : { sync: { key: group, setSeries: false } }),
    },
    scales: {
      x: {
        time: true,
        range: (u, min, max) => {
          const { from, to } = latest.current;
          const [first, last] = [u.data[0][0], u.data[0].at(-1)];
          // One moment has no width, and uPlot's own answer to that is years.
          if (from === undefined && to === undefined && first !== undefined && first === last)
            return [first - 60, first + 60];
          return [from === undefined ? min : from / 1_000, to === undefined ? max : to / 1_000];
        },
      },
      // From nothing, and never flat: a line of zeros lies on the ground.
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 64, size: 26, values: (_, splits) => timeLabels(splits) },
      {
        ...axis,
        size: 58,
        space: 34,
        values: (_, splits) => splits.map((split) => latest.current.format(split)),
      },
    ],
    series: [
      {},
      ...latest.current.lines.map(
        ({ label, colour: name, isArea }): uPlot.Series => ({
          label,
          stroke: colour(name),
          width: 1.5,
          points: {
            show: false,
            filter: (u, index) => alone(Array.from(u.data[index] ?? [])) ?? null,
            size: 5,
            width: 0,
            fill: colour(name),
          },
          ...(isArea === true ? { fill: faint(name, 14) } : {}),
        }),
      ),
    ],
    hooks: {
      setCursor: [(u) => say(u.cursor.idx ?? null)],
      setSelect: [
        (u) => {
          const { left, width } = u.select;
          if (width < 8) return;
          latest.current.onZoom?.({
            from: Math.round(u.posToVal(left, "x") * 1_000),
            to: Math.round(u.posToVal(left + width, "x") * 1_000),
          });
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        },
      ],
      drawAxes: [(u) => drawMarkers(u, latest.current.markers, font)],
      ready: [(u) => u.over.addEventListener("dblclick", () => latest.current.onZoom?.(undefined))],
    },
  };
}

/** Hours and minutes; the day, where a new one begins. */
function timeLabels(splits: readonly number[]): string[] {
  const step = ((splits[1] ?? 0) - (splits[0] ?? 0)) * 1_000;
  return splits.map((split) => {
    const date = new Date(split * 1_000);
    const isMidnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
    if (step >= 43_200_000 || isMidnight) {
      return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
    }
    return step < 60_000 ? absolute(split * 1_000).slice(11) : hourMinute(split * 1_000);
  });
}

/** A line where a release began, with its number; red when it did not stay. */
function drawMarkers(u: uPlot, markers: readonly DeployMarker[], font: string): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = font.replace("11px", `${10 * ratio}px`);
  ctx.textBaseline = "bottom";
  // The newest first: of numbers that would lie on each other, it is the one that is read.
  let freeUntil = Number.POSITIVE_INFINITY;
  for (const { at, release, outcome, kind } of markers.toSorted((a, b) => b.at - a.at)) {
    const x = Math.round(u.valToPos(at / 1_000, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    const isBad = outcome === "failed" || outcome === "rolled-back";
    ctx.strokeStyle = colour(isBad ? "bad" : "ink-3");
    ctx.fillStyle = colour(isBad ? "bad" : "ink-2");
    ctx.lineWidth = ratio;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top - 3 * ratio);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const text = `${kind === "rollback" ? "↩" : ""}${release}`;
    const width = ctx.measureText(text).width;
    const left = Math.min(x - width / 2, bbox.left + bbox.width - width);
    if (left + width > freeUntil) continue;
    ctx.fillText(text, left, bbox.top - 4 * ratio);
    freeUntil = left - 6 * ratio;
  }
  ctx.restore();
}

/** The values at the pointer, or the newest. Written by hand: a render for each movement would be felt. */
function say(
  head: HTMLElement | null,
  plot: uPlot | undefined,
  { lines, format }: Latest,
  index: number | null,
): void {
  if (head === null || plot === undefined) return;
  lines.forEach(({ values }, at) => {
    const value = index === null ? values.findLast((one) => one !== null) : values[index];
    const place = head.children[at]?.querySelector("b");
    if (place !== null && place !== undefined) {
      place.textContent = value === undefined || value === null ? "–" : format(value);
    }
  });
  const time = index === null ? undefined : (plot.data[0][index] as number | undefined);
  head.dataset["at"] = time === undefined ? "" : absolute(time * 1_000);
}

/** For whoever hears the page. */
function summary({
  title,
  lines,
  format,
  times,
  markers,
}: Pick<ChartProps, "title" | "lines" | "format" | "times"> & {
  readonly markers: readonly DeployMarker[];
}): string {
  const parts = lines.map(({ label, values }) => {
    const known = values.filter((value) => value !== null);
    if (known.length === 0) return `${label}: no values`;
    return `${label}: now ${format(known.at(-1) as number)}, highest ${format(Math.max(...known))}`;
  });
  const begin = times[0] ?? 0;
  const releases = markers.filter(({ at }) => at >= begin).toSorted((a, b) => b.at - a.at);
  const began = releases.slice(0, 3).map(({ release, at }) => `${release} at ${hourMinute(at)}`);
  return `${title}. ${parts.join("; ")}${began.length === 0 ? "" : `. Releases: ${began.join(", ")}`}`;
}
