/** An answer for people, as a table in plain text: for the terminal, and for Slack. */
import { renderTable } from "@slipway/base";
import type { CellValue, QueryAnswer } from "../warehouse/warehouse.ts";

const CELL_MAX = 60;

/** `rows`: how many are shown at most. The last line says what was left out. */
export function answerText(answer: QueryAnswer, rows = answer.rows.length): string {
  const shown = answer.rows.slice(0, rows);
  const numeric = answer.columns.map(({ type }) => type === "number");
  const cells = shown.map((row) => row.map(cellText));
  const head = answer.columns.map(({ name }) => name);
  const widths = head.map((name, at) =>
    Math.max(name.length, ...cells.map((row) => (row[at] as string).length)),
  );
  const aligned = [head, ...cells].map((row) =>
    row.map((cell, at) => (numeric[at] ? cell.padStart(widths[at] as number) : cell)),
  );
  const left = answer.rows.length - shown.length;
  const more = answer.isTruncated
    ? "more rows are there than are answered"
    : left > 0
      ? `${left} more rows`
      : "";
  return `${renderTable(aligned)}${answer.rows.length === 0 ? "\n(no rows)" : ""}${more === "" ? "" : `\n(${more})`}`;
}

function cellText(value: CellValue): string {
  if (value === null) return "–";
  if (typeof value === "number")
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  const text = String(value).replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, "·");
  const isMinute = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/.test(text);
  const plain = isMinute
    ? text
        .replace("T", " ")
        .replace(/(?::00)?\.000Z$/, "")
        .replace(/Z$/, "")
    : text;
  return plain.length <= CELL_MAX ? plain : `${plain.slice(0, CELL_MAX - 1)}…`;
}

/** For other programs, the names first: a comma, quotes where needed (RFC 4180), nothing for no value. */
export function answerCsv(answer: QueryAnswer): readonly string[] {
  const cell = (value: CellValue): string => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [answer.columns.map(({ name }) => name), ...answer.rows].map((row) => row.map(cell).join(","));
}
