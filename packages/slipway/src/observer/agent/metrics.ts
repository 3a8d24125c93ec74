/**
 * What the agent of a node says to Prometheus. How far each log is stored is not among it: that would be a series for
 * each container that ever ran. What is written and not stored says the same in one number.
 */
import type { SenderFigures } from "../../observe/collect/sender.ts";
import type { TailFigures } from "../../observe/collect/tail.ts";
import type { Family } from "../../observe/prometheus/metrics.ts";

export function agentFamilies(tail: () => TailFigures, sender: () => SenderFigures): readonly Family[] {
  const single = (type: "counter" | "gauge", name: string, help: string, value: () => number): Family => ({
    ...{ type, name, help },
    read: () => [{ value: value() }],
  });
  return [
    single("gauge", "slipway_agent_followed_logs", "Logs that this node's agent follows.", () => tail().logs),
    single(
      "gauge",
      "slipway_agent_unread_bytes",
      "Bytes of logs that are written and that the collector has not stored.",
      () => tail().unread,
    ),
    single(
      "counter",
      "slipway_agent_sent_messages_total",
      "Messages that the collector has stored.",
      () => sender().messages,
    ),
    single(
      "counter",
      "slipway_agent_sent_bytes_total",
      "Size of these messages, packed.",
      () => sender().bytes,
    ),
    {
      name: "slipway_agent_send_failures_total",
      type: "counter",
      help: "Messages that have to be sent again: the collector was busy, refused, or did not answer.",
      labels: ["reason"],
      read: () => Object.entries(sender().failures).map(([reason, value]) => ({ labels: { reason }, value })),
    },
  ];
}
