/**
 * What happens when, in virtual time: a binary heap of actions, in order of time and then of being added, so that two
 * runs of one seed do the same things in the same order.
 */
export interface Timed {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class TimeQueue {
  readonly #heap: Timed[] = [];
  #added = 0;

  get size(): number {
    return this.#heap.length;
  }

  get nextAtMs(): number | undefined {
    return this.#heap[0]?.atMs;
  }

  add(atMs: number, run: () => void): void {
    this.#added += 1;
    const item = { atMs, order: this.#added, run };
    const heap = this.#heap;
    let index = heap.length;
    heap.push(item);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(item, heap[parent] as Timed)) break;
      heap[index] = heap[parent] as Timed;
      index = parent;
    }
    heap[index] = item;
  }

  take(): Timed | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Timed, heap[child] as Timed)) child += 1;
      if (!isBefore(heap[child] as Timed, last)) break;
      heap[index] = heap[child] as Timed;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function isBefore(a: Timed, b: Timed): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
