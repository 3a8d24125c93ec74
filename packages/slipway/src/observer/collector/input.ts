/** What the programs in a cluster are told: by the ConfigMap that `slipway observe install` writes, mounted as a file. */
import * as z from "zod";
import type { Slo } from "../../config/observe.ts";

/** Where the Secret and the ConfigMap are mounted in both programs. */
export const MOUNTED = "/etc/slipway";
export const PORT = 9443;
/** Of an agent's figures; a collector has them on its own port. */
export const AGENT_METRICS_PORT = 9464;
export const PODS_LOGS = "/var/log/pods";

const sloSchema = z.object({
  availability: z.number().optional(),
  latency: z.object({ targetMs: z.number(), ratio: z.number() }).optional(),
});

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
    slo: sloSchema,
    sloOf: z.record(z.string(), sloSchema),
  }),
});

export type CollectorInput = z.output<typeof collectorInputSchema>;

/** `undefined` does not survive JSON: what is missing is not promised. */
export function sloOf({ availability, latency }: z.output<typeof sloSchema>): Slo {
  return { availability, latency };
}
