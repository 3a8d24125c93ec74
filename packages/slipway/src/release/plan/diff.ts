/**
 * The difference of two objects for people: what a plan shows. Lists are compared as Kubernetes merges them
 * (containers by name, ports by number and protocol), so that an insertion is one line; lists without a key by their
 * longest common part. Of what is new only the fields that the manifest names are shown, not the server's defaults.
 */
import { type AnyObject, anySchema, type FieldSchema, type KubeObject, schemaOf } from "@slipway/kube";
import { CHANGE_CAUSE_ANNOTATION, COMMIT_ANNOTATION, RELEASE_ANNOTATION } from "../apply/apply.ts";
import { canonicalJson } from "../manifests/config-names.ts";
import { alignLists, type LineChange, lineChanges } from "./line-diff.ts";

const OWN_ANNOTATIONS = new Set([
  RELEASE_ANNOTATION,
  COMMIT_ANNOTATION,
  CHANGE_CAUSE_ANNOTATION,
  // kubectl's copy of a whole manifest, the values of a Secret included.
  "kubectl.kubernetes.io/last-applied-configuration",
  // Written by the Deployment controller after each rollout.
  "deployment.kubernetes.io/revision",
]);
const BOOKKEEPING = new Set([
  "managedFields",
  "resourceVersion",
  "generation",
  "uid",
  "creationTimestamp",
  "selfLink",
]);
const LONGEST_VALUE = 80;

/** One field. `+` has no `before`, `-` no `after`; values are shortened for reading, those of Secrets never shown. */
export interface FieldChange {
  readonly mark: "+" | "-" | "~";
  /** `spec.template.spec.containers[web].image`; empty for a remark about the whole object. */
  readonly path: string;
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  /** For a text of several lines, in place of `before` and `after`. */
  readonly lines?: readonly LineChange[] | undefined;
}

export interface DiffOptions {
  /** The manifest: what is new and not in it is a default of the server and left out. */
  readonly sent?: unknown;
  readonly schema?: FieldSchema | undefined;
  /** Values are not shown, only that they differ. */
  readonly masked?: boolean | undefined;
  /** Names with a content hash → the name in the manifests; see `config-names.ts`. */
  readonly plainNames?: ReadonlyMap<string, string> | undefined;
}

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

/** What an apply of `sent` makes of the live object: `after` is the answer of its dry run. */
export function objectChanges(
  live: KubeObject,
  after: KubeObject,
  sent: AnyObject,
  plainNames?: ReadonlyMap<string, string>,
): readonly FieldChange[] {
  return describeChanges(withoutBookkeeping(live), withoutBookkeeping(after), {
    sent: withoutBookkeeping(sent as KubeObject),
    schema: schemaOf(sent.apiVersion, sent.kind),
    masked: sent.kind === "Secret",
    plainNames,
  });
}

/** Every field of an object that is not there yet, as its manifest has them. */
export function creationChanges(sent: AnyObject): readonly FieldChange[] {
  const {
    apiVersion: _apiVersion,
    kind,
    metadata,
    ...rest
  } = withoutBookkeeping(sent as KubeObject) as {
    apiVersion: string;
    kind: string;
    metadata: Record<string, unknown>;
  };
  const { name: _name, namespace: _namespace, ...about } = metadata;
  return describeChanges(
    {},
    { metadata: about, ...rest },
    { schema: schemaOf(sent.apiVersion, kind), masked: kind === "Secret" },
  );
}

export function describeChanges(
  before: unknown,
  after: unknown,
  options: DiffOptions = {},
): readonly FieldChange[] {
  const changes: FieldChange[] = [];
  const walk: Walk = { changes, options, remarks: new Set() };
  compare(
    walk,
    { path: "", schema: options.schema ?? anySchema, sent: options.sent ?? after },
    before,
    after,
  );
  return changes;
}

interface Walk {
  readonly changes: FieldChange[];
  readonly options: DiffOptions;
  readonly remarks: Set<string>;
}

interface Place {
  readonly path: string;
  readonly schema: FieldSchema;
  readonly sent: unknown;
}

function compare(walk: Walk, place: Place, before: unknown, after: unknown): void {
  if (canonicalJson(before) === canonicalJson(after)) return;
  if (isEmpty(before) && isEmpty(after)) return;
  const isNew = before === undefined;
  // A default that the server filled in beside something new.
  if (isNew && place.sent === undefined && place.path !== "") return;
  if (isRecord(after) && (isRecord(before) || isNew)) {
    const from = isRecord(before) ? before : {};
    if (Object.keys(after).length === 0) return push(walk, place, before, after);
    for (const key of new Set([...Object.keys(from), ...Object.keys(after)])) {
      const path = pathTo(place.path, key);
      const schema = place.schema.field(key) ?? anySchema;
      const sent = isRecord(place.sent) ? place.sent[key] : undefined;
      compare(walk, { path, schema, sent }, from[key], after[key]);
    }
    return;
  }
  if (Array.isArray(after) && (Array.isArray(before) || isNew)) {
    return compareLists(walk, place, (before as readonly unknown[] | undefined) ?? [], after);
  }
  push(walk, place, before, after);
}

