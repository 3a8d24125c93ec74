/** What `slipway serve` says to Prometheus: what it has still to tell, and what it has been through. */
import type { Family } from "../observe/prometheus/metrics.ts";

export function serveFamilies(
  waiting: () => Promise<number>,
  events: ReadonlyMap<string, number>,
): readonly Family[] {
  return [
    {
      name: "slipway_outbox_waiting_messages",
      type: "gauge",
      help: "Messages that have not got to Slack as they should be.",
      read: async () => [{ value: await waiting() }],
    },
    {
      name: "slipway_serve_events_total",
      type: "counter",
      help: "What happened: presses of buttons, those refused, done and failed, warnings.",
      labels: ["event"],
      read: () => {
        // From the start on, so that the first failure is an increase.
        const all = new Map([
          ...["press", "refused", "done", "failed", "warning"].map((name) => [name, 0] as const),
          ...events,
        ]);
        return [...all].map(([event, value]) => ({ labels: { event }, value }));
      },
    },
  ];
}
