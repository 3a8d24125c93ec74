/** What an environment takes in the place of a base (`environments.NAME.bases`), by the base's name in a Dockerfile. */
export type StandIns = Readonly<Record<string, string>>;

/** Undefined where none is named. A name is whatever a Dockerfile has there: `constructor` is none of an object's own. */
export function standInFor(bases: StandIns | undefined, name: string): string | undefined {
  return bases !== undefined && Object.hasOwn(bases, name) ? bases[name] : undefined;
}
