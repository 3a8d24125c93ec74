/** Size in bytes, mtime and ctime in milliseconds. */
export type Stamp = readonly [size: number, mtimeMs: number, ctimeMs: number];

/** What dist/current.json says. Paths are from the checkout's root. */
export interface CurrentBundle {
  readonly folder: string;
  readonly sources: readonly (readonly [path: string, ...stamp: Stamp])[];
}

export function stampOf(root: string, path: string): Stamp | undefined;
export function findBundle(dist: string, root: string | undefined): string | undefined;
