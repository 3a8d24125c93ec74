/** The keyboard: `g n` and the like for pages, `/` for the field of the page, j and k through rows. */
import { useEffect } from "react";
import { later } from "../live/clock.ts";
import { type Meaning, meaningOf } from "./keys.ts";
import { nextTheme } from "./theme.ts";
import { go } from "./use-route.ts";

/** A prefix is forgotten after this. */
const prefixMs = 1_500;

export function useKeys(onHelp: () => void): void {
  useEffect(() => {
    let before: string | undefined;
    let forget = (): void => {};
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as HTMLElement;
      if (event.key === "Escape" && isField(target)) return target.blur();
      if (isField(target) || document.querySelector("dialog[open]") !== null) return;
      const meaning = meaningOf(before, event.key);
      forget();
      before = undefined;
      if (meaning === undefined) return;
      event.preventDefault();
      if (meaning.kind === "prefix") {
        before = event.key;
        forget = later(prefixMs, () => {
          before = undefined;
        });
      } else act(meaning, onHelp);
    };
    addEventListener("keydown", onKey);
    return () => {
      forget();
      removeEventListener("keydown", onKey);
    };
  }, [onHelp]);
}

function isField(element: HTMLElement): boolean {
  return element.matches("input, textarea, select, [contenteditable]");
}

function act(meaning: Exclude<Meaning, { kind: "prefix" }>, onHelp: () => void): void {
  switch (meaning.kind) {
    case "go":
      return go({ page: meaning.page });
    case "help":
      return onHelp();
    case "theme":
      return nextTheme();
    case "search":
      return document.querySelector<HTMLElement>("[data-search]")?.focus();
    case "next":
    case "previous":
      return step(meaning.kind === "next" ? 1 : -1);
    case "wider":
    case "narrower":
      return shift(meaning.kind === "wider" ? 1 : -1);
  }
}

/** Rows are links and buttons with `data-row`: Enter opens them because they are what they are. */
function step(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")].filter(
    (row) => row.offsetParent !== null,
  );
  const at = rows.indexOf(document.activeElement as HTMLElement);
  const next =
    rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function shift(by: number): void {
  const choices = [...document.querySelectorAll<HTMLElement>("[data-ranges] button")];
  const at = choices.findIndex((choice) => choice.getAttribute("aria-pressed") === "true");
  choices[at + by]?.click();
}
