/** What is known of the world right now, in one place, and never more of it than is shown. */
import { useSyncExternalStore } from "react";
import type { NowAnswer, PodChange, ReleaseAnswer, SessionAnswer } from "./api.ts";

export interface Notice {
  readonly id: number;
  readonly tone: "bad" | "good" | "quiet";
  readonly text: string;
}

export interface Live {
  /** Undefined: not asked yet, or not signed in. */
  readonly session: SessionAnswer | undefined;
  readonly isAsked: boolean;
  /** Undefined: events arrive. Else since when they do not. */
  readonly lostSince: number | undefined;
  readonly now: NowAnswer | undefined;
  /** Grows with each commit of the warehouse. */
  readonly committed: number;
  /** Grows with each event about an incident, and about a release. */
  readonly incidents: number;
  readonly releases: number;
  /** The release that events are about, with its pods' steps as far as they were seen. */
  readonly release:
    | { readonly number: number; readonly answer: ReleaseAnswer; readonly changes: readonly PodChange[] }
    | undefined;
  readonly notices: readonly Notice[];
}

let state: Live = {
  session: undefined,
  isAsked: false,
  lostSince: undefined,
  now: undefined,
  committed: 0,
  incidents: 0,
  releases: 0,
  release: undefined,
  notices: [],
};
const listeners = new Set<() => void>();
let notices = 0;

export const store = {
  get: (): Live => state,
  set(part: Partial<Live>): void {
    state = { ...state, ...part };
    for (const listener of listeners) listener();
  },
  notify(tone: Notice["tone"], text: string): void {
    // The same sentence twice is once; more than four at a time nobody reads.
    const others = state.notices.filter((notice) => notice.text !== text);
    notices += 1;
    store.set({ notices: [...others, { id: notices, tone, text }].slice(-4) });
  },
  dismiss(id: number): void {
    store.set({ notices: state.notices.filter((notice) => notice.id !== id) });
  },
};

export function useLive<T>(select: (live: Live) => T): T {
  return useSyncExternalStore(subscribe, () => select(state));
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
