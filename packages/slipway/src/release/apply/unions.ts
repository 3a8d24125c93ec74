/**
 * Parts of an object that server-side apply cannot change alone. Of some fields an object may have one: a probe is an
 * `httpGet` or an `exec`, a volume a `configMap` or a `secret`. A manifest that goes from one to the other is often
 * refused ("may not specify more than 1 handler type"), because the old one stays: what the server filled in
 * (`httpGet.scheme`, `configMap.defaultMode`, a whole `rollingUpdate`) has no owner, and what another manager set
 * (`kubectl apply`) is not ours to drop. Kubernetes 1.20 refuses all of these, newer ones those whose old one was never
 * applied; kubectl leaves its user alone with it. A probe or hook that is dropped altogether has the same trouble there:
 * of `httpGet` the scheme is left, without a port.
 *
 * So when an apply is refused as invalid, and the manifest chooses otherwise than the object does, the object is first
 * changed by a patch to what the apply would make of it: one change, one rollout. The apply after it changes nothing but
 * whose the fields are. Tried on 1.20.2, and no way out there: nulls in the apply take away only what is empty
 * (`emptyDir: {}`), and to own the old choice takes it away only one level deep (`valueFrom: {}` is left).
 */
import {
  type AnyObject,
  createMergePatch,
  findObject,
  isObject,
  type JsonObject,
  type KubeClient,
  type KubeObject,
  type ManagedFieldsEntry,
  StatusError,
} from "@slipway/kube";
import { refOf } from "./prune.ts";

interface Union {
  /** Names of fields; `*` is every element of a list whose key is `name`. */
  readonly at: readonly string[];
  /** Those that exclude each other; with `allBut`, every field save these. */
  readonly members: readonly string[] | { readonly allBut: readonly string[] };
  /** A member that goes with one value of the field `type`. */
  readonly type?: string;
  /** Each member stands for itself; it goes when the manifest had it and drops it. */
  readonly areParts?: true;
}

const EACH = "*";
const HANDLERS = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];
const PROBES = ["livenessProbe", "readinessProbe", "startupProbe"];
const HOOKS = ["postStart", "preStop"];
const SOURCES = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

const IN_POD: readonly Union[] = [
  ...["containers", "initContainers"].flatMap((list): readonly Union[] => [
    { at: [list, EACH], members: [...PROBES, "lifecycle"], areParts: true },
    { at: [list, EACH, "lifecycle"], members: HOOKS, areParts: true },
    ...PROBES.map((probe) => ({
      at: [list, EACH, probe],
      members: HANDLERS,
    })),
    ...HOOKS.map((hook) => ({ at: [list, EACH, "lifecycle", hook], members: HANDLERS })),
    { at: [list, EACH, "env", EACH], members: ["value", "valueFrom"] },
    { at: [list, EACH, "env", EACH, "valueFrom"], members: SOURCES },
  ]),
  { at: ["volumes", EACH], members: { allBut: ["name"] } },
];

const ROLLING = { members: ["rollingUpdate"], type: "RollingUpdate" } as const;
const BACKEND = { members: ["service", "resource"] } as const;

/** Of lists only those that server-side apply merges by key; the others (metrics, paths) are replaced as a whole. */
const UNIONS: readonly Union[] = [
  { at: ["spec", "strategy"], ...ROLLING },
  { at: ["spec", "updateStrategy"], ...ROLLING },
  { at: ["spec", "defaultBackend"], ...BACKEND },
];

const OF_KIND: Readonly<Record<string, readonly Union[]>> = {
  Pod: below(["spec"]),
  CronJob: below(["spec", "jobTemplate", "spec", "template", "spec"]),
  PodDisruptionBudget: [{ at: ["spec"], members: ["minAvailable", "maxUnavailable"] }],
};

function below(spec: readonly string[]): readonly Union[] {
  return IN_POD.map((one) => ({ ...one, at: [...spec, ...one.at] }));
}

const OF_TEMPLATE = below(["spec", "template", "spec"]);

/** One place at which the manifest chooses another member than the object in the cluster has. */
export interface Choice {
  /** Names of fields; `{ name }` is the element of a list. */
  readonly path: readonly (string | { readonly name: string })[];
  /** What has to go, as it is in the cluster. */
  readonly from: JsonObject;
  /** What the manifest has in its place; with `type` where that decides. */
  readonly to: JsonObject;
  /** The value of `type` that goes with `from`. */
  readonly typeBefore?: string;
}

