/** The longest common part of two lists, and of two texts by their lines. Pure. */

export interface LineChange {
  /** A blank is a line that both have, shown for orientation. */
  readonly mark: "+" | "-" | " ";
  readonly text: string;
}

/** Lines that both have, shown before and after a change. */
const CONTEXT = 1;
/** Cells of the table of common lengths, at most; beyond it the middle is taken as replaced. */
const MOST_CELLS = 4_000_000;

/** Which element of `after` each of `before` is: pairs by index, in order. One side alone is removed or added. */
export function alignLists<T>(
  before: readonly T[],
  after: readonly T[],
  keyOf: (item: T) => string,
): readonly { readonly from?: number; readonly to?: number }[] {
  const pairs: { from?: number; to?: number }[] = [];
  let removed: number[] = [];
  let added: number[] = [];
  // What stands between two common elements was changed in place as far as it has a partner.
  const flush = (): void => {
    const both = Math.min(removed.length, added.length);
    for (let index = 0; index < both; index += 1) {
      pairs.push({ from: removed[index] as number, to: added[index] as number });
    }
    pairs.push(...removed.slice(both).map((from) => ({ from })), ...added.slice(both).map((to) => ({ to })));
    removed = [];
    added = [];
  };
  for (const step of edits(before.map(keyOf), after.map(keyOf))) {
    if (step.from !== undefined && step.to !== undefined) {
      flush();
      pairs.push({ from: step.from, to: step.to });
    } else if (step.from !== undefined) removed.push(step.from);
    else if (step.to !== undefined) added.push(step.to);
  }
  flush();
  return pairs;
}

/** The changed lines with a line of context around them; a gap is shown as `…`. */
export function lineChanges(before: string, after: string): readonly LineChange[] {
  const [from, to] = [before.split("\n"), after.split("\n")];
  const all = edits(from, to).map((step): LineChange => {
    if (step.from !== undefined && step.to !== undefined)
      return { mark: " ", text: from[step.from] as string };
    return step.from !== undefined
      ? { mark: "-", text: from[step.from] as string }
      : { mark: "+", text: to[step.to as number] as string };
  });
  const isNear = all.map((_, index) =>
    all.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(({ mark }) => mark !== " "),
  );
  return all.flatMap((line, index): LineChange[] => {
    if (isNear[index] === true) return [line];
    return index > 0 && isNear[index - 1] === true && index < all.length - 1
      ? [{ mark: " ", text: "…" }]
      : [];
  });
}

interface Step {
  readonly from?: number;
  readonly to?: number;
}

/** Hunt for the longest common subsequence by dynamic programming, after cutting what is equal at both ends. */
function edits(before: readonly string[], after: readonly string[]): readonly Step[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let [endA, endB] = [before.length, after.length];
  while (endA > start && endB > start && before[endA - 1] === after[endB - 1]) {
    endA -= 1;
    endB -= 1;
  }
  const steps: Step[] = Array.from({ length: start }, (_, index) => ({ from: index, to: index }));
  steps.push(...middle(before.slice(start, endA), after.slice(start, endB), start));
  for (let index = 0; endA + index < before.length; index += 1) {
    steps.push({ from: endA + index, to: endB + index });
  }
  return steps;
}

function middle(a: readonly string[], b: readonly string[], offset: number): readonly Step[] {
  const [rows, columns] = [a.length + 1, b.length + 1];
  const steps: Step[] = [];
  if (rows * columns > MOST_CELLS) {
    steps.push(...a.map((_, index) => ({ from: offset + index })));
    steps.push(...b.map((_, index) => ({ to: offset + index })));
    return steps;
  }
  // common[i][j]: length of the longest common part of a from i on and b from j on.
  const common = new Uint32Array(rows * columns);
  const at = (i: number, j: number): number => common[i * columns + j] as number;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i * columns + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      steps.push({ from: offset + i, to: offset + j });
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) {
      steps.push({ from: offset + i });
      i += 1;
    } else {
      steps.push({ to: offset + j });
      j += 1;
    }
  }
  return steps;
}
