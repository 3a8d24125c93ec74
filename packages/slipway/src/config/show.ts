/** `slipway config show`: every resolved value with its source; secrets are never shown. */
import { renderTable, writeDuration } from "@slipway/base";
import type { Resolved } from "./resolve.ts";

const SECRET = /(?:token|webhookurl|password|secret)$/i;

/** The configuration with every secret replaced, for --json. */
export function redact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      SECRET.test(key) && inner !== undefined ? "(set)" : redact(inner),
    ]),
  );
}

export function renderConfig({ config, sources }: Resolved): string {
  const rows: string[][] = [["FIELD", "VALUE", "FROM"]];
  const walk = (path: string, value: unknown, inherited: string): void => {
    // Durations are written as text and kept in milliseconds; people see them as they would write them.
    if (path.endsWith("Ms") && typeof value === "number") {
      const written = path.slice(0, -2);
      rows.push([written, writeDuration(value), sources.get(written) ?? inherited]);
      return;
    }
    const source = sources.get(path) ?? inherited;
    if (Array.isArray(value) || typeof value !== "object" || value === null) {
      if (value !== undefined)
        rows.push([path, typeof value === "string" ? value : JSON.stringify(value), source]);
      return;
    }
    for (const [key, inner] of Object.entries(value))
      walk(path === "" ? key : `${path}.${key}`, inner, source);
  };
  const named = (list: readonly { readonly name: string }[]): Record<string, unknown> =>
    Object.fromEntries(list.map(({ name, ...rest }) => [name, rest]));
  const shown = redact({ ...config, images: named(config.images), clusters: named(config.clusters) });
  walk("", shown, "computed");
  return renderTable(rows);
}
