/** The difference of two objects as lines for people: what a plan shows. */
import type { KubeObject } from "@slipway/kube";
import { CHANGE_CAUSE_ANNOTATION, COMMIT_ANNOTATION, RELEASE_ANNOTATION } from "./apply.ts";
import { canonicalJson } from "./config-names.ts";

const OWN_ANNOTATIONS = new Set([RELEASE_ANNOTATION, COMMIT_ANNOTATION, CHANGE_CAUSE_ANNOTATION]);
const BOOKKEEPING = new Set(["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"]);
const LONGEST_VALUE = 80;

/** Without what every write changes: versions, managed fields, status and the release's own annotations. */
export function withoutBookkeeping(object: KubeObject): Record<string, unknown> {
  const { status: _status, metadata, ...rest } = object as KubeObject & { status?: unknown };
  const annotations = Object.fromEntries(
    Object.entries(metadata.annotations ?? {}).filter(([key]) => !OWN_ANNOTATIONS.has(key)),
  );
  const kept = Object.fromEntries(Object.entries(metadata).filter(([key]) => !BOOKKEEPING.has(key)));
  return {
    ...rest,
    metadata: {
      ...kept,
      annotations: Object.keys(annotations).length === 0 ? undefined : annotations,
    },
  };
}

/** `spec.template.spec.containers[web].image: web:1 -> web:2`; with `masked`, values are not shown. */
export function describeChanges(before: unknown, after: unknown, masked = false): readonly string[] {
  const lines: string[] = [];
  compare("", before, after, (path, from, to) => {
    lines.push(`${path}: ${masked ? "(hidden)" : show(from)} -> ${masked ? "(hidden)" : show(to)}`);
  });
  return lines;
}

function compare(
  path: string,
  before: unknown,
  after: unknown,
  changed: (path: string, from: unknown, to: unknown) => void,
): void {
  if (canonicalJson(before) === canonicalJson(after)) return;
  if (isRecord(before) && isRecord(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      compare(path === "" ? key : `${path}.${key}`, before[key], after[key], changed);
    }
    return;
  }
  const named = byName(before, after);
  if (named !== undefined) {
    for (const name of new Set([...named.before.keys(), ...named.after.keys()])) {
      compare(`${path}[${name}]`, named.before.get(name), named.after.get(name), changed);
    }
    return;
  }
  changed(path, before, after);
}

/** Lists of named things (containers, env, ports) are compared by name, so that an insertion is one line. */
function byName(
  before: unknown,
  after: unknown,
): { before: Map<string, unknown>; after: Map<string, unknown> } | undefined {
  if (!Array.isArray(before) || !Array.isArray(after)) return undefined;
  const all = [...before, ...after];
  if (!all.every((item) => isRecord(item) && typeof item["name"] === "string")) return undefined;
  const toMap = (list: readonly unknown[]): Map<string, unknown> =>
    new Map(list.map((item) => [(item as { name: string }).name, item]));
  return { before: toMap(before), after: toMap(after) };
}

function show(value: unknown): string {
  if (value === undefined) return "(absent)";
  const whole = typeof value === "string" ? value : canonicalJson(value);
  // Eight characters tell two digests apart; all of them would hide what differs.
  const text = whole.replaceAll(/@sha256:([0-9a-f]{8})[0-9a-f]{56}/g, "@$1…");
  return text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE - 1)}…`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
