/** Keys as data: one function from the keys so far to what is meant, so that the help shows exactly what works. */
import type { PageName } from "./route.ts";

export type Meaning =
  | { readonly kind: "go"; readonly page: PageName }
  | { readonly kind: "search" | "help" | "theme" | "next" | "previous" | "wider" | "narrower" }
  | { readonly kind: "prefix" };

export const pageKeys: Readonly<Record<PageName, string>> = {
  now: "n",
  release: "r",
  history: "h",
  compare: "c",
  logs: "l",
  queries: "q",
  alerts: "a",
  cluster: "k",
};

export const otherKeys: readonly {
  readonly key: string;
  readonly meaning: Meaning;
  readonly text: string;
}[] = [
  { key: "/", meaning: { kind: "search" }, text: "Search, or write a query" },
  { key: "j", meaning: { kind: "next" }, text: "Next row" },
  { key: "k", meaning: { kind: "previous" }, text: "Row before; Enter opens it" },
  { key: "[", meaning: { kind: "narrower" }, text: "Shorter time" },
  { key: "]", meaning: { kind: "wider" }, text: "Longer time" },
  { key: "t", meaning: { kind: "theme" }, text: "Light, dark, as the system" },
  { key: "?", meaning: { kind: "help" }, text: "These keys" },
];

/** `before` is the key that was pressed before, if that was a prefix. */
export function meaningOf(before: string | undefined, key: string): Meaning | undefined {
  if (before === "g") {
    const page = (Object.keys(pageKeys) as PageName[]).find((name) => pageKeys[name] === key);
    return page === undefined ? undefined : { kind: "go", page };
  }
  if (key === "g") return { kind: "prefix" };
  return otherKeys.find((other) => other.key === key)?.meaning;
}
