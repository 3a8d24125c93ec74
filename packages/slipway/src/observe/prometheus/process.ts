/** What every process says of itself, under the names that Prometheus' client libraries share. */
import type { Family } from "./metrics.ts";

export interface ProcessFacts {
  cpuUsage(): { readonly user: number; readonly system: number };
  memoryUsage: { rss(): number };
  uptime(): number;
}

export function processFamilies(self: ProcessFacts, now: number): readonly Family[] {
  const startedAt = now / 1000 - self.uptime();
  return [
    {
      name: "process_cpu_seconds_total",
      type: "counter",
      help: "Total user and system CPU time spent in seconds.",
      read() {
        const { user, system } = self.cpuUsage();
        return [{ value: (user + system) / 1_000_000 }];
      },
    },
    {
      name: "process_resident_memory_bytes",
      type: "gauge",
      help: "Resident memory size in bytes.",
      read: () => [{ value: self.memoryUsage.rss() }],
    },
    {
      name: "process_start_time_seconds",
      type: "gauge",
      help: "Start time of the process since unix epoch in seconds.",
      read: () => [{ value: startedAt }],
    },
  ];
}
