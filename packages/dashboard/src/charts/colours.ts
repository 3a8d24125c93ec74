/** A canvas knows no style sheet: its colours are read from the page's custom properties. */
export type ColourName =
  | "ink"
  | "ink-2"
  | "ink-3"
  | "line"
  | "good"
  | "warn"
  | "bad"
  | "one"
  | "two"
  | "three"
  | "four";

export function colour(name: ColourName): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** The same with an opacity, for areas. */
export function faint(name: ColourName, percent: number): string {
  return `color-mix(in srgb, ${colour(name)} ${percent}%, transparent)`;
}
