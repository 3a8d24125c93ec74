/**
 * Which objects a list or a watch is about: its namespace and its selectors as one predicate, and the stream of
 * store events as a client with that selection sees it.
 */
import type { ClientWatchEvent, ListOptions } from "../client/client.ts";
import type { KubeObject } from "../resources/meta.ts";
import { matchesFields, parseFieldSelector } from "../selector/fields.ts";
import { matchesRequirements, parseLabelSelector } from "../selector/labels.ts";
import type { Store, StoreEvent, Watch } from "../store/store.ts";

export type Selection = Pick<ListOptions, "namespace" | "labelSelector" | "fieldSelector">;

/** A predicate for objects of `kind`; undefined when everything matches. Throws 400 for a bad selector. */
export function selectorOf(
  kind: string,
  selection: Omit<Selection, "namespace">,
): ((object: KubeObject) => boolean) | undefined {
  const labels = selection.labelSelector ? parseLabelSelector(selection.labelSelector) : undefined;
  const fields = selection.fieldSelector ? parseFieldSelector(kind, selection.fieldSelector) : undefined;
  if (labels === undefined && fields === undefined) return undefined;
  return (object) =>
    (labels === undefined || matchesRequirements(labels, object.metadata.labels)) &&
    (fields === undefined || matchesFields(fields, object));
}

/**
 * Calls `listener` with the events after `from` (a resourceVersion; the newest when undefined) that concern the
 * selection. Throws a StatusError 410 when `from` is too old, 400 when a selector does not parse.
 */
export function watchSelected(
  store: Store,
  kind: string,
  selection: Selection & { readonly from?: number },
  listener: (event: ClientWatchEvent) => void,
): Watch {
  const matches = selectorOf(kind, selection);
  const filter = selection.from === undefined ? { kind } : { kind, from: selection.from };
  return store.watch(filter, (event) => {
    if (selection.namespace !== undefined && event.object.metadata.namespace !== selection.namespace) return;
    const seen = matches === undefined ? event : asSelected(event, matches);
    if (seen !== undefined) listener({ type: seen.type, object: seen.object });
  });
}

/**
 * An object that begins to match is ADDED, one that stops is DELETED: with the state it matched in, and the
 * resourceVersion of the change, so that the watch can be resumed there.
 */
function asSelected(
  event: StoreEvent,
  matches: (object: KubeObject) => boolean,
): Pick<StoreEvent, "type" | "object"> | undefined {
  const isIn = event.type !== "DELETED" && matches(event.object);
  const wasIn = event.previous !== undefined && matches(event.previous);
  if (isIn) return { type: wasIn ? "MODIFIED" : "ADDED", object: event.object };
  if (!wasIn || event.previous === undefined) return undefined;
  const { resourceVersion } = event.object.metadata;
  const metadata = {
    ...event.previous.metadata,
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
  return { type: "DELETED", object: { ...event.previous, metadata } };
}
