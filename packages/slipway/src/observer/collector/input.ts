/** What the programs in a cluster are told: by the ConfigMap that `slipway observe install` writes, mounted as a file. */
import * as z from "zod";

/** Where the Secret and the ConfigMap are mounted in both programs. */
export const MOUNTED = "/etc/slipway";
export const PORT = 9443;
export const PODS_LOGS = "/var/log/pods";

/** What it collects for, and the part of ObserveConfig that it needs. */
export const collectorInputSchema = z.object({
  service: z.string(),
  namespace: z.string(),
  cluster: z.string(),
  readsReleases: z.boolean(),
  observe: z.object({
    accessLog: z.enum(["auto", "edge", "pods"]),
    formats: z.record(z.string(), z.string()),
    redact: z.array(z.string()),
    truncateIp: z.boolean(),
    keepForMs: z.number(),
    maxBytes: z.number(),
  }),
});

export type CollectorInput = z.output<typeof collectorInputSchema>;