function compareLists(walk: Walk, place: Place, before: readonly unknown[], after: readonly unknown[]): void {
  const keys = keysOf(place.schema, before, after);
  const schema = place.schema.items ?? anySchema;
  if (keys !== undefined) {
    const from = new Map(before.map((item) => [labelOf(item, keys), item]));
    const to = new Map(after.map((item) => [labelOf(item, keys), item]));
    const sent = new Map(
      (Array.isArray(place.sent) ? place.sent : []).map((item) => [labelOf(item, keys), item] as const),
    );
    for (const label of new Set([...from.keys(), ...to.keys()])) {
      const at = { path: `${place.path}[${label}]`, schema, sent: sent.get(label) };
      compare(walk, at, from.get(label), to.get(label));
    }
    return;
  }
  const isPlain = [...before, ...after].every((item) => !isRecord(item) && !Array.isArray(item));
  if (isPlain && canonicalJson([before, after]).length <= 2 * LONGEST_VALUE) {
    return push(walk, place, before.length === 0 ? undefined : before, after);
  }
  const sent = Array.isArray(place.sent) ? place.sent : [];
  for (const { from, to } of alignLists(before, after, canonicalJson)) {
    const index = to ?? from ?? 0;
    const at = { path: `${place.path}[${index}]`, schema, sent: to === undefined ? undefined : sent[to] };
    compare(
      walk,
      at,
      from === undefined ? undefined : before[from],
      to === undefined ? undefined : after[to],
    );
  }
}

/** The fields that tell the elements of a list apart; undefined when they do not, as with an `env` name used twice. */
function keysOf(
  schema: FieldSchema,
  before: readonly unknown[],
  after: readonly unknown[],
): readonly string[] | undefined {
  const candidates = [
    ...(schema.listKeys.length > 0 ? [schema.listKeys] : []),
    ...(schema.mergeKey === undefined ? [] : [[schema.mergeKey]]),
    // What no table describes mostly follows the same custom.
    ["name"],
  ];
  return candidates.find((keys) =>
    [before, after].every((list) => {
      const labels = list.map((item) => labelOf(item, keys));
      return !labels.includes(undefined) && new Set(labels).size === labels.length;
    }),
  );
}

/** `web`, `80/TCP`; undefined when the first key is missing. */
function labelOf(item: unknown, keys: readonly string[]): string | undefined {
  if (!isRecord(item) || item[keys[0] as string] === undefined) return undefined;
  // Filled in by servers from 1.26 on, and before an apply: a port without it is a TCP port.
  const part = (key: string): unknown => item[key] ?? (key === "protocol" ? "TCP" : undefined);
  return keys
    .map(part)
    .filter((value) => value !== undefined)
    .join("/");
}

function push(walk: Walk, place: Place, before: unknown, after: unknown): void {
  const { options, changes, remarks } = walk;
  const renamed = contentOnly(options.plainNames, before, after);
  if (renamed !== undefined) {
    if (!remarks.has(renamed)) changes.push({ mark: "~", path: "", after: `new content of ${renamed}` });
    remarks.add(renamed);
    return;
  }
  const { path } = place;
  const mark = before === undefined ? "+" : after === undefined ? "-" : "~";
  if (options.masked === true && /^(?:data|stringData)(?:[.[]|$)/.test(path)) {
    const hidden = mark === "~" ? "(secret, changed)" : "(secret)";
    changes.push(mark === "-" ? { mark, path, before: hidden } : { mark, path, after: hidden });
    return;
  }
  if (isText(before) && isText(after) && `${before}${after}`.includes("\n")) {
    changes.push({ mark, path, lines: lineChanges(before, after) });
    return;
  }
  if (before === undefined && isText(after) && after.includes("\n")) {
    changes.push({
      mark,
      path,
      lines: after
        .trimEnd()
        .split("\n")
        .map((text) => ({ mark: "+", text })),
    });
    return;
  }
  const [from, to] = shortened(show(before), show(after));
  changes.push({
    mark,
    path,
    // Of what goes, its name says enough.
    ...(before === undefined || (mark === "-" && isStructure(before)) ? {} : { before: from }),
    ...(after === undefined ? {} : { after: to }),
  });
}

/** `ConfigMap settings`, when both values are names of it that differ in the hash of its content alone. */
function contentOnly(
  plainNames: ReadonlyMap<string, string> | undefined,
  before: unknown,
  after: unknown,
): string | undefined {
  if (plainNames === undefined || !isText(before) || !isText(after)) return undefined;
  const plain = plainNames.get(after);
  return plain !== undefined && plain === plainNames.get(before) ? plain : undefined;
}

/** Both to at most `LONGEST_VALUE`, around the first place where they differ. */
function shortened(before: string, after: string): readonly [string, string] {
  if (before.length <= LONGEST_VALUE && after.length <= LONGEST_VALUE) return [before, after];
  let same = 0;
  while (same < before.length && same < after.length && before[same] === after[same]) same += 1;
  const start = same <= LONGEST_VALUE / 2 ? 0 : same - LONGEST_VALUE / 4;
  const cut = (text: string): string => {
    const end = start + LONGEST_VALUE - 2;
    return `${start > 0 ? "…" : ""}${text.slice(start, end)}${text.length > end ? "…" : ""}`;
  };
  return [cut(before), cut(after)];
}

function show(value: unknown): string {
  if (value === undefined) return "(absent)";
  const whole = isText(value) ? value : canonicalJson(value);
  // Eight characters tell two digests apart; all of them would hide what differs.
  return whole.replaceAll("\n", "⏎").replaceAll(/@sha256:([0-9a-f]{8})[0-9a-f]{56}/g, "@$1…");
}

/** A key with dots of its own (`nginx.conf`, `app.kubernetes.io/name`) in brackets, so that a path stays readable. */
function pathTo(path: string, key: string): string {
  if (/[./]/.test(key)) return `${path}[${key}]`;
  return path === "" ? key : `${path}.${key}`;
}

/** Absent, `{}` and `[]` say the same, and servers turn one into the other. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return isStructure(value) && Object.keys(value as object).length === 0;
}

function isStructure(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
