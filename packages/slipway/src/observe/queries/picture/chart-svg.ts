/**
 * An answer as a chart, in SVG: for a report that goes to Slack as a picture. Pure text from data; the dashboard draws its
 * own, live.
 */
import type { CellValue, QueryAnswer } from "../../warehouse/warehouse.ts";
import type { Chart } from "../query-file.ts";

type Drawn = Exclude<Chart, { kind: "table" }>;

const WIDTH = 800;
const HEIGHT = 360;
const PLOT = { left: 72, right: 24, top: 56, bottom: 64 } as const;
const inner = { width: WIDTH - PLOT.left - PLOT.right, height: HEIGHT - PLOT.top - PLOT.bottom };
/** Told apart by people who do not see red and green apart (Okabe and Ito, 2008). */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b6b6b", "#000000"];
const MOST_SERIES = COLOURS.length;

interface Series {
  readonly name: string;
  readonly values: readonly (number | undefined)[];
}

/** Undefined when there is nothing to draw: no rows, or a column that the chart names is not there. */
export function chartSvg(title: string, chart: Drawn, answer: QueryAnswer): string | undefined {
  const data = seriesOf(chart, answer);
  if (data === undefined) return undefined;
  const { labels, series } = data;
  const isStacked = chart.kind === "bar" && series.length > 1;
  const top = niceCeiling(isStacked ? stackedMaximum(series, labels.length) : maximum(series));
  const y = (value: number): number => PLOT.top + inner.height * (1 - value / top);
  const marks = chart.kind === "line" ? lines(series, labels.length, y) : bars(series, labels.length, y);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" font-family="DejaVu Sans" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    `<text x="${PLOT.left}" y="28" font-size="16" font-weight="bold" fill="#1a1a1a">${escaped(cut(title, 72))}</text>`,
    ...grid(top, y),
    ...marks,
    ...axis(labels, xOf(chart.kind, labels.length)),
    ...legend(series),
    "</svg>",
  ].join("\n");
}

function seriesOf(
  chart: Drawn,
  answer: QueryAnswer,
): { readonly labels: readonly string[]; readonly series: readonly Series[] } | undefined {
  const index = (name: string): number => answer.columns.findIndex((column) => column.name === name);
  const x = index(chart.x);
  const ys = chart.y.map((name) => ({ name, at: index(name) }));
  const by = chart.by === undefined ? undefined : index(chart.by);
  if (answer.rows.length === 0 || x < 0 || by === -1 || ys.some(({ at }) => at < 0)) return undefined;
  const labels = [...new Set(answer.rows.map((row) => String(row[x])))];
  const position = new Map(labels.map((label, at) => [label, at]));
  const named = new Map<string, (number | undefined)[]>();
  for (const row of answer.rows) {
    const group = by === undefined ? undefined : groupName(chart.by as string, row[by]);
    for (const { name, at } of ys) {
      const key = group === undefined ? name : ys.length > 1 ? `${group}, ${name}` : group;
      const values = named.get(key) ?? new Array<number | undefined>(labels.length).fill(undefined);
      values[position.get(String(row[x])) as number] = numberOf(row[at]);
      named.set(key, values);
    }
  }
  return { labels, series: [...named].slice(0, MOST_SERIES).map(([name, values]) => ({ name, values })) };
}

/** `release 7`, or `no release`. */
function groupName(column: string, value: CellValue | undefined): string {
  return value === null ? `no ${column}` : `${column} ${value}`;
}

function numberOf(value: CellValue | undefined): number | undefined {
  const number = value === null || value === undefined ? Number.NaN : Number(value);
  // A chart begins at zero: what is below is not drawn.
  return Number.isFinite(number) && number >= 0 ? number : undefined;
}

function maximum(series: readonly Series[]): number {
  return Math.max(0, ...series.flatMap(({ values }) => values.map((value) => value ?? 0)));
}

function stackedMaximum(series: readonly Series[], length: number): number {
  let most = 0;
  for (let at = 0; at < length; at += 1)
    most = Math.max(
      most,
      series.reduce((sum, { values }) => sum + (values[at] ?? 0), 0),
    );
  return most;
}

/** The next of 1, 2, 2.5, 5, 10 × 10ⁿ, so that a quarter of it is a number that people read easily. */
export function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 2.5, 5, 10].find((one) => one * unit >= value * (1 - 1e-9)) as number;
  return Number((step * unit).toPrecision(12));
}

