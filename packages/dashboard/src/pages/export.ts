/** A result as a file: CSV by RFC 4180, or JSON with the columns' names. */
import type { QueryAnswerView } from "../live/api.ts";

export function csv({ columns, rows }: Pick<QueryAnswerView, "columns" | "rows">): string {
  const lines = [columns.map(({ name }) => name), ...rows].map((row) => row.map(field).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

/**
 * A text that a spreadsheet would take for a formula is kept as text by an apostrophe before it: paths and user agents in
 * a log are written by strangers.
 */
function field(value: string | number | boolean | null): string {
  if (value === null) return "";
  if (typeof value !== "string") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function json({ columns, rows }: Pick<QueryAnswerView, "columns" | "rows">): string {
  return JSON.stringify(
    rows.map((row) => Object.fromEntries(columns.map(({ name }, index) => [name, row[index]]))),
    undefined,
    2,
  );
}
