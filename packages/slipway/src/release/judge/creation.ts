/**
 * The cluster refuses to create something: pods, told by the ReplicaSet's condition and its `FailedCreate` events,
 * or an object of the release itself, told by the API server's answer. Both speak the same words, so they are sorted
 * by one table.
 */
import type { Event, StatusError } from "@slipway/kube";
import type { CauseCode } from "./causes.ts";
import { type Finding, oneLine } from "./finding.ts";

/** A refusal is repeated by the controller many times in this time. Why not all have it: docs/adr/0010. */
const REFUSED_BUDGET_MS = 10_000;
/** What names the manifest or what it refers to is not got over by waiting; only an object that comes late is. */
const REFUSED_MANIFEST_BUDGET_MS = 5_000;
const ABOUT_MANIFEST: ReadonlySet<CauseCode> = new Set([
  "LimitRangeExceeded",
  "PriorityClassMissing",
  "ServiceAccountMissing",
  "WebhookRefused",
]);
/** A webhook or an API server that restarts comes back; the controller asks again up to 80 s later. */
const MAY_PASS_BUDGET_MS = 120_000;

/** Words of the API server's admission (plugin/pkg/admission and apiserver/pkg/admission/plugin/webhook). */
const REFUSALS: readonly (readonly [RegExp, CauseCode])[] = [
  [/exceeded quota|failed quota|insufficient quota/i, "QuotaExceeded"],
  [/failed calling (?:admission )?webhook|failed to call webhook/i, "WebhookUnavailable"],
  [/admission webhook .* denied the request/i, "WebhookRefused"],
  [
    /(?:maximum|minimum) [\w.-]+ (?:usage|storage usage) per|limit to request ratio per/i,
    "LimitRangeExceeded",
  ],
  [/no PriorityClass with name/i, "PriorityClassMissing"],
  [/error looking up service account|serviceaccount "[^"]*" not found/i, "ServiceAccountMissing"],
  [/because it is being terminated|is being deleted/i, "ObjectTerminating"],
];

/** Undefined when the words are none of the known ones. */
function refusalClass(message: string): CauseCode | undefined {
  return REFUSALS.find(([words]) => words.test(message))?.[1];
}

const OVERLOADED =
  /etcdserver: |too many requests|the server is currently unable|context deadline exceeded|Timeout: request did not complete|connection refused|the server was unable to return a response/i;

/** Where a quota may get room from. */
export interface QuotaRoom {
  /** Pods that go give back their quota; the longest grace period of those. */
  readonly leavingMs: number;
  /**
   * New pods are there and old ones too: the rollout goes on by itself, each old pod that has left makes room for a new
   * one. The controller asks again after a back-off that doubles, so it may ask as late after that as it was refused before.
   */
  readonly isBetweenPods?: boolean;
}

/** What a controller says about pods that it could not create. */
export function refusedPods(refused: string, { leavingMs, isBetweenPods = false }: QuotaRoom): Finding {
  const message = oneLine(refused);
  const code = refusalClass(message) ?? (OVERLOADED.test(message) ? "ClusterOverloaded" : "CreationRefused");
  const mayPass = code === "WebhookUnavailable" || code === "ClusterOverloaded";
  const isQuota = code === "QuotaExceeded";
  const room = isQuota && isBetweenPods ? "/between" : isQuota && leavingMs > 0 ? "/leaving" : "";
  return {
    code,
    key: `creation-refused/${code}${room}`,
    why: `the cluster refuses to create pods: ${message}`,
    budgetMs:
      mayPass || room === "/between"
        ? MAY_PASS_BUDGET_MS
        : ABOUT_MANIFEST.has(code)
          ? REFUSED_MANIFEST_BUDGET_MS
          : REFUSED_BUDGET_MS + (isQuota ? leavingMs : 0),
  };
}

/**
 * The last word of the controller about creating pods of `uid`, when it is a refusal. Both events are written by the
 * controller manager, so their times may be compared; `events` are sorted by them.
 */
export function refusedByEvents(events: readonly Event[], uid: string | undefined): string | undefined {
  const last = events.findLast(
    (event) =>
      event.involvedObject.uid === uid && ["FailedCreate", "SuccessfulCreate"].includes(event.reason ?? ""),
  );
  return last?.reason === "FailedCreate" ? last.message : undefined;
}

/** An apply that the API server answered with an error: the code, and whether another code of HTTP says enough. */
export function refusedApply(error: StatusError): CauseCode {
  const { message, httpCode, status } = error;
  const causes = status.details?.causes ?? [];
  if (causes.some((cause) => cause.reason === "NamespaceTerminating")) return "ObjectTerminating";
  const known = refusalClass(message);
  if (known !== undefined) return known;
  if (lacksRight(error)) return "AccessDenied";
  if (httpCode === 422 && IMMUTABLE.test(message)) return "FieldImmutable";
  if (httpCode === 429 || httpCode >= 500) return "ClusterOverloaded";
  return "ApplyRefused";
}

/** Whoever asks may not do that; what a webhook or a quota says in the same words is not meant. */
export function lacksRight({ httpCode, message }: StatusError): boolean {
  if (httpCode === 401) return true;
  return httpCode === 403 && refusalClass(message) === undefined && NOT_ALLOWED.test(message);
}

/**
 * Of the authorizer (apiserver/pkg/endpoints/handlers/responsewriters/errors.go) and of RBAC's guard against escalation. Admission
 * answers 403, too, and means the manifest.
 */
const NOT_ALLOWED =
  /\buser "[^"]*" cannot \w+ (?:resource|path) |attempting to grant RBAC permissions not currently held/i;

const IMMUTABLE =
  /field is immutable|may not be changed|may not change once set|updates to \w+ spec for fields other than|cannot change|is immutable after creation|can not be unset/i;
