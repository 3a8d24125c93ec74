/**
 * Health checks, told by their user agent. They are stored but belong in no figure: they are many, fast and always
 * well, and so they flatter every one.
 */
const PROBES = ["kube-probe/", "GoogleHC/", "ELB-HealthChecker/", "Envoy/HC"];

/** Some proxies put a prefix before the agent's name, none of these checks do: only the beginning counts. */
export function isProbe(userAgent: string): boolean {
  return PROBES.some((name) => userAgent.startsWith(name));
}
