/**
 * nginx's log_format, compiled: the literal text between variables is the delimiter. The named formats are written in
 * it too, so there is one reader for all. What a line must have to count as a request: a status, and a request (or its
 * URI).
 */
import { SlipwayError } from "@slipway/base";

/** What a variable is to us. Numbers, because the reader switches over them for each line. */
export const FIELD = {
  skip: 0,
  /** Items separated by `, ` and ` : `, which may contain the space that follows as delimiter. */
  skipList: 1,
  address: 2,
  localTime: 3,
  isoTime: 4,
  msec: 5,
  request: 6,
  method: 7,
  uri: 8,
  query: 9,
  protocol: 10,
  status: 11,
  bytes: 12,
  referer: 13,
  userAgent: 14,
  requestTime: 15,
  upstreamTime: 16,
  upstreamStatus: 17,
} as const;

export type Field = (typeof FIELD)[keyof typeof FIELD];

const VARIABLES: Readonly<Record<string, Field>> = {
  remote_addr: FIELD.address,
  time_local: FIELD.localTime,
  time_iso8601: FIELD.isoTime,
  msec: FIELD.msec,
  request: FIELD.request,
  request_method: FIELD.method,
  request_uri: FIELD.uri,
  uri: FIELD.uri,
  document_uri: FIELD.uri,
  args: FIELD.query,
  query_string: FIELD.query,
  server_protocol: FIELD.protocol,
  status: FIELD.status,
  // What our own format logs in its place, with `000` mended by a map.
  slipway_status: FIELD.status,
  body_bytes_sent: FIELD.bytes,
  bytes_sent: FIELD.bytes,
  http_referer: FIELD.referer,
  http_user_agent: FIELD.userAgent,
  request_time: FIELD.requestTime,
  upstream_response_time: FIELD.upstreamTime,
  upstream_status: FIELD.upstreamStatus,
};

export interface Step {
  readonly field: Field;
  /** Text that follows; empty only behind the last variable. */
  readonly literal: string;
  /** The character of the literal that is looked for: the one that values have least. */
  readonly pivot: string;
  readonly pivotAt: number;
  /** The value ends at the first quote. */
  readonly isQuoted: boolean;
  readonly isList: boolean;
  /** The literal ends in the `[` of a time: users may contain ` [` too, so the time's shape decides which one it is. */
  readonly isBeforeTime: boolean;
  /** What must follow the time. */
  readonly literalAfterTime: string;
  /** Where a search last failed: the same search would fail again, at the cost of the rest of the chunk. */
  searched: { text: number; from: number; notBefore: number };
}

export interface TextFormat {
  readonly kind: "text";
  readonly name: string;
  readonly prefix: string;
  readonly steps: readonly Step[];
  /** Begins with the whole of `combined` and says nothing else but times behind it. */
  readonly isCombined: boolean;
}

/** A log_format that writes a JSON object: which variable is at which key. */
export interface JsonFormat {
  readonly kind: "json";
  readonly name: string;
  readonly keys: readonly { readonly path: readonly string[]; readonly field: Field }[];
}

export type LogFormat = TextFormat | JsonFormat;

const COMBINED =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';

export const COMBINED_FIELDS = 8;
const AFTER_COMBINED = new Set<Field>([FIELD.skip, FIELD.skipList, FIELD.requestTime, FIELD.upstreamTime]);
AFTER_COMBINED.add(FIELD.upstreamStatus);

/** Recognised by themselves. */
export const NAMED_FORMATS: Readonly<Record<string, string>> = {
  timed: `${COMBINED} $request_time $upstream_response_time`,
  "timed-keys": `${COMBINED} rt=$request_time uct="$upstream_connect_time" urt="$upstream_response_time"`,
  "timed-keys-header": `${COMBINED} rt=$request_time uct="$upstream_connect_time" uht="$upstream_header_time" urt="$upstream_response_time"`,
  "timed-keys-short": `${COMBINED} rt=$request_time urt="$upstream_response_time"`,
  "timed-main": `${COMBINED} "$http_x_forwarded_for" $request_time $upstream_response_time`,
  "timed-main-keys": `${COMBINED} "$http_x_forwarded_for" rt=$request_time uct="$upstream_connect_time" uht="$upstream_header_time" urt="$upstream_response_time"`,
  "timed-request": `${COMBINED} $request_time`,
  upstreaminfo: `${COMBINED} $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id`,
  main: `${COMBINED} "$http_x_forwarded_for"`,
  combined: COMBINED,
  common: '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent',
};

/**
 * `written`: the format alone, or nginx's whole directive with its name, `escape=` and quoted parts. Throws
 * LOG_FORMAT_INVALID.
 */
export function compileFormat(name: string, written: string): LogFormat {
  const format = withoutDirective(written.trim());
  return format.startsWith("{") ? compileJson(name, format) : compileText(name, format);
}

function withoutDirective(written: string): string {
  if (!written.startsWith("log_format ") && !/^'.*'$|^".*"$/s.test(written)) return written;
  const parts = written.match(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/gs) ?? [];
  const quote = parts[0]?.[0] ?? "'";
  return parts
    .filter((part) => part.startsWith(quote))
    .map((part) => part.slice(1, -1).replaceAll(`\\${quote}`, quote))
    .join("");
}

