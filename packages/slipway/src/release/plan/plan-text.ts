/** A plan as text for people. Clusters in which the same would happen are shown once. Pure. */
import type { SlipwayError } from "@slipway/base";
import { describeIdentities } from "../identity.ts";
import type { ClusterPlan } from "./cluster-plan.ts";
import type { FieldChange } from "./diff.ts";
import { renderOrder, silenceText } from "./order-text.ts";
import type { ReleasePlan } from "./plan.ts";
import { isChange, type PlannedAction, type PlannedObject } from "./planned-object.ts";

export interface PlanTextOptions {
  /** Escape sequences of a terminal for the marks. */
  readonly color?: boolean | undefined;
  /** Every field of objects that are created, too. */
  readonly full?: boolean | undefined;
}

const MARKS: Readonly<Record<PlannedAction, Mark>> = {
  create: "+",
  change: "~",
  unchanged: "=",
  prune: "-",
  left: "!",
};

type Mark = "+" | "-" | "~" | "=" | "!" | " ";

const COLORS: Readonly<Partial<Record<Mark, number>>> = { "+": 32, "-": 31, "~": 33, "!": 33 };

export function renderPlan(plan: ReleasePlan, options: PlanTextOptions = {}): string {
  const groups = new Map<string, string[]>();
  for (const cluster of plan.clusters) {
    const body = renderCluster(cluster, plan, options).join("\n");
    groups.set(body, [...(groups.get(body) ?? []), cluster.name]);
  }
  const names = plan.clusters.map(({ name }) => name);
  return [
    ...describeIdentities(plan.identities),
    ...[...groups].map(([body, alike]) => `${headOf(alike)}\n${body}`),
    ...renderOrder(plan.order),
    ...saidOnce(plan.warnings, names).map((warning) => `warning: ${warning}`),
    ...saidOnce(plan.refusals.map(refusalText), names).map((refusal) => `refused: ${refusal}`),
  ].join("\n");
}

/** `tokyo/Deployment web: …` and the same of osaka are `tokyo, osaka/Deployment web: …`, in the place of the first. */
function saidOnce(texts: readonly string[], clusters: readonly string[]): readonly string[] {
  const places = new Map<string, string[]>();
  for (const text of texts) {
    const cluster = clusters.find((name) => text.startsWith(`${name}/`));
    const rest = cluster === undefined ? text : text.slice(cluster.length);
    places.set(rest, [...(places.get(rest) ?? []), ...(cluster === undefined ? [] : [cluster])]);
  }
  return [...places].map(([rest, names]) => `${[...new Set(names)].join(", ")}${rest}`);
}

function headOf(names: readonly string[]): string {
  const all = names.join(", ");
  return names.length === 1 ? `${all}:` : `${all} (${names.length} clusters, identical):`;
}

function renderCluster(cluster: ClusterPlan, plan: ReleasePlan, options: PlanTextOptions): readonly string[] {
  if (!cluster.reachable) {
    const silent = plan.order.silent.find((one) => one.cluster === cluster.name);
    const then = silent === undefined ? [] : [`  ${silenceText(silent, plan.order)}`];
    return [`  unreachable: ${cluster.reason}`, ...then];
  }
  return renderPlannedObjects(cluster.objects, plan.namespace, options);
}

/** Each object that would change, a line or more for it; how many would not. */
export function renderPlannedObjects(
  objects: readonly PlannedObject[],
  namespace: string,
  options: PlanTextOptions = {},
): readonly string[] {
  const same = objects.filter(({ action }) => action === "unchanged").length;
  const shown = objects.filter(({ action }) => action !== "unchanged");
  const old = shown.filter(isOldVersion);
  const lines = shown
    .filter((object) => !isOldVersion(object))
    .flatMap((object) => renderObject(object, namespace, options));
  if (old.length > 0) lines.push(`  ${mark("-", options)} ${oldVersions(old)}`);
  if (!shown.some(isChange))
    return [`  nothing changes (${same} ${same === 1 ? "object" : "objects"})`, ...lines];
  return same > 0 ? [...lines, `  = ${same} unchanged`] : lines;
}

/** Content that no kept release needs any more. */
function isOldVersion({ action, appliedAs }: PlannedObject): boolean {
  return action === "prune" && appliedAs !== undefined;
}

function oldVersions(objects: readonly PlannedObject[]): string {
  const names = [...new Set(objects.map(({ kind, name }) => `${kind} ${name}`))].join(", ");
  const count = objects.length === 1 ? "an old version" : `${objects.length} old versions`;
  return `${count} of ${names}, which no kept release needs`;
}

function renderObject(object: PlannedObject, namespace: string, options: PlanTextOptions): string[] {
  const { kind, name, appliedAs, action, changes, untried } = object;
  const isElsewhere = object.namespace !== undefined && object.namespace !== namespace;
  const place = isElsewhere ? ` in namespace ${object.namespace}` : "";
  const as = appliedAs === undefined ? "" : ` as ${appliedAs}`;
  const lines = [`  ${mark(MARKS[action], options)} ${kind} ${name}${as}${place}${remarkOf(object)}`];
  if (untried !== undefined) lines.push(`      ? cannot be tried: ${untried}`);
  if (action === "create" && options.full !== true) return lines;
  return [...lines, ...changes.flatMap((change) => renderChange(change, options))];
}

function remarkOf({ kind, action }: PlannedObject): string {
  const holdsData = ["Namespace", "PersistentVolumeClaim", "PersistentVolume", "CustomResourceDefinition"];
  if (action === "left") return ": not in the release any more, stays because it holds data";
  if (action !== "prune") return "";
  return holdsData.includes(kind)
    ? ": pruned WITH ITS DATA once the release is verified (annotated slipway.dev/prune: allow)"
    : ": pruned once the release is verified";
}

function renderChange(change: FieldChange, options: PlanTextOptions): readonly string[] {
  const { before, after, path, lines } = change;
  const values = [before, after].filter((value) => value !== undefined).join(" -> ");
  const text = path === "" ? values : values === "" ? path : `${path}: ${values}`;
  return [
    `      ${mark(change.mark, options)} ${lines === undefined ? text : `${path}:`}`,
    ...(lines ?? []).map((line) => `          ${mark(line.mark, options)} ${line.text}`.trimEnd()),
  ];
}

function refusalText({ where, message, hint }: SlipwayError): string {
  return `${where === undefined ? "" : `${where}: `}${message}${hint === undefined ? "" : `\n  ${hint}`}`;
}

function mark(text: Mark, { color }: PlanTextOptions): string {
  const code = color === true ? COLORS[text] : undefined;
  return code === undefined ? text : `\u001b[${code}m${text}\u001b[39m`;
}