/** Where `object` chooses otherwise than `live`, or drops a part that `manager` had applied. */
export function changedChoices(live: KubeObject, object: AnyObject, manager: string): readonly Choice[] {
  const unions = [...UNIONS, ...(OF_KIND[object.kind] ?? OF_TEMPLATE)];
  const ours = fieldsOf(live.metadata.managedFields?.find((entry) => isAppliedBy(entry, manager)));
  return unions.flatMap((union) =>
    [...choicesAt(union, union.at, [], live, object)].flatMap((choice) => {
      if (union.areParts !== true) return [choice];
      const applied = Object.entries(choice.from).filter(
        ([name]) => fieldsAt(ours, elementsOf([...choice.path, name])) !== undefined,
      );
      return applied.length === 0 ? [] : [{ ...choice, from: Object.fromEntries(applied) }];
    }),
  );
}

function* choicesAt(
  union: Union,
  steps: readonly string[],
  path: Choice["path"],
  live: unknown,
  wanted: unknown,
): Generator<Choice> {
  const [step, ...rest] = steps;
  if (step === EACH) {
    if (!Array.isArray(live) || !Array.isArray(wanted)) return;
    for (const element of wanted) {
      const name = (element as { name?: unknown } | null)?.name;
      const before = live.find((one) => (one as { name?: unknown } | null)?.name === name);
      if (typeof name !== "string" || before === undefined) continue;
      yield* choicesAt(union, rest, [...path, { name }], before, element);
    }
    return;
  }
  if (!isObject(live) || !isObject(wanted)) return;
  if (step !== undefined) {
    yield* choicesAt(union, rest, [...path, step], live[step], wanted[step]);
    return;
  }
  const choice = choiceOf(union, live, wanted);
  if (choice !== undefined) yield { path, ...choice };
}

function choiceOf(union: Union, live: JsonObject, wanted: JsonObject): Omit<Choice, "path"> | undefined {
  const { members, type } = union;
  const isIn = (name: string): boolean =>
    "allBut" in members ? !members.allBut.includes(name) : members.includes(name);
  const chosen = (of: JsonObject): JsonObject =>
    Object.fromEntries(
      Object.entries(of).filter(([name, value]) => isIn(name) && value !== null && value !== undefined),
    );
  if (type !== undefined) {
    const from = chosen(live);
    const isLeft = typeof wanted["type"] === "string" && wanted["type"] !== type;
    if (!isLeft || Object.keys(from).length === 0) return undefined;
    return { from, to: { type: wanted["type"] }, typeBefore: type };
  }
  const to = chosen(wanted);
  const from = Object.fromEntries(Object.entries(chosen(live)).filter(([name]) => !Object.hasOwn(to, name)));
  if (Object.keys(from).length === 0) return undefined;
  if (union.areParts === true) return { from, to: {} };
  // A manifest that names none leaves the choice to whoever made it.
  return Object.keys(to).length === 0 ? undefined : { from, to };
}

/** `object` with the choices that the cluster has now, which its API server takes. */
function withOldChoices(object: AnyObject, choices: readonly Choice[]): AnyObject {
  return choices.reduce(
    (all, { path, from, to, typeBefore }) =>
      changedAt(all, path, (node) => ({
        ...without(node, Object.keys(to)),
        ...from,
        ...(typeBefore === undefined ? {} : { type: typeBefore }),
      })) as AnyObject,
    object,
  );
}

/** `object`, as the server answered it, with the choices of the manifest in place of the old ones. */
function withNewChoices<T extends KubeObject>(object: T, choices: readonly Choice[]): T {
  return choices.reduce(
    (all, { path, from, to }) =>
      changedAt(all, path, (node) => ({ ...without(node, Object.keys(from)), ...to })) as T,
    object,
  );
}

function without(node: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(node).filter(([name]) => !names.includes(name)));
}

function changedAt(value: unknown, path: Choice["path"], change: (node: JsonObject) => JsonObject): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return change(value as JsonObject);
  if (typeof step === "string") {
    const node = value as JsonObject;
    return { ...node, [step]: changedAt(node[step], rest, change) };
  }
  return (value as readonly JsonObject[]).map((one) =>
    one["name"] === step.name ? changedAt(one, rest, change) : one,
  );
}

