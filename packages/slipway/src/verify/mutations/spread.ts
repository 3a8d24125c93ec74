/** Fewer of the images whose containers run, for lanes that start each of them on several engines. */
import { WEB_RUNNING } from "./checks.ts";
import type { Mutation } from "./mutation.ts";

const ofRunning = (names: readonly string[]): readonly string[] =>
  names.filter((name) => Object.hasOwn(WEB_RUNNING, name));

/** Whether something was done to it that is about what runs. */
export const isAboutRunning = ({ isAboutRunning: isSaid, untrue, unprovable = [] }: Mutation): boolean =>
  isSaid === true || ofRunning([...untrue, ...unprovable]).length > 0;

/**
 * Without images that show nothing new when they run. Every check of what runs is untrue on one that stays, by what
 * breaks the fewest checks; and all stay whose first process is never there or ends at once, because engines differ most
 * in how they say that. Images that are not about what runs all stay.
 */
export function spread(mutations: readonly Mutation[]): readonly Mutation[] {
  const running = mutations.filter(isAboutRunning);
  const seen = new Set<string>();
  const kept = new Set<Mutation>();
  for (const mutation of running.toSorted((a, b) => a.untrue.length - b.untrue.length)) {
    const untrue = ofRunning(mutation.untrue);
    const isNew = untrue.length === 0 || untrue.some((name) => !seen.has(name));
    if (!isNew && !untrue.includes("running")) continue;
    kept.add(mutation);
    for (const name of untrue) seen.add(name);
  }
  return mutations.filter((mutation) => !isAboutRunning(mutation) || kept.has(mutation));
}
