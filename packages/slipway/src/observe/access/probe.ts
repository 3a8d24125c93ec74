/**
 * Health checks, told by their user agent: they are many, fast and never fail, so they flatter every figure. They are
 * stored as requests like others; what counts requests leaves out the user agents that begin with one of these.
 */
export const PROBE_AGENTS = [
  "kube-probe/",
  "GoogleHC/",
  "ELB-HealthChecker/",
  "Amazon-Route53-Health-Check-Service",
  "slipway-edge-health-check",
  "Envoy/HC",
  "Consul Health Check",
  "Blackbox Exporter/",
  "Blackbox-Exporter/",
] as const;

export function isProbe(userAgent: string): boolean {
  return PROBE_AGENTS.some((prefix) => userAgent.startsWith(prefix));
}
