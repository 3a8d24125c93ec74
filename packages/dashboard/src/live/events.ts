/** The server's events into the store. A stream that breaks is opened again, later each time up to ten seconds. */
import { since, withCells } from "../pages/life.ts";
import type { ServerEvent } from "./api.ts";
import { get } from "./client.ts";
import { later, now, serverSays } from "./clock.ts";
import { store } from "./store.ts";

/** Opens `path` for as long as it is wanted; returns how to end it. */
export function listen(
  path: string,
  on: { readonly data: (data: string) => void; readonly open?: () => void; readonly lost?: () => void },
): () => void {
  let source: EventSource | undefined;
  let forget = (): void => {};
  let failures = 0;
  const open = (): void => {
    source = new EventSource(path);
    source.onopen = () => {
      failures = 0;
      on.open?.();
    };
    source.onmessage = ({ data }) => on.data(data as string);
    source.onerror = () => {
      // The browser would try again by itself, but not after every kind of failure, and without end at the same pace.
      source?.close();
      on.lost?.();
      forget = later(Math.min(10_000, 500 * 2 ** failures), open);
      failures += 1;
    };
  };
  open();
  return () => {
    forget();
    source?.close();
  };
}

export function follow(): () => void {
  return listen("/api/events", {
    open: () => store.set({ lostSince: undefined, committed: store.get().committed + 1 }),
    lost: () => {
      store.set({ lostSince: store.get().lostSince ?? now() });
      // A stream does not say why it ended. If it is the session that has ended, this takes one back to the token.
      get("/api/session").catch(() => undefined);
    },
    data: (data) => take(JSON.parse(data) as ServerEvent),
  });
}

function take(event: ServerEvent): void {
  const live = store.get();
  switch (event.kind) {
    case "committed":
      return store.set({ committed: live.committed + 1 });
    case "now":
      serverSays(event.now.at);
      return store.set({ now: event.now });
    case "release": {
      const { number, release: answer } = event;
      const known = live.release?.number === number ? live.release.changes : [];
      const told = answer.changes ?? [];
      const all = withCells(told.length >= known.length ? told : known, answer.pods, now());
      const changes = since(all, answer.release.startedAt);
      return store.set({ release: { number, answer, changes }, releases: live.releases + 1 });
    }
    case "incident": {
      store.set({ incidents: live.incidents + 1 });
      const { incident } = event;
      const isKnown = live.now?.alerts.some(({ id }) => id === incident.id) ?? false;
      if (incident.state === "firing" && !isKnown) {
        store.notify(incident.severity === "page" ? "bad" : "quiet", incident.title);
      }
      return;
    }
    case "problem":
      return store.notify("bad", event.text);
  }
}