/** A line goes from edge to edge; a bar stands in the middle of its slot. */
function xOf(kind: Drawn["kind"], length: number): (at: number) => number {
  return kind === "line" && length > 1
    ? (at) => PLOT.left + (at * inner.width) / (length - 1)
    : (at) => PLOT.left + (inner.width * (at + 0.5)) / length;
}

function lines(series: readonly Series[], length: number, y: (value: number) => number): string[] {
  const x = xOf("line", length);
  return series.flatMap(({ values }, index) => {
    const colour = COLOURS[index] as string;
    return pieces(values).map((piece) =>
      piece.length === 1
        ? `<circle cx="${round(x(piece[0]?.at as number))}" cy="${round(y(piece[0]?.value as number))}" r="2.5" fill="${colour}"/>`
        : `<polyline fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round" points="${piece
            .map(({ at, value }) => `${round(x(at))},${round(y(value))}`)
            .join(" ")}"/>`,
    );
  });
}

/** A minute without requests has no response time: the line has a hole there. */
function pieces(values: readonly (number | undefined)[]): { at: number; value: number }[][] {
  const found: { at: number; value: number }[][] = [];
  let open: { at: number; value: number }[] | undefined;
  for (const [at, value] of values.entries()) {
    if (value === undefined) open = undefined;
    else if (open !== undefined) open.push({ at, value });
    else {
      open = [{ at, value }];
      found.push(open);
    }
  }
  return found;
}

function bars(series: readonly Series[], length: number, y: (value: number) => number): string[] {
  const x = xOf("bar", length);
  const width = Math.max(1, Math.min(48, (inner.width / length) * 0.8));
  const below = new Array<number>(length).fill(0);
  return series.flatMap(({ values }, index) =>
    values.flatMap((value, at) => {
      if (value === undefined || value === 0) return [];
      const base = below[at] as number;
      below[at] = base + value;
      const [top, bottom] = [y(base + value), y(base)];
      const left = x(at) - width / 2;
      return `<rect x="${round(left)}" y="${round(top)}" width="${round(width)}" height="${round(bottom - top)}" fill="${COLOURS[index]}"/>`;
    }),
  );
}

function grid(top: number, y: (value: number) => number): string[] {
  return [0, 0.25, 0.5, 0.75, 1].flatMap((part) => {
    const value = part * top;
    const at = round(y(value));
    return [
      `<line x1="${PLOT.left}" x2="${WIDTH - PLOT.right}" y1="${at}" y2="${at}" stroke="${part === 0 ? "#8a8a8a" : "#e4e4e4"}"/>`,
      `<text x="${PLOT.left - 8}" y="${round(at + 4)}" text-anchor="end" fill="#555555">${escaped(short(value))}</text>`,
    ];
  });
}

function axis(labels: readonly string[], x: (at: number) => number): string[] {
  const every = Math.max(1, Math.ceil(labels.length / 8));
  const texts = labels.map(labelOf(labels));
  return texts.flatMap((text, at) => {
    if (at % every !== 0) return [];
    return `<text x="${round(x(at))}" y="${HEIGHT - PLOT.bottom + 18}" text-anchor="middle" fill="#555555">${escaped(cut(text, 14))}</text>`;
  });
}

/** Times of one day by the clock, of several with their day. All are UTC. */
function labelOf(labels: readonly string[]): (label: string) => string {
  const isTime = labels.every((label) => /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(label));
  if (!isTime) return (label) => label;
  const days = new Set(labels.map((label) => label.slice(0, 10)));
  return (label) => (days.size === 1 ? label.slice(11, 16) : `${label.slice(5, 10)} ${label.slice(11, 16)}`);
}

function legend(series: readonly Series[]): string[] {
  let x: number = PLOT.left;
  return series.flatMap(({ name }, index) => {
    const text = cut(name, 18);
    const at = x;
    x += 24 + text.length * 7.4;
    if (x > WIDTH) return [];
    return [
      `<rect x="${round(at)}" y="${HEIGHT - 26}" width="10" height="10" fill="${COLOURS[index]}"/>`,
      `<text x="${round(at + 15)}" y="${HEIGHT - 17}" fill="#1a1a1a">${escaped(text)}</text>`,
    ];
  });
}

function short(value: number): string {
  if (value >= 1e9) return `${Number((value / 1e9).toPrecision(3))}G`;
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (value >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return String(Number(value.toPrecision(3)));
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Control characters are not allowed in XML at all, not even escaped. */
function escaped(text: string): string {
  return text
    .replaceAll(/[^\x20-\uffff]|[\ud800-\udfff\ufffe\uffff]/g, "?")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
