/**
 * An answer of the server that stays: while a newer one is asked for, and when that fails, the last one is shown, with what
 * went wrong beside it. A failed question is asked again by itself, so that the sentence about it goes away by itself.
 */
import { useCallback, useEffect, useRef, useState } from "react";
import { AnswerError, get } from "./client.ts";
import { later, now } from "./clock.ts";

export interface Answer<T> {
  readonly value: T | undefined;
  readonly error: AnswerError | undefined;
  /** Asked for the first time and not answered yet. */
  readonly isWaiting: boolean;
  readonly ask: () => void;
}

const againMs = 5_000;

/** `path` undefined: nothing is asked. A changed `version` asks again, at most once in `paceMs`. */
export function useAnswer<T>(path: string | undefined, version: unknown = 0, paceMs = 1_000): Answer<T> {
  const [held, setHeld] = useState<{ path: string; value: T } | undefined>(undefined);
  const [error, setError] = useState<AnswerError | undefined>(undefined);
  const asker = useRef<Asker | undefined>(undefined);
  const asked = useRef(version);

  useEffect(() => {
    if (path === undefined) return;
    const made = createAsker<T>(path, paceMs, {
      value(value) {
        setHeld({ path, value });
        setError(undefined);
      },
      error: setError,
    });
    asker.current = made;
    made.ask();
    return () => made.stop();
  }, [path, paceMs]);
  useEffect(() => {
    if (asked.current === version) return;
    asked.current = version;
    asker.current?.ask();
  }, [version]);

  const ask = useCallback(() => asker.current?.ask(), []);
  // The answer to another filter of the same question is still better than an empty page.
  const isSame = held !== undefined && path !== undefined && held.path.split("?")[0] === path.split("?")[0];
  return {
    value: isSame ? held.value : undefined,
    error,
    isWaiting: path !== undefined && !isSame && error === undefined,
    ask,
  };
}

interface Asker {
  ask(): void;
  stop(): void;
}

/** One question at a time: what comes while one is on its way asks once more when that is answered. */
function createAsker<T>(
  path: string,
  paceMs: number,
  on: { readonly value: (value: T) => void; readonly error: (error: AnswerError) => void },
): Asker {
  const end = new AbortController();
  let askedAt = Number.NEGATIVE_INFINITY;
  let isRunning = false;
  let isWanted = false;
  let forget: (() => void) | undefined;

  const ask = (): void => {
    if (isRunning) {
      isWanted = true;
      return;
    }
    forget?.();
    const wait = askedAt + paceMs - now();
    if (wait > 0) forget = later(wait, () => void run());
    else void run();
  };
  const run = async (): Promise<void> => {
    // Nobody looks: the first event after they come back asks.
    if (document.hidden && askedAt > 0) return;
    askedAt = now();
    isRunning = true;
    isWanted = false;
    try {
      on.value(await get<T>(path, end.signal));
    } catch (error) {
      if (end.signal.aborted) return;
      on.error(error instanceof AnswerError ? error : new AnswerError(0, "Failed", String(error), undefined));
      forget = later(againMs, ask);
    } finally {
      isRunning = false;
    }
    if (isWanted) ask();
  };
  return {
    ask,
    stop() {
      forget?.();
      end.abort();
    },
  };
}
