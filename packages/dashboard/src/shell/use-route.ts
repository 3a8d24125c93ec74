import { useSyncExternalStore } from "react";
import { parseRoute, type Route, routeHash } from "./route.ts";

let known = { hash: "", route: parseRoute("") };

/** The route; the same object for the same link, so that nothing is asked twice. */
export function useRoute(): Route {
  return useSyncExternalStore(
    (listener) => {
      addEventListener("hashchange", listener);
      return () => removeEventListener("hashchange", listener);
    },
    () => {
      if (known.hash !== location.hash) known = { hash: location.hash, route: parseRoute(location.hash) };
      return known.route;
    },
  );
}

export function go(route: Parameters<typeof routeHash>[0]): void {
  location.hash = routeHash(route);
}

/** Changes parameters of the page that is shown, without a step in the browser's history. */
export function setParameters(part: Readonly<Record<string, string>>): void {
  const { page, id, parameters } = parseRoute(location.hash);
  history.replaceState(null, "", routeHash({ page, id, parameters: { ...parameters, ...part } }));
  dispatchEvent(new HashChangeEvent("hashchange"));
}