const VARIABLE = /\$\{([a-z0-9_]+)\}|\$([a-z0-9_]+)/gi;

function compileText(name: string, format: string): TextFormat {
  const found = [...format.matchAll(VARIABLE)].map((match) => ({
    name: (match[1] ?? match[2]) as string,
    start: match.index,
    end: match.index + match[0].length,
  }));
  const names = found.map((variable) => variable.name);
  requireRequest(name, names);
  const literals = found.map(({ end }, index) => format.slice(end, found[index + 1]?.start));
  const touching = literals.findIndex((literal, index) => literal === "" && index < found.length - 1);
  if (touching >= 0) {
    throw invalid(
      name,
      `$${names[touching]} and $${names[touching + 1]} have no text between them, so nobody can tell where one ends`,
    );
  }
  const fields = names.map((variable) => fieldOf(variable, names));
  return {
    kind: "text",
    name,
    prefix: format.slice(0, found[0]?.start),
    isCombined:
      format.startsWith(COMBINED) &&
      fields.slice(COMBINED_FIELDS).every((field) => AFTER_COMBINED.has(field)),
    steps: fields.map((field, index) => ({
      field,
      literal: literals[index] as string,
      ...pivotOf(literals[index] as string),
      isQuoted: (literals[index] as string).startsWith('"'),
      isList: isList(names[index] as string),
      isBeforeTime: fields[index + 1] === FIELD.localTime && (literals[index] as string).endsWith("["),
      literalAfterTime: literals[index + 1] ?? "",
      searched: { text: -1, from: 0, notBefore: 0 },
    })),
  };
}

function pivotOf(literal: string): { readonly pivot: string; readonly pivotAt: number } {
  const pivot =
    ['"', "[", "]", "\t", "|"].find((character) => literal.includes(character)) ?? literal.charAt(0);
  return { pivot, pivotAt: literal.indexOf(pivot) };
}

function fieldOf(variable: string, all: readonly string[]): Field {
  const field = VARIABLES[variable];
  // Behind a proxy that is not trusted the only address there is; otherwise clients write it as they like.
  if (variable === "http_x_forwarded_for" && !all.includes("remote_addr")) return FIELD.address;
  // `$request_uri` is what was asked for, `$uri` what nginx made of it.
  if ((variable === "uri" || variable === "document_uri") && all.includes("request_uri")) return FIELD.skip;
  if (field === FIELD.query && all.includes("request_uri")) return FIELD.skip;
  if (variable === "bytes_sent" && all.includes("body_bytes_sent")) return FIELD.skip;
  if (field !== undefined) return field;
  return isList(variable) ? FIELD.skipList : FIELD.skip;
}

function isList(variable: string): boolean {
  return variable.startsWith("upstream_") || variable === "http_x_forwarded_for";
}

/** The format with every variable in quotes is JSON; its strings tell which variable is where. */
function compileJson(name: string, format: string): JsonFormat {
  let template: unknown;
  try {
    template = JSON.parse(quoteVariables(format));
  } catch {
    throw invalid(name, "it begins with { but is not a JSON object");
  }
  const found: { path: readonly string[]; variable: string }[] = [];
  collect(template, [], found);
  const names = found.map(({ variable }) => variable);
  requireRequest(name, names);
  const keys = found.map(({ path, variable }) => ({ path, field: fieldOf(variable, names) }));
  return {
    kind: "json",
    name,
    keys: keys.filter(({ field }) => field !== FIELD.skip && field !== FIELD.skipList),
  };
}

function quoteVariables(format: string): string {
  return format.replaceAll(/"(?:[^"\\]|\\.)*"|\$\{[a-z0-9_]+\}|\$[a-z0-9_]+/gi, (part) =>
    part.startsWith('"') ? part : `"${part}"`,
  );
}

function collect(
  value: unknown,
  path: readonly string[],
  found: { path: readonly string[]; variable: string }[],
): void {
  if (typeof value === "string") {
    const [first, second] = [...value.matchAll(VARIABLE)];
    if (first !== undefined && second === undefined)
      found.push({ path, variable: (first[1] ?? first[2]) as string });
  } else if (value !== null && typeof value === "object") {
    for (const [key, inner] of Object.entries(value)) collect(inner, [...path, key], found);
  }
}

function requireRequest(name: string, variables: readonly string[]): void {
  const has = (field: Field): boolean => variables.some((variable) => VARIABLES[variable] === field);
  if (!has(FIELD.status)) throw invalid(name, "it has no $status");
  if (!has(FIELD.request) && !has(FIELD.uri))
    throw invalid(name, "it has neither $request nor $request_uri nor $uri");
}

function invalid(name: string, fact: string): SlipwayError {
  return new SlipwayError({
    code: "LOG_FORMAT_INVALID",
    where: `observe.formats.${name}`,
    message: `the log format cannot be read back: ${fact}`,
    hint: "Write the text of nginx's log_format as it stands in nginx.conf.",
  });
}
