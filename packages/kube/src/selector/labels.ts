/**
 * Label selectors in both their forms: the string of a query (`app=web,tier in (a,b),!canary`) and the LabelSelector
 * of a spec. Both become a list of requirements, all of which must hold. Grammar and error messages follow
 * k8s.io/apimachinery `labels`.
 */
import { assertNever } from "@slipway/base";
import { statusError } from "../client/status-error.ts";
import type { LabelSelector, StringMap } from "../resources/meta.ts";

export type LabelOperator = "=" | "!=" | "in" | "notin" | "exists" | "!" | "gt" | "lt";

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  readonly values: readonly string[];
}

/**
 * Whether a LabelSelector selects an object with these labels. As in Kubernetes, no selector selects nothing and an
 * empty one selects everything.
 *
 * @example
 * matchesLabels({ matchLabels: { app: "web" } }, pod.metadata.labels);
 */
export function matchesLabels(selector: LabelSelector | undefined, labels: StringMap | undefined): boolean {
  if (selector === undefined) return false;
  for (const key in selector.matchLabels) {
    if (labels?.[key] !== selector.matchLabels[key]) return false;
  }
  return (selector.matchExpressions ?? []).every((expression) =>
    matchesRequirement(
      {
        key: expression.key,
        operator: EXPRESSION_OPERATORS[expression.operator],
        values: expression.values ?? [],
      },
      labels,
    ),
  );
}

/** Whether labels satisfy every requirement of a parsed selector. */
export function matchesRequirements(
  requirements: readonly LabelRequirement[],
  labels: StringMap | undefined,
): boolean {
  return requirements.every((requirement) => matchesRequirement(requirement, labels));
}

const EXPRESSION_OPERATORS = { In: "in", NotIn: "notin", Exists: "exists", DoesNotExist: "!" } as const;

function matchesRequirement(requirement: LabelRequirement, labels: StringMap | undefined): boolean {
  const { key, operator, values } = requirement;
  const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "=":
    case "in":
      return value !== undefined && values.includes(value);
    // An object without the label is not equal to any value.
    case "!=":
    case "notin":
      return value === undefined || !values.includes(value);
    case "exists":
      return value !== undefined;
    case "!":
      return value === undefined;
    case "gt":
      return isInteger(value) && Number(value) > Number(values[0]);
    case "lt":
      return isInteger(value) && Number(value) < Number(values[0]);
    default:
      return assertNever(operator);
  }
}

function isInteger(value: string | undefined): value is string {
  return value !== undefined && /^[+-]?[0-9]+$/.test(value);
}

/** A LabelSelector as requirements. */
export function requirementsOf(selector: LabelSelector): readonly LabelRequirement[] {
  return [
    ...Object.entries(selector.matchLabels ?? {}).map(
      ([key, value]): LabelRequirement => ({ key, operator: "=", values: [value] }),
    ),
    ...(selector.matchExpressions ?? []).map((expression) => ({
      key: expression.key,
      operator: EXPRESSION_OPERATORS[expression.operator],
      values: expression.values ?? [],
    })),
  ];
}

/** The string form of a LabelSelector or of requirements, as a query or `kubectl` writes it. */
export function formatLabelSelector(selector: LabelSelector | readonly LabelRequirement[]): string {
  const requirements = "length" in selector ? selector : requirementsOf(selector as LabelSelector);
  return [...requirements]
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(formatRequirement)
    .join(",");
}

function formatRequirement({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case "exists":
      return key;
    case "!":
      return `!${key}`;
    case "=":
    case "!=":
      return `${key}${operator}${values[0] ?? ""}`;
    case "in":
    case "notin":
      return `${key} ${operator} (${[...values].sort().join(",")})`;
    case "gt":
      return `${key}>${values[0]}`;
    case "lt":
      return `${key}<${values[0]}`;
    default:
      return assertNever(operator);
  }
}

/** Parses the string form; throws a 400 StatusError with Kubernetes' message. */
export function parseLabelSelector(text: string): readonly LabelRequirement[] {
  const tokens = tokenize(text);
  const requirements: LabelRequirement[] = [];
  if (tokens.peek() === "") return requirements;
  for (;;) {
    const start = tokens.peek();
    if (start !== "!" && !isWord(start))
      fail(`found '${start}', expected: !, identifier, or 'end of string'`);
    requirements.push(parseRequirement(tokens));
    const separator = tokens.next();
    if (separator === "") return requirements;
    if (separator !== ",") fail(`found '${separator}', expected: ',' or 'end of string'`);
    const following = tokens.peek();
    if (following !== "!" && !isWord(following)) fail(`found '${following}', expected: identifier after ','`);
  }
}

