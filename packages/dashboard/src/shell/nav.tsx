/** Where one can go, on the left; on a phone, at the thumb. Says whether what is shown is live. */
import { useState } from "react";
import { useNow } from "../live/clock.ts";
import { useLive } from "../live/store.ts";
import { duration } from "../words/units.ts";
import { pageKeys } from "./keys.ts";
import { type PageName, pageNames, routeHash } from "./route.ts";
import { signOut } from "./session.ts";
import { setTheme, themes, useTheme } from "./theme.ts";
import { useRoute } from "./use-route.ts";

export const titles: Readonly<Record<PageName, string>> = {
  now: "Now",
  release: "Release",
  history: "History",
  compare: "Compare",
  logs: "Logs",
  queries: "Queries",
  alerts: "Alerts",
  cluster: "Cluster",
};
/** On a phone there is room for four and "more". */
const atThumb: readonly PageName[] = ["now", "release", "logs", "alerts"];

export function Nav({ onHelp }: { readonly onHelp: () => void }) {
  const { page } = useRoute();
  const session = useLive((live) => live.session);
  const firing = useLive((live) => live.now?.alerts.filter(({ state }) => state === "firing").length ?? 0);
  const [isOpen, setIsOpen] = useState(false);
  const link = (name: PageName) => (
    <a
      key={name}
      href={routeHash({ page: name })}
      aria-current={name === page ? "page" : undefined}
      className={atThumb.includes(name) ? "" : "further"}
      onClick={() => setIsOpen(false)}
    >
      <span>{titles[name]}</span>
      {name === "alerts" && firing > 0 ? (
        <span className="firing" title={`${firing} firing`}>
          {firing}
        </span>
      ) : (
        <span className="key" aria-hidden="true">
          g {pageKeys[name]}
        </span>
      )}
    </a>
  );
  return (
    <header className={`side ${isOpen ? "open" : ""}`}>
      <a className="brand" href="#/now">
        <img src="./slipway.svg" alt="" width="26" height="26" />
        <span>
          <strong>{session?.service ?? "Slipway"}</strong>
          <small>{session?.environment}</small>
        </span>
      </a>
      <nav aria-label="Pages">
        {pageNames.map(link)}
        <button type="button" className="more" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
          More
        </button>
      </nav>
      <div className="foot">
        <Pulse />
        <ThemeSwitch />
        <button type="button" className="quiet-button" onClick={() => void signOut()}>
          Sign out
        </button>
        <button type="button" className="quiet-button" onClick={onHelp}>
          Keys{" "}
          <span className="key" aria-hidden="true">
            ?
          </span>
        </button>
      </div>
    </header>
  );
}

function Pulse() {
  const lostSince = useLive((live) => live.lostSince);
  const now = useNow();
  return lostSince === undefined ? (
    <span className="pulse">
      <i aria-hidden="true" /> Live
    </span>
  ) : (
    <span className="pulse lost" role="status">
      <i aria-hidden="true" /> Not live for {duration(Math.max(0, now - lostSince))}; trying again
    </span>
  );
}

function ThemeSwitch() {
  const theme = useTheme();
  return (
    <fieldset className="choice themes" aria-label="Colours">
      {themes.map((name) => (
        <button key={name} type="button" aria-pressed={name === theme} onClick={() => setTheme(name)}>
          {name === "system" ? "Auto" : name === "light" ? "Light" : "Dark"}
        </button>
      ))}
    </fieldset>
  );
}
