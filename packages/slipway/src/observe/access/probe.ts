/**
 * Health checks, told by their user agent: they are many, fast and never fail, so they flatter every figure. They are
 * stored as requests like others; what counts requests leaves out the user agents that begin with one of these.
 */
import type { Dictionary } from "./dictionary.ts";

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

/** The same by the id of a user agent, each looked at once. */
export class ProbeAgents {
  readonly #names: Pick<Dictionary, "valueOf">;
  /** 0 not looked at, 1 no, 2 yes. */
  #known = new Uint8Array(1024);

  constructor(names: Pick<Dictionary, "valueOf">) {
    this.#names = names;
  }

  has(agent: number): boolean {
    if (agent >= this.#known.length) {
      const larger = new Uint8Array(2 * agent);
      larger.set(this.#known);
      this.#known = larger;
    }
    const known = this.#known[agent];
    if (known !== 0) return known === 2;
    const is = agent !== 0 && isProbe(this.#names.valueOf(agent));
    this.#known[agent] = is ? 2 : 1;
    return is;
  }
}