interface Tokens {
  peek(): string;
  /** The next token; "" at the end. */
  next(): string;
}

function tokenize(text: string): Tokens {
  const found = text.match(/!=|==|[=<>!,()]|[^\s=<>!,()]+/g) ?? [];
  let position = 0;
  return { peek: () => found[position] ?? "", next: () => found[position++] ?? "" };
}

function isWord(token: string): boolean {
  return token !== "" && !/^(!=|==|[=<>!,()])$/.test(token);
}

function fail(message: string): never {
  throw statusError(400, "BadRequest", message);
}

function failRequirement(message: string): never {
  return fail(`unable to parse requirement: ${message}`);
}

function parseRequirement(tokens: Tokens): LabelRequirement {
  const negated = tokens.peek() === "!";
  if (negated) tokens.next();
  const key = tokens.next();
  if (!isWord(key)) failRequirement(`found '${key}', expected: identifier`);
  const problem = labelKeyProblem(key);
  if (problem !== undefined) failRequirement(`<nil>: Invalid value: ${JSON.stringify(key)}: ${problem}`);
  if (negated) return { key, operator: "!", values: [] };
  const following = tokens.peek();
  if (following === "" || following === ",") return { key, operator: "exists", values: [] };
  const operator = parseOperator(tokens);
  const values = operator === "in" || operator === "notin" ? parseValues(tokens) : [parseValue(tokens)];
  for (const value of values) checkValue(key, operator, value);
  return { key, operator, values };
}

function parseOperator(tokens: Tokens): LabelOperator {
  const token = tokens.next();
  switch (token) {
    case "=":
    case "==":
      return "=";
    case "!=":
    case "in":
    case "notin":
      return token;
    case ">":
      return "gt";
    case "<":
      return "lt";
    default:
      return failRequirement(`found '${token}', expected: in, notin, =, ==, !=, gt, lt`);
  }
}

function parseValues(tokens: Tokens): readonly string[] {
  const open = tokens.next();
  if (open !== "(") failRequirement(`found '${open}' expected: '('`);
  const values = new Set<string>();
  // `in (a,)` holds the empty value too, and so does `in (,)`: a comma always has a value on both sides.
  let expectsValue = tokens.peek() !== ")";
  for (;;) {
    const token = tokens.next();
    if (token === ")") {
      if (expectsValue) values.add("");
      return [...values];
    }
    if (token === ",") {
      if (expectsValue) values.add("");
      expectsValue = true;
    } else if (isWord(token) && expectsValue) {
      values.add(token);
      expectsValue = false;
    } else {
      failRequirement(`found '${token}', expected: ',', or ')'`);
    }
  }
}

/** One value after `=`; nothing at all means the empty value. */
function parseValue(tokens: Tokens): string {
  const token = tokens.peek();
  if (token === "" || token === ",") return "";
  tokens.next();
  if (!isWord(token)) failRequirement(`found '${token}', expected: identifier`);
  return token;
}

function checkValue(key: string, operator: LabelOperator, value: string): void {
  if (operator === "gt" || operator === "lt") {
    if (isInteger(value)) return;
    failRequirement(
      `values[0][${key}]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
    );
  }
  const problem = labelValueProblem(value);
  if (problem !== undefined) {
    failRequirement(`values[0][${key}]: Invalid value: ${JSON.stringify(value)}: ${problem}`);
  }
}

const NAME_PART = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

const NAME_PART_MESSAGE =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const PREFIX_MESSAGE =
  "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/** Why this is not the key of a label or annotation (`[prefix/]name`), or undefined. */
export function labelKeyProblem(key: string): string | undefined {
  const parts = key.split("/");
  const name = parts.at(-1) as string;
  const prefix = parts.length === 2 ? (parts[0] as string) : undefined;
  if (parts.length > 2) {
    return `a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`;
  }
  if (prefix === "") return "prefix part must be non-empty";
  if (prefix !== undefined && prefix.length > 253) return "prefix part must be no more than 253 characters";
  if (prefix !== undefined && !DNS_SUBDOMAIN.test(prefix)) return PREFIX_MESSAGE;
  if (name === "") return "name part must be non-empty";
  if (name.length > 63) return "name part must be no more than 63 characters";
  return NAME_PART.test(name) ? undefined : NAME_PART_MESSAGE;
}

/** Why this is not the value of a label, or undefined. */
export function labelValueProblem(value: string): string | undefined {
  if (value.length > 63) return "must be no more than 63 characters";
  if (value === "" || NAME_PART.test(value)) return undefined;
  return "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
}
