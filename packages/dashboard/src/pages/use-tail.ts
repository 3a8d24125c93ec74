/** A live tail: lines come as they are written, and are shown four times a second, however many they are. */
import { useEffect, useState } from "react";
import type { LogEntry } from "../live/api.ts";
import { every } from "../live/clock.ts";
import { listen } from "../live/events.ts";
import { ring } from "./ring.ts";

/** As many as one answer has: a tail that runs all night holds no more than one that has just begun. */
const mostLines = 500;

export interface Tail {
  readonly entries: readonly LogEntry[];
  readonly isLost: boolean;
}

/** `query` undefined: nothing is followed. */
export function useTail(query: string | undefined): Tail {
  const [entries, setEntries] = useState<readonly LogEntry[]>([]);
  const [isLost, setIsLost] = useState(false);
  useEffect(() => {
    setEntries([]);
    if (query === undefined) return;
    let waiting: readonly LogEntry[] = [];
    const stop = listen(`/api/logs/tail?${query}`, {
      open: () => setIsLost(false),
      lost: () => setIsLost(true),
      data: (data) => {
        waiting = ring(waiting, [JSON.parse(data) as LogEntry], mostLines);
      },
    });
    const show = every(250, () => {
      if (waiting.length === 0 || document.hidden) return;
      const come = waiting;
      waiting = [];
      setEntries((held) => ring(held, come, mostLines));
    });
    return () => {
      stop();
      show();
    };
  }, [query]);
  return { entries, isLost };
}
