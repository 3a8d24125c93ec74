/** Checks on the objects of a cluster: `t.workload`, `t.object`, `t.objects`. */
import { type Pattern, patternOf } from "../cluster/match.ts";
import { WORKLOAD_KINDS, type WorkloadKind } from "../cluster/pods.ts";
import { specError } from "../collect.ts";
import { type Context, Expectations, parseTime, wholeNumber } from "./expect.ts";
import { name as nameOf, textMap } from "./given.ts";

export class WorkloadExpectations extends Expectations<"workload"> {
  constructor(context: Context, reference: string) {
    super(context, "workload", `workload ${reference}`, parseWorkload(reference));
  }

  /** The rollout of its newest revision is over, as `kubectl rollout status` says it. */
  available(): this {
    return this.expect("available", { matcher: "available" });
  }
  /** Its pods run `sha256:…`, or with `@built` an image that was just built. */
  digest(expected: string): this {
    const isBuilt = expected === "@built";
    if (!isBuilt && !/^sha256:[0-9a-f]{64}$/.test(expected)) {
      throw specError(`digest expects "@built" or "sha256:" and 64 digits, got "${expected}"`);
    }
    return this.expect(`digest ${expected}`, { matcher: "digest", digest: isBuilt ? undefined : expected });
  }
  /** None of its pods was started again, and none is for so long from now. */
  noRestarts(within: string | number = 0): this {
    const ms = parseTime(within);
    return this.expect(`no restarts${ms === 0 ? "" : ` for ${within}`}`, { matcher: "noRestarts", ms });
  }
}

export class ObjectExpectations extends Expectations<"object"> {
  constructor(context: Context, type: string, name: string) {
    super(context, "object", `${type} ${name}`, { ...parseType(type), name: nameOf("object", name) });
  }

  exists(): this {
    return this.expect("exists", { matcher: "exists" });
  }
  absent(): this {
    return this.expect("absent", { matcher: "absent" });
  }
  /** The parts that are named: of maps their keys, of lists the elements of the same `name`, or all; see `contains()`. */
  matches(expected: object): this {
    return this.expect(`matches ${shown(expected)}`, { matcher: "matches", pattern: parsePattern(expected) });
  }
}

export class ObjectsExpectations extends Expectations<"objects"> {
  constructor(context: Context, type: string, labels: Readonly<Record<string, string>> | string) {
    const labelSelector =
      typeof labels === "string"
        ? labels
        : Object.entries(textMap("labels", labels))
            .map(([key, value]) => `${key}=${value}`)
            .join(",");
    super(context, "objects", `${type}${labelSelector === "" ? "" : ` (${labelSelector})`}`, {
      ...parseType(type),
      labelSelector,
    });
  }

  /** There is no object, or none that matches. */
  none(expected?: object): this {
    const pattern = expected === undefined ? undefined : parsePattern(expected);
    return this.expect(expected === undefined ? "none" : `none matches ${shown(expected)}`, {
      matcher: "none",
      pattern,
    });
  }
  /** At least one matches. */
  some(expected: object): this {
    return this.expect(`some match ${shown(expected)}`, { matcher: "some", pattern: parsePattern(expected) });
  }
  /** There is one, and all match. */
  every(expected: object): this {
    return this.expect(`every one matches ${shown(expected)}`, {
      matcher: "every",
      pattern: parsePattern(expected),
    });
  }
  count(expected: number): this {
    const count = wholeNumber("count", expected);
    return this.expect(`count ${count}`, { matcher: "count", count });
  }
}

function parsePattern(expected: unknown): Pattern {
  if (typeof expected !== "object" || expected === null || Object.keys(expected).length === 0) {
    throw specError("expects an object with the parts that count", 'Write { status: { phase: "Running" } }.');
  }
  try {
    return patternOf(expected);
  } catch (error) {
    throw specError(error instanceof Error ? error.message : String(error));
  }
}

/** `v1/Service`, `apps/v1/Deployment`. */
function parseType(type: string): { readonly apiVersion: string; readonly kind: string } {
  const match = /^((?:[a-z0-9.-]+\/)?v[0-9][a-z0-9]*)\/([A-Z][A-Za-z0-9]*)$/.exec(type);
  if (match !== null) return { apiVersion: match[1] as string, kind: match[2] as string };
  throw specError(`"${type}" is not a kind with its version`, "Write v1/Service or apps/v1/Deployment.");
}

/** `deployment/front` as kubectl writes it, or the name alone. */
function parseWorkload(reference: string): {
  readonly kind: WorkloadKind | undefined;
  readonly name: string;
} {
  const [first = "", second] = nameOf("workload", reference).split("/");
  if (second === undefined) return { kind: undefined, name: first };
  const short: Readonly<Record<string, WorkloadKind>> = {
    deploy: "Deployment",
    sts: "StatefulSet",
    ds: "DaemonSet",
  };
  const kind = short[first] ?? WORKLOAD_KINDS.find((one) => one.toLowerCase() === first.toLowerCase());
  if (kind !== undefined && second !== "") return { kind, name: second };
  throw specError(
    `"${reference}" is not a workload`,
    "Write deployment/front, statefulset/db, daemonset/agent.",
  );
}

const LONGEST = 60;

function shown(expected: object): string {
  const text = JSON.stringify(expected, (_, value: unknown) =>
    value instanceof RegExp ? String(value) : value,
  );
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…`;
}
