/** The newest of a stream: a tail that runs all night holds as much as one that has just begun. */
export function ring<T>(held: readonly T[], more: readonly T[], most: number): readonly T[] {
  if (more.length === 0) return held;
  if (more.length >= most) return more.slice(-most);
  return [...held.slice(Math.max(0, held.length + more.length - most)), ...more];
}
