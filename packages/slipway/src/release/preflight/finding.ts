/**
 * What preflight found: a stable code, the place, the fact with its numbers, and what to do. How much a finding weighs
 * is decided in one place: the check's own severity, then the configuration, then an annotation of the object itself.
 */
import { SlipwayError } from "@slipway/base";
import type { AnyObject } from "@slipway/kube";
import {
  type PreflightCode,
  type PreflightSeverities,
  preflightChecks,
  preflightCodes,
} from "../../config/preflight-checks.ts";

export interface Finding {
  readonly code: PreflightCode;
  readonly severity: "error" | "warning";
  /** `tokyo/Deployment web/containers/web`; without the cluster for what is the same in all. */
  readonly where: string;
  readonly message: string;
  readonly hint: string;
  /** Undefined for what the manifests alone show. */
  readonly cluster: string | undefined;
}

/** As a check says it: the severity is not its business. */
export interface RawFinding {
  readonly code: PreflightCode;
  /** The object it is about, for its annotation; undefined for what is about the cluster or an image. */
  readonly object?: AnyObject | undefined;
  /** The hook whose Job the object is. */
  readonly hook?: string | undefined;
  /** Below the object: `containers/web`. The whole place when there is no object. */
  readonly place?: string | undefined;
  readonly message: string;
  /** Default: the check's own. */
  readonly hint?: string | undefined;
}

const IGNORE_ANNOTATION = "slipway.dev/preflight-ignore";

export interface Weights {
  readonly severities?: PreflightSeverities | undefined;
  readonly purpose: "deploy" | "rollback";
}

/** Findings with their severity, without those that are off or that their object asks to ignore. */
export function weigh(
  raw: readonly RawFinding[],
  cluster: string | undefined,
  weights: Weights,
): readonly Finding[] {
  return raw.flatMap((one) => {
    const severity = severityOf(one, weights);
    if (severity === "off") return [];
    const object = one.object === undefined ? [] : [`${one.object.kind} ${one.object.metadata.name}`];
    const hook = one.hook === undefined ? undefined : `hook ${one.hook}`;
    const where = [cluster, hook, ...object, one.place].filter((part) => part !== undefined && part !== "");
    const hint = one.hint ?? preflightChecks[one.code].fix;
    return [{ code: one.code, severity, where: where.join("/"), message: one.message, hint, cluster }];
  });
}

function severityOf(one: RawFinding, { severities, purpose }: Weights): "error" | "warning" | "off" {
  if (one.object !== undefined && ignoredCodes(one.object).includes(one.code)) return "off";
  const check = preflightChecks[one.code];
  const asked = severities?.[one.code];
  if (purpose === "deploy") return asked ?? check.severity;
  // Configuring may silence a rollback's finding, but never make it stand in the way of one.
  if (asked === "off") return "off";
  return asked === "warning" && check.inRollback === "error" ? "warning" : check.inRollback;
}

/** The codes of `slipway.dev/preflight-ignore: CODE, CODE; because …`: what follows a semicolon is the reason. */
function ignoredCodes(object: AnyObject): readonly string[] {
  const text = object.metadata.annotations?.[IGNORE_ANNOTATION] ?? "";
  return (text.split(";")[0] ?? "")
    .split(",")
    .map((code) => code.trim())
    .filter((code) => code !== "");
}

/** Codes in annotations that do not exist: a misspelt one would silently ignore nothing. */
export function unknownIgnores(objects: readonly AnyObject[]): readonly string[] {
  return objects.flatMap((object) =>
    ignoredCodes(object)
      .filter((code) => !preflightCodes.includes(code as PreflightCode))
      .map(
        (code) =>
          `${object.kind} ${object.metadata.name}: the annotation ${IGNORE_ANNOTATION} names "${code}", which no check is called`,
      ),
  );
}

/** Manifests and configuration are the caller's to correct (2); room and registries are the environment's. */
const OF_THE_MANIFEST: ReadonlySet<PreflightCode> = new Set([
  "REFERENCE_MISSING",
  "REFERENCE_KEY_MISSING",
  "REFERENCE_PRUNED",
  "OBJECT_OF_ANOTHER_SERVICE",
  "OBJECT_OF_ANOTHER_MANAGER",
  "SELECTOR_CHANGED",
  "FIELD_IMMUTABLE",
  "LIMIT_RANGE",
  "QUOTA_UNSPECIFIED",
  "READINESS_GATE_UNSERVED",
]);

export function asRefusal(finding: Finding): SlipwayError {
  const { code, where, message, hint } = finding;
  return new SlipwayError({
    code,
    where,
    message,
    hint,
    ...(OF_THE_MANIFEST.has(code) ? { exitCode: 2 } : {}),
  });
}

/** `web/containers/web: states no requests (REQUESTS_MISSING)`. */
export function asWarning(finding: Finding): string {
  return `${finding.where}: ${finding.message} (${finding.code})`;
}
