import { useNow } from "../live/clock.ts";
import { absolute, ago } from "../words/time.ts";

/** `3 min ago`, and the absolute time for whoever points at it. */
export function Ago({ at }: { readonly at: number }) {
  const now = useNow();
  return (
    <time dateTime={new Date(at).toISOString()} title={absolute(at)}>
      {ago(at, now)}
    </time>
  );
}
