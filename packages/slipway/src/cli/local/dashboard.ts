/** Where the dashboard of a running world is. */
import { signInLink } from "../../observer/pages/token.ts";
import type { WorldState } from "../../world/state.ts";

/** Undefined while it is not served. */
export function dashboardOf({
  observer,
}: Pick<WorldState, "observer">): { readonly url: string; readonly link: string } | undefined {
  if (observer?.url === undefined || observer.token === undefined) return undefined;
  return { url: observer.url, link: signInLink(observer.url, observer.token) };
}

/**
 * As it is printed beside other things: with its token for a person at a terminal, who may open it, and without where the
 * output may be kept, as in the log of a CI.
 */
export function shownDashboard(world: Pick<WorldState, "observer">, isTerminal: boolean): string | undefined {
  const found = dashboardOf(world);
  return isTerminal ? found?.link : found?.url;
}
