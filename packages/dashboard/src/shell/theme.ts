/** Light, dark, or as the system has it; kept in the browser. Charts are told, because a canvas knows no style sheet. */
import { useSyncExternalStore } from "react";

export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

const listeners = new Set<() => void>();
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
systemIsDark.addEventListener("change", tell);
let theme: Theme = themes.find((known) => known === read()) ?? "system";
show();

/** Private windows of some browsers refuse to keep anything. */
function read(): string | null {
  try {
    return localStorage.getItem("slipway.theme");
  } catch {
    return null;
  }
}

export function setTheme(next: Theme): void {
  theme = next;
  try {
    localStorage.setItem("slipway.theme", next);
  } catch {
    // It holds until the page is closed.
  }
  show();
  tell();
}

export function nextTheme(): void {
  setTheme(themes[(themes.indexOf(theme) + 1) % themes.length] as Theme);
}

function show(): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

function tell(): void {
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, () => theme);
}

/** What is really shown. */
export function useIsDark(): boolean {
  return useSyncExternalStore(
    subscribe,
    () => theme === "dark" || (theme === "system" && systemIsDark.matches),
  );
}
