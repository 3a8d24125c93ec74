/**
 * What the world writes down of itself, at every change: one after the other, each as things are when its turn comes. Of
 * two at once the older one could be the last to be done, and stay on disk.
 */
export interface Remembering {
  /** Resolves when what is now, or something newer, is written. */
  remember(): Promise<void>;
  /** Nothing is written after this resolves. */
  end(): Promise<void>;
}

export function createRemembering(write: () => Promise<void>): Remembering {
  let last: Promise<void> = Promise.resolve();
  /** Not begun yet: changes until then are part of it. */
  let next: Promise<void> | undefined;
  let isOver = false;
  return {
    remember() {
      if (next === undefined) {
        next = last.then(() => {
          next = undefined;
          return isOver ? undefined : write();
        });
        last = next.catch(() => undefined);
      }
      return next;
    },
    end() {
      isOver = true;
      return last;
    },
  };
}
