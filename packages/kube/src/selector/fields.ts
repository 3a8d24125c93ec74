/**
 * Field selectors (`metadata.name=x,status.phase!=Failed`). Each kind accepts its own few keys; an unknown one is a
 * 400 with the server's own words. Values compare as strings; an absent field is the empty string.
 */
import { statusError } from "../client/status-error.ts";
import type { KubeObject } from "../resources/meta.ts";

export interface FieldRequirement {
  readonly key: string;
  readonly operator: "=" | "!=";
  readonly value: string;
}

export interface FieldSelector {
  readonly kind: string;
  readonly requirements: readonly FieldRequirement[];
}

type Read = (object: KubeObject) => string;

/** Reads a dotted path as the string that selectors compare with; `absent` is what a missing field stands for. */
function path(dotted: string, absent = ""): Read {
  const steps = dotted.split(".");
  return (object) => {
    let value: unknown = object;
    for (const step of steps) value = (value as Readonly<Record<string, unknown>> | undefined)?.[step];
    return value === undefined || value === null ? absent : String(value);
  };
}

const paths = (...keys: string[]): Record<string, Read> =>
  Object.fromEntries(keys.map((key) => [key, path(key)]));

const COMMON = paths("metadata.name", "metadata.namespace");

const eventSource: Read = (object) => {
  const component = path("source.component")(object);
  return component === "" ? path("reportingComponent")(object) : component;
};

const KEYS: Readonly<Record<string, Readonly<Record<string, Read>>>> = {
  Pod: {
    ...COMMON,
    ...paths(
      "spec.nodeName",
      "spec.restartPolicy",
      "spec.schedulerName",
      "spec.serviceAccountName",
      "status.phase",
      "status.podIP",
      "status.nominatedNodeName",
    ),
    "spec.hostNetwork": path("spec.hostNetwork", "false"),
    // The name this key had before v1; the server still converts it.
    "spec.host": path("spec.nodeName"),
  },
  Event: {
    ...COMMON,
    ...paths(
      "involvedObject.kind",
      "involvedObject.namespace",
      "involvedObject.name",
      "involvedObject.uid",
      "involvedObject.apiVersion",
      "involvedObject.resourceVersion",
      "involvedObject.fieldPath",
      "reason",
      "reportingComponent",
      "type",
    ),
    source: eventSource,
  },
  Node: { ...paths("metadata.name"), "spec.unschedulable": path("spec.unschedulable", "false") },
  Namespace: { ...paths("metadata.name", "status.phase") },
  Secret: { ...COMMON, ...paths("type") },
  Service: { ...COMMON, ...paths("spec.clusterIP", "spec.type") },
};

/** The keys that a kind accepts. */
export function fieldSelectorKeys(kind: string): readonly string[] {
  return Object.keys(KEYS[kind] ?? COMMON);
}

/** Parses a field selector for a kind; throws a 400 StatusError for bad syntax and for a key the kind lacks. */
export function parseFieldSelector(kind: string, text: string): FieldSelector {
  const requirements = splitTerms(text)
    .filter((term) => term !== "")
    .map((term) => parseTerm(text, term));
  for (const { key } of requirements) {
    if (Object.hasOwn(KEYS[kind] ?? COMMON, key)) continue;
    throw statusError(
      400,
      "BadRequest",
      kind in KEYS
        ? `field label not supported: ${key}`
        : `"${key}" is not a known field selector: only "metadata.name", "metadata.namespace"`,
    );
  }
  return { kind, requirements };
}

/** Splits at commas that no backslash escapes. */
function splitTerms(text: string): readonly string[] {
  return text.match(/(?:\\.|[^,\\])+/gs) ?? [];
}

function parseTerm(whole: string, term: string): FieldRequirement {
  const [, key, operator, value] = /^((?:\\.|[^=!\\])+)(==|!=|=)(.*)$/s.exec(term) ?? [];
  if (key === undefined || operator === undefined || value === undefined) {
    throw statusError(400, "BadRequest", `invalid selector: '${whole}'; can't understand '${term}'`);
  }
  return { key, operator: operator === "!=" ? "!=" : "=", value: unescapeValue(value) };
}

function unescapeValue(value: string): string {
  if (!/^(?:[^\\,=]|\\[\\,=])*$/s.test(value)) {
    throw statusError(400, "BadRequest", `invalid field selector value: "${value}"`);
  }
  return value.replace(/\\(.)/g, "$1");
}

/** Whether an object of the selector's kind satisfies every requirement. */
export function matchesFields(selector: FieldSelector, object: KubeObject): boolean {
  const readers = KEYS[selector.kind] ?? COMMON;
  return selector.requirements.every(({ key, operator, value }) => {
    const actual = readers[key]?.(object) ?? "";
    return operator === "=" ? actual === value : actual !== value;
  });
}
