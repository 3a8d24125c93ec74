/**
 * LIST: selectors, resourceVersion options, and pages of one consistent snapshot.
 *
 * Nothing is remembered between two pages. The token names a version and where to go on; the state at that version
 * is found by taking back the events since. So a token is good for as long as its version is in the replay window,
 * and afterwards it is a 410 that carries a token to go on inconsistently, as with etcd.
 */
import type { ListOptions, TypeRef } from "../client/client.ts";
import { StatusError } from "../client/status-error.ts";
import type { KubeList, KubeObject } from "../resources/meta.ts";
import type { Store, StoreEvent } from "../store/store.ts";
import { badRequest, invalidOptions, tooLargeResourceVersion } from "./errors.ts";
import { selectorOf } from "./selection.ts";

interface Token {
  /** The version of the snapshot; -1 goes on with the present state. */
  readonly rv: number;
  /** `namespace/name` of the last object of the page before. */
  readonly after: string;
}

const TOKEN_TOO_OLD =
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

export function listObjects(store: Store, type: TypeRef, options: ListOptions = {}): KubeList {
  const matches = selectorOf(type.kind, options);
  const token = options.continue ? parseToken(options.continue, options) : undefined;
  const version = token === undefined ? versionOf(store, options) : versionOfToken(store, token);
  const all = objectsAt(store, type.kind, options.namespace, version);
  const rest = token === undefined ? all : all.filter((object) => positionOf(object) > token.after);
  const selected = matches === undefined ? rest : rest.filter(matches);

  const limit = options.limit === undefined || options.limit <= 0 ? selected.length : options.limit;
  const items = selected.length > limit ? selected.slice(0, limit) : selected;
  const last = items.at(-1);
  const isCut = items.length < selected.length && last !== undefined;
  return {
    apiVersion: type.apiVersion,
    kind: `${type.kind}List`,
    metadata: {
      resourceVersion: String(version),
      ...(isCut ? { continue: formatToken({ rv: version, after: positionOf(last) }) } : {}),
      // As upstream: not counted when a selector would have to look at every object.
      ...(isCut && matches === undefined ? { remainingItemCount: selected.length - items.length } : {}),
    },
    items,
  };
}

/** U+0000 sorts before every character of a name, so that positions compare like (namespace, name). */
function positionOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ""}\0${object.metadata.name}`;
}

function versionOf(store: Store, options: ListOptions): number {
  const { resourceVersion: text = "", resourceVersionMatch: match } = options;
  if (match !== undefined && text === "") {
    throw forbiddenMatch("resourceVersionMatch is forbidden unless resourceVersion is provided");
  }
  if (match === "Exact" && text === "0") {
    throw forbiddenMatch('resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  }
  const asked = parseResourceVersion(text);
  if (asked > store.resourceVersion) throw tooLargeResourceVersion(asked, store.resourceVersion);
  // Without a match, a version together with a limit means exactly that version: the rule from before the parameter.
  const isExact = match === "Exact" || (match === undefined && asked > 0 && (options.limit ?? 0) > 0);
  return isExact ? asked : store.resourceVersion;
}

function forbiddenMatch(why: string): StatusError {
  return invalidOptions("ListOptions", "resourceVersionMatch", "FieldValueForbidden", `Forbidden: ${why}`);
}

/** Resource versions are opaque to clients but numbers to us. Throws 400 for anything else; "" is 0. */
export function parseResourceVersion(text: string): number {
  if (/^\d{0,15}$/.test(text)) return Number(text);
  throw badRequest(
    `resourceVersion: Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`,
  );
}

function versionOfToken(store: Store, token: Token): number {
  if (token.rv < 0) return store.resourceVersion;
  try {
    store.watch({ from: token.rv }, () => {}).close();
    return token.rv;
  } catch (error) {
    if (!(error instanceof StatusError && error.httpCode === 410)) throw error;
    throw new StatusError({
      ...error.status,
      message: TOKEN_TOO_OLD,
      metadata: { continue: formatToken({ rv: -1, after: token.after }) },
    });
  }
}

/** The objects as they were at `version`, in order. Throws 410 when that is out of the replay window. */
function objectsAt(
  store: Store,
  kind: string,
  namespace: string | undefined,
  version: number,
): readonly KubeObject[] {
  const now: readonly KubeObject[] = store.list(kind, namespace);
  if (version === store.resourceVersion) return now;
  const since: StoreEvent[] = [];
  store.watch({ kind, from: version }, (event) => since.push(event)).close();
  if (since.length === 0) return now;

  const objects = new Map(now.map((object) => [positionOf(object), object]));
  for (const event of since.reverse()) {
    if (namespace !== undefined && event.object.metadata.namespace !== namespace) continue;
    if (event.previous === undefined) objects.delete(positionOf(event.object));
    else objects.set(positionOf(event.object), event.previous);
  }
  return [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
}

function formatToken(token: Token): string {
  return Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", ...token })).toString("base64url");
}

function parseToken(text: string, options: ListOptions): Token {
  if (
    options.resourceVersion !== undefined &&
    options.resourceVersion !== "" &&
    options.resourceVersion !== "0"
  ) {
    throw badRequest("specifying resource version is not allowed when using continue");
  }
  try {
    const token = JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as Partial<Token>;
    if (typeof token.rv === "number" && typeof token.after === "string") return token as Token;
  } catch {
    // falls through: not JSON is as wrong as JSON of another shape
  }
  throw badRequest("invalid continue token: continue key is not valid: it was not issued by this server");
}
