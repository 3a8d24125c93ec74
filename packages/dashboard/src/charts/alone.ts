/**
 * Where a value has none on either side, a line through it has no length: it is shown by a dot. Returns their places,
 * undefined when there are none, as uPlot's filter of points takes them.
 */
export function alone(values: readonly (number | null | undefined)[]): number[] | undefined {
  const isValue = (at: number): boolean => values[at] !== null && values[at] !== undefined;
  const found = [...values.keys()].filter((at) => isValue(at) && !isValue(at - 1) && !isValue(at + 1));
  return found.length > 0 ? found : undefined;
}
