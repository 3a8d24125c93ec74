/**
 * The reference page of the configuration, from the same schema that validates it: docs/reference/config.md. A test
 * says when that file is behind, and how to write it again.
 */
import * as z from "zod";
import { configSchema } from "./schema.ts";

/** What is used of a JSON Schema. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

/** JSON Schema of the configuration as it is written, for editors. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, { io: "input", unrepresentable: "any" });
}

/** Values that a function of `slipway` makes: the page names the function instead of what is in it. */
const MADE_BY: Readonly<Record<string, string>> = {
  local: "`local()`",
  context: "`context(NAME, { uid })`",
  service: "`service(NAME, PORT)`",
  bucket: "`bucket(NAME, { from })`",
};

const TOP_LEVEL = new Set(Object.keys((configJsonSchema() as Schema).properties ?? {}));

export function renderConfigReference(): string {
  const rows = rowsOf(configJsonSchema() as Schema, "");
  return [
    "# The configuration",
    "",
    "Every key of `slipway.config.ts`. A key in *italics* is a name that you choose; **bold** keys must be there.",
    "Paths are relative to the file. `slipway config show` prints each resolved value and where it comes from.",
    "",
    "| key | value | meaning |",
    "|---|---|---|",
    ...rows.map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`),
    "",
  ].join("\n");
}

function rowsOf(schema: Schema, path: string): readonly (readonly string[])[] {
  const rows: (readonly string[])[] = [];
  const below = (key: string, inner: Schema, isRequired: boolean): void => {
    const name = path === "" ? key : `${path}.${key}`;
    // An environment may override whole sections; their keys stand once, at the top.
    if (path === "environments.*name*" && TOP_LEVEL.has(key)) {
      rows.push([name, `as \`${key}\``, inner.description ?? ""]);
      return;
    }
    rows.push([isRequired ? `**${name}**` : name, valueText(inner), inner.description ?? ""]);
    rows.push(...rowsOf(inner, name));
  };
  for (const shape of choicesOf(schema)) {
    if (madeBy(shape) !== undefined) continue;
    for (const [key, inner] of Object.entries(shape.properties ?? {})) {
      below(key, inner, shape === schema && (schema.required?.includes(key) ?? false));
    }
    // What the elements of a list may have.
    if (shape.items !== undefined) rows.push(...rowsOf(shape.items, `${path}[]`));
    // The keys of a record are chosen by the user; its values may have keys of their own.
    if (typeof shape.additionalProperties === "object")
      rows.push(...rowsOf(shape.additionalProperties, `${path}.*name*`));
  }
  return rows;
}

function choicesOf(schema: Schema): readonly Schema[] {
  return schema.anyOf ?? schema.oneOf ?? [schema];
}

function madeBy(schema: Schema): string | undefined {
  const kind = schema.properties?.["kind"]?.const;
  return typeof kind === "string" ? MADE_BY[kind] : undefined;
}

const TYPE_WORDS: Readonly<Record<string, string>> = { integer: "whole number", string: "text" };

function valueText(schema: Schema): string {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return [...new Set(choices.map(valueText))].join(" or ");
  const made = madeBy(schema);
  if (made !== undefined) return made;
  if (schema.enum !== undefined)
    return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(" or ");
  if (schema.type === "array") return `list of ${valueText(schema.items ?? {})}`;
  if (schema.type === "object") {
    const values = schema.additionalProperties;
    if (typeof values === "object") return `by name: ${valueText(values)}`;
    return `{ ${Object.keys(schema.properties ?? {}).join(", ")} }`;
  }
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? ["any"]);
  return types.map((type) => TYPE_WORDS[type] ?? type).join(" or ");
}
