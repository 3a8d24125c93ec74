/** What can be said of a readiness without looking: its parts, its words, and whether it fits the services. */
import { SlipwayError } from "@slipway/base";
import { specError } from "../collect.ts";
import type { ServiceSpec } from "../engines/engine.ts";
import { showMatch } from "../text.ts";
import type { HttpForm, Leaf, Readiness, ReadyWhen } from "./forms.ts";

/** All that must be so, in the order of the spec file. */
export function leavesOf(readiness: Readiness): readonly Leaf[] {
  return readiness.form === "all" ? readiness.forms.flatMap(leavesOf) : [readiness];
}

/** Each `all` with a deadline of its own, and what must have been so by then. */
export function deadlinesOf(
  readiness: Readiness,
): readonly { readonly deadlineMs: number; readonly leaves: readonly Leaf[] }[] {
  if (readiness.form !== "all") return [];
  const { deadlineMs, forms } = readiness;
  const own = deadlineMs === undefined ? [] : [{ deadlineMs, leaves: leavesOf(readiness) }];
  return [...own, ...forms.flatMap(deadlinesOf)];
}

/** The longest time that any of them may take; 0 when none says one. */
export const longestDeadline = (readyWhen: ReadyWhen): number =>
  Math.max(
    0,
    ...Object.values(readyWhen)
      .flatMap(deadlinesOf)
      .map(({ deadlineMs }) => deadlineMs),
  );

/** What commands and requests get that may be secret. */
export const variablesOf = (readyWhen: ReadyWhen): readonly Readonly<Record<string, string>>[] =>
  Object.values(readyWhen)
    .flatMap(leavesOf)
    .flatMap((leaf) =>
      leaf.form === "cmd" ? [leaf.environment] : leaf.form === "http" ? [leaf.headers] : [],
    );

/** What is waited for, to follow "waiting for". */
export function showLeaf(leaf: Leaf): string {
  switch (leaf.form) {
    case "log":
      return `${showMatch(leaf.match)} in its log${leaf.times === 1 ? "" : `, ${leaf.times} times`}`;
    case "http": {
      const status = leaf.statuses === undefined ? "a status below 400" : leaf.statuses.join(" or ");
      const body = leaf.body === undefined ? "" : ` and the body ${showMatch(leaf.body)}`;
      return `${status}${body} from ${leaf.method} ${urlOf(leaf)}`;
    }
    case "ports":
      return `port ${(leaf.ports ?? []).join(", ")} to listen`;
    case "health":
      return "its healthcheck";
    case "cmd":
      return `exit code 0 of ${leaf.argv.join(" ")}`;
    case "exit":
      return `it to end with ${leaf.code}`;
  }
}

export const urlOf = ({ isTls, port, path }: HttpForm): string =>
  `${isTls ? "https" : "http"}://127.0.0.1${port === undefined ? "" : `:${port}`}${path}`;

/** With what only the services say put in: their ports. */
export const completedFor = (
  readyWhen: ReadyWhen,
  services: readonly Pick<ServiceSpec, "name" | "exposed" | "healthcheck">[],
): ReadyWhen =>
  Object.fromEntries(
    services.flatMap((service) => {
      const said = readyWhen[service.name];
      return said === undefined ? [] : [[service.name, completed(said, service)]];
    }),
  );

function completed(
  readiness: Readiness,
  service: Pick<ServiceSpec, "name" | "exposed" | "healthcheck">,
): Readiness {
  const exposed = service.exposed.filter(({ protocol }) => protocol === "tcp").map(({ port }) => port);
  switch (readiness.form) {
    case "all":
      return { ...readiness, forms: readiness.forms.map((one) => completed(one, service)) };
    case "ports":
      if (readiness.ports !== undefined) return readiness;
      if (exposed.length > 0) return { ...readiness, ports: exposed };
      throw invalid(
        readiness.place,
        `ready.ports() of ${service.name}: it exposes no TCP port`,
        "Name them, as in ready.ports(8080), or give the service `expose`.",
      );
    case "http": {
      if (readiness.port !== undefined) return readiness;
      const [only, ...more] = exposed;
      if (only !== undefined && more.length === 0) return { ...readiness, port: only };
      throw invalid(
        readiness.place,
        `ready.http("${readiness.path}") of ${service.name}: it exposes ${only === undefined ? "no TCP port" : `the ports ${exposed.join(", ")}`}`,
        `Name one, as in ready.http("${readiness.path}", { port: ${only ?? 8080} }).`,
      );
    }
    case "health":
      if (service.healthcheck !== "none") return readiness;
      throw invalid(
        readiness.place,
        `ready.health() of ${service.name}: its healthcheck is switched off`,
        "Give it one, or wait for something else of it.",
      );
    default:
      return readiness;
  }
}

function invalid(where: string, message: string, hint: string): SlipwayError {
  return new SlipwayError({ code: "VERIFY_SPEC_INVALID", where, message, hint, exitCode: 2 });
}

/** Several stacks in one place may each say it of services of their own. */
export function mergeReadyWhen(all: readonly ReadyWhen[]): ReadyWhen {
  const merged: Record<string, Readiness> = {};
  for (const [name, readiness] of all.flatMap((one) => Object.entries(one))) {
    const known = merged[name];
    if (known !== undefined && textOf(known) !== textOf(readiness)) {
      throw specError(
        `it is said twice, and differently, when "${name}" is ready (${known.place} and ${readiness.place})`,
        "Say it once, in a stack or in the options of the place.",
      );
    }
    merged[name] = readiness;
  }
  return merged;
}

/** Where it was written makes no difference to what it is. */
const textOf = (readiness: Readiness): string => JSON.stringify(readiness, withoutPlaces);

/** A form's own, and not a service of that name. */
export const withoutPlaces = (key: string, value: unknown): unknown =>
  key === "place" && typeof value === "string" ? undefined : value;
