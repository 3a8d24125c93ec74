/** A release over time: what each pod went through, from the steps that the server kept and the cells that arrive live. */
import type { PodCell, PodChange } from "../live/api.ts";

export interface Span {
  readonly state: PodCell["state"];
  readonly from: number;
  /** Undefined: still so. */
  readonly to: number | undefined;
}

export interface Life {
  readonly cluster: string;
  readonly name: string;
  readonly revision: PodCell["revision"];
  readonly spans: readonly Span[];
}

/** More steps are not kept: a crash loop of a day must not fill the browser's memory. */
export const mostChanges = 5_000;

/** The steps so far and what the cells add to them: a state that a pod was not in before, or a pod that is gone. */
export function withCells(
  changes: readonly PodChange[],
  cells: readonly PodCell[],
  at: number,
): readonly PodChange[] {
  const last = new Map(changes.map((change) => [key(change), change]));
  const added: PodChange[] = [];
  const present = new Set<string>();
  for (const cell of cells) {
    present.add(key(cell));
    if (last.get(key(cell))?.state === cell.state) continue;
    const { cluster, name, revision, state } = cell;
    added.push({ at: Math.max(cell.since, last.get(key(cell))?.at ?? 0), cluster, name, revision, state });
  }
  for (const [pod, change] of last) {
    if (!present.has(pod) && change.state !== "gone") added.push({ ...change, at, state: "gone" });
  }
  return added.length === 0 ? changes : [...changes, ...added].slice(-mostChanges);
}

/** What is shown of a release that began then: its own steps, and in which state each pod was at its begin. */
export function since(changes: readonly PodChange[], began: number): readonly PodChange[] {
  if (changes.every(({ at }) => at >= began)) return changes;
  const atBegin = new Map<string, PodChange>();
  for (const change of changes) if (change.at < began) atBegin.set(key(change), change);
  return changes.filter(
    (change) => change.at >= began || (atBegin.get(key(change)) === change && change.state !== "gone"),
  );
}

/** New pods first, then by when they began; each pod's spans in order of time. */
export function lives(changes: readonly PodChange[]): readonly Life[] {
  const byPod = Map.groupBy(changes, key);
  return [...byPod.values()]
    .map((own) => {
      const steps = own.toSorted((a, b) => a.at - b.at);
      const spans = steps.flatMap(({ at, state }, index): Span[] =>
        state === "gone" ? [] : [{ state, from: at, to: steps[index + 1]?.at }],
      );
      const { cluster, name, revision } = steps[0] as PodChange;
      return { cluster, name, revision, spans };
    })
    .filter(({ spans }) => spans.length > 0)
    .toSorted(
      (a, b) =>
        Number(a.revision === "old") - Number(b.revision === "old") ||
        (a.spans[0] as Span).from - (b.spans[0] as Span).from ||
        a.name.localeCompare(b.name),
    );
}

function key({ cluster, name }: { readonly cluster: string; readonly name: string }): string {
  return `${cluster}/${name}`;
}