type Fields = { readonly [element: string]: Fields };

function isAppliedBy({ manager, operation, subresource }: ManagedFieldsEntry, who: string): boolean {
  return manager === who && operation === "Apply" && !subresource;
}

function fieldsOf(entry: ManagedFieldsEntry | undefined): Fields {
  return (entry?.fieldsV1 ?? {}) as Fields;
}

function elementsOf(path: Choice["path"]): readonly string[] {
  return path.map((step) => (typeof step === "string" ? `f:${step}` : `k:${JSON.stringify(step)}`));
}

function fieldsAt(fields: Fields | undefined, elements: readonly string[]): Fields | undefined {
  return elements.reduce<Fields | undefined>((at, element) => at?.[element], fields);
}

/** Is it an answer that a choice left behind may be the reason of? */
function isInvalid(error: unknown): boolean {
  return error instanceof StatusError && error.httpCode === 422;
}

/** Only between a patch and the apply after it. */
const CHOICE_MANAGER = "slipway-choices";

interface ApplyOptions {
  readonly fieldManager: string;
  readonly force: true;
}

/** `client.apply`, for an object whose manifest may choose otherwise than the cluster has it. */
export async function applyChoices(
  client: KubeClient,
  object: AnyObject,
  options: ApplyOptions,
): Promise<AnyObject> {
  const applied = await client.apply(object, options).catch(async (error: unknown) => {
    const live = isInvalid(error) ? await findObject(client, refOf(object)) : undefined;
    const chosen = await patchOf(client, object, { live, options });
    if (live === undefined || chosen === undefined) throw error;
    // Of this very version, so whoever writes in between wins, and the apply is tried again from the beginning.
    const { resourceVersion } = live.metadata;
    const guarded = {
      ...chosen,
      metadata: { ...(chosen["metadata"] as JsonObject | undefined), resourceVersion },
    };
    await client.patch(refOf(object), "merge", guarded, { fieldManager: CHOICE_MANAGER });
    return client.apply(object, options);
  });
  return released(client, applied);
}

/** What `applyChoices` would come to: its patch as a dry run, where an apply is refused. */
export async function tryChoices(
  client: KubeClient,
  object: AnyObject,
  live: KubeObject | undefined,
  options: ApplyOptions,
): Promise<KubeObject> {
  return client.apply<KubeObject>(object, { ...options, dryRun: true }).catch(async (error: unknown) => {
    const chosen = isInvalid(error) ? await patchOf(client, object, { live, options }) : undefined;
    if (chosen === undefined) throw error;
    return client.patch(refOf(object), "merge", chosen, { fieldManager: CHOICE_MANAGER, dryRun: true });
  });
}

/** From `live` to what an apply of `object` would make of it: all but the choices is told by a dry run with the old ones. */
async function patchOf(
  client: KubeClient,
  object: AnyObject,
  { live, options }: { readonly live: KubeObject | undefined; readonly options: ApplyOptions },
): Promise<JsonObject | undefined> {
  if (live === undefined) return undefined;
  const choices = changedChoices(live, object, options.fieldManager);
  if (choices.length === 0) return undefined;
  const rest = await client.apply(withOldChoices(object, choices), { ...options, dryRun: true });
  return createMergePatch(plain(live), plain(withNewChoices(rest, choices))) ?? {};
}

/** Takes the patch's manager out again: a field that only it has would stay when a release no longer names it. */
async function released(client: KubeClient, applied: AnyObject): Promise<AnyObject> {
  const { managedFields = [], resourceVersion } = applied.metadata;
  const left = managedFields.filter(({ manager }) => manager !== CHOICE_MANAGER);
  if (left.length === managedFields.length) return applied;
  const metadata = { managedFields: left, resourceVersion };
  return client.patch<AnyObject>(refOf(applied), "merge", { metadata }, { fieldManager: CHOICE_MANAGER });
}

/** Without what the server keeps for itself, which a patch must not say. */
function plain(object: KubeObject): JsonObject {
  const {
    managedFields: _fields,
    resourceVersion: _version,
    generation: _generation,
    ...metadata
  } = object.metadata;
  const { status: _status, ...rest } = object as KubeObject & { status?: unknown };
  return { ...rest, metadata };
}
