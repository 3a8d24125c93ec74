/** The answer to a query: a picture where one was asked for, the rows, and both as a file. */
import { useMemo, useState } from "react";
import { Chart, type Line } from "../charts/chart.tsx";
import type { ColourName } from "../charts/colours.ts";
import type { Cell, ChartView, QueryAnswerView, ReleasesAnswer } from "../live/api.ts";
import { useAnswer } from "../live/use-answer.ts";
import { Empty } from "../parts/state.tsx";
import { absolute } from "../words/time.ts";
import { count, milliseconds } from "../words/units.ts";
import { csv, json } from "./export.ts";

const mostRows = 200;

export function Result({
  result,
  chart,
  name,
  areRowsFolded = false,
}: {
  readonly result: QueryAnswerView;
  readonly chart: ChartView | undefined;
  readonly name: string;
  /** Where the picture is what is looked at. */
  readonly areRowsFolded?: boolean;
}) {
  const [isOpen, setIsOpen] = useState(!areRowsFolded || chart === undefined || chart.kind === "table");
  const [most, setMost] = useState(mostRows);
  const { columns, rows, isTruncated, elapsedMs } = result;
  return (
    <div className="result">
      {chart === undefined || chart.kind === "table" || rows.length === 0 ? null : (
        <Picture result={result} chart={chart} />
      )}
      <p className="result-head">
        <span className="muted">
          {count(rows.length)} {rows.length === 1 ? "row" : "rows"}
          {isTruncated ? ", and there would be more" : ""} in {milliseconds(elapsedMs)}
        </span>
        {areRowsFolded ? (
          <button type="button" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
            Rows
          </button>
        ) : null}
        <button type="button" onClick={() => save(`${name}.csv`, "text/csv", csv(result))}>
          CSV
        </button>
        <button type="button" onClick={() => save(`${name}.json`, "application/json", json(result))}>
          JSON
        </button>
      </p>
      {rows.length === 0 ? (
        <Empty title="No row">The query ran, and nothing fits it.</Empty>
      ) : !isOpen ? null : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
        <section className="scroll" tabIndex={0} aria-label="Rows">
          <table className="rows">
            <thead>
              <tr>
                {columns.map(({ name, type }) => (
                  <th key={name} scope="col" className={type === "number" ? "number" : ""}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, most).map((row, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: rows of an answer that does not change
                <tr key={index}>
                  {row.map((cell, at) => (
                    <td key={columns[at]?.name} className={columns[at]?.type === "number" ? "number" : ""}>
                      {cellText(cell, columns[at]?.type)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {rows.length > most && isOpen ? (
        <button type="button" onClick={() => setMost(most + 1_000)}>
          Show {count(Math.min(1_000, rows.length - most))} more
        </button>
      ) : null}
    </div>
  );
}

function cellText(cell: Cell, type: QueryAnswerView["columns"][number]["type"] | undefined): string {
  if (cell === null) return "–";
  if (type === "time") return absolute(moment(cell));
  if (typeof cell === "number")
    return Number.isInteger(cell) ? String(cell) : String(Number(cell.toFixed(3)));
  return String(cell);
}

/** Times come as ms or as ISO text. */
function moment(cell: Cell): number {
  return typeof cell === "number" ? cell : Date.parse(String(cell));
}

const palette: readonly ColourName[] = ["one", "two", "three", "four", "bad"];

function Picture({ result, chart }: { readonly result: QueryAnswerView; readonly chart: ChartView }) {
  const releases = useAnswer<ReleasesAnswer>("/api/releases");
  const markers = useMemo(
    () =>
      (releases.value?.releases ?? []).map(({ startedAt, number, kind, outcome }) => ({
        at: startedAt,
        release: number,
        kind,
        outcome,
      })),
    [releases.value],
  );
  const { x, ys, times, lines } = useMemo(() => drawing(result, chart), [result, chart]);
  const [y] = ys;
  if (x < 0 || y === undefined) {
    return (
      <p className="fine">
        No picture: its columns {[chart.x, ...chart.y].join(", ")} are not all in the result.
      </p>
    );
  }
  if (chart.kind === "line" && result.columns[x]?.type === "time") {
    return <Chart title="" times={times} lines={lines} markers={markers} format={figure} height={220} />;
  }
  return <Bars result={result} x={x} y={y} />;
}

/** The columns that the picture names, by their places, and their values as lines. */
function drawing({ columns, rows }: QueryAnswerView, chart: ChartView) {
  const place = (wanted: string): number => columns.findIndex(({ name }) => name === wanted);
  const x = place(chart.x);
  const ys = chart.y.map(place).filter((at) => at >= 0);
  const lines = ys.map(
    (at, index): Line => ({
      label: columns[at]?.name ?? "",
      colour: palette[index % palette.length] as ColourName,
      values: rows.map((row) => numeric(row[at] ?? null)),
    }),
  );
  return { x, ys, times: rows.map((row) => moment(row[x] ?? null)), lines };
}

function Bars({
  result,
  x,
  y,
}: {
  readonly result: QueryAnswerView;
  readonly x: number;
  readonly y: number;
}) {
  const rows = result.rows.slice(0, 20);
  const most = Math.max(Number.MIN_VALUE, ...rows.map((row) => numeric(row[y] ?? null) ?? 0));
  return (
    <ul className="bars" aria-label={`${result.columns[y]?.name} by ${result.columns[x]?.name}`}>
      {rows.map((row, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows of an answer that does not change
        <li key={index}>
          <span title={String(row[x])}>{cellText(row[x] ?? null, result.columns[x]?.type)}</span>
          <span className="bar one">
            <i style={{ width: `${((numeric(row[y] ?? null) ?? 0) / most) * 100}%` }} />
          </span>
          <b>{cellText(row[y] ?? null, "number")}</b>
        </li>
      ))}
    </ul>
  );
}

/** Of any query: a count below a hundred may have a fraction. */
function figure(value: number): string {
  return Math.abs(value) < 100 ? String(Number(value.toFixed(2))) : count(value);
}

function numeric(cell: Cell): number | null {
  const value = Number(cell);
  return cell === null || Number.isNaN(value) ? null : value;
}

function save(file: string, type: string, content: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = file;
  link.click();
  URL.revokeObjectURL(url);
}
