import { type ComponentType, useCallback, useEffect, useRef, useState } from "react";
import type { NowAnswer } from "../live/api.ts";
import { get } from "../live/client.ts";
import { serverSays } from "../live/clock.ts";
import { follow } from "../live/events.ts";
import { store, useLive } from "../live/store.ts";
import { AlertsPage } from "../pages/alerts.tsx";
import { ClusterPage } from "../pages/cluster.tsx";
import { ComparePage } from "../pages/compare.tsx";
import { HistoryPage } from "../pages/history.tsx";
import { LogsPage } from "../pages/logs.tsx";
import { NowPage } from "../pages/now.tsx";
import { QueriesPage } from "../pages/queries.tsx";
import { ReleasePage } from "../pages/release.tsx";
import { Fault } from "./fault.tsx";
import { Help } from "./help.tsx";
import { Nav, titles } from "./nav.tsx";
import { Notices } from "./notices.tsx";
import type { PageName } from "./route.ts";
import { SignIn } from "./sign-in.tsx";
import { useKeys } from "./use-keys.ts";
import { useRoute } from "./use-route.ts";

const pages: Readonly<Record<PageName, ComponentType>> = {
  now: NowPage,
  release: ReleasePage,
  history: HistoryPage,
  compare: ComparePage,
  logs: LogsPage,
  queries: QueriesPage,
  alerts: AlertsPage,
  cluster: ClusterPage,
};

export function App() {
  const session = useLive((live) => live.session);
  const isAsked = useLive((live) => live.isAsked);
  return (
    <>
      {session !== undefined ? (
        <Fault>
          <Inside />
        </Fault>
      ) : isAsked ? (
        <SignIn />
      ) : null}
      <Notices />
    </>
  );
}

function Inside() {
  const { page, id } = useRoute();
  const [isHelp, setIsHelp] = useState(false);
  const help = useCallback(() => setIsHelp(true), []);
  const session = useLive((live) => live.session);
  useKeys(help);
  useEffect(() => follow(), []);
  useEffect(() => {
    // The first picture must not wait for the first event.
    get<NowAnswer>("/api/now").then(
      (now) => {
        if (store.get().now !== undefined) return;
        serverSays(now.at);
        store.set({ now });
      },
      () => {},
    );
  }, []);
  useEffect(() => {
    document.title = `${titles[page]} · ${session?.service ?? "Slipway"}`;
  }, [page, session]);
  const isFirst = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page or another release begins at its top
  useEffect(() => {
    if (!isFirst.current) {
      scrollTo(0, 0);
      document.getElementById("main")?.focus({ preventScroll: true });
    }
    isFirst.current = false;
  }, [page, id]);
  const Page = pages[page];
  return (
    <>
      <button type="button" className="skip" onClick={() => document.getElementById("main")?.focus()}>
        To the content
      </button>
      <Nav onHelp={help} />
      <main id="main" tabIndex={-1}>
        <Fault key={page}>
          <Page />
        </Fault>
      </main>
      {isHelp ? <Help onClose={() => setIsHelp(false)} /> : null}
    </>
  );
}
