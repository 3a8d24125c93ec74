/**
 * Where one is: `#/logs?class=5xx`. Behind the `#`, so that the server has one page to serve, and everything that is
 * looked at can be sent to somebody as a link.
 */
export const pageNames = [
  "now",
  "release",
  "history",
  "compare",
  "logs",
  "queries",
  "alerts",
  "cluster",
] as const;
export type PageName = (typeof pageNames)[number];

export interface Route {
  readonly page: PageName;
  /** The number of a release, the name of a query. */
  readonly id: string | undefined;
  readonly parameters: Readonly<Record<string, string>>;
}

export function parseRoute(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split("?");
  const [name = "", id] = path.split("/").map(decodeURIComponent);
  const page = pageNames.find((known) => known === name) ?? "now";
  return {
    page,
    id: id === "" ? undefined : id,
    parameters: Object.fromEntries(new URLSearchParams(search)),
  };
}

/** Empty parameters are left out: what is not chosen is not in the link. */
export function routeHash({ page, id, parameters }: Partial<Route> & { readonly page: PageName }): string {
  const given = Object.entries(parameters ?? {}).filter(([, value]) => value !== "");
  const search = new URLSearchParams(given).toString();
  return `#/${page}${id === undefined ? "" : `/${encodeURIComponent(id)}`}${search === "" ? "" : `?${search}`}`;
}

/** The token of a link that signs in. */
export function tokenOf(hash: string): string | undefined {
  return /^#token=([^&]+)/.exec(hash)?.[1];
}
