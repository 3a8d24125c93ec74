/** Who sees whom in a project, as Docker's user-defined networks have it: pure functions from the services' networks. */
import type { ServiceSpec } from "../engine.ts";

type Networked = Pick<ServiceSpec, "name" | "networks">;

export function shareNetwork(a: Networked, b: Networked): boolean {
  return a.networks.some(({ name }) => b.networks.some((other) => other.name === name));
}

/**
 * The names by which `viewer` can call others and itself, in lower case, each with the services that answer to it:
 * several may have one alias, and an alias counts only on the network that it was given on.
 */
export function namesSeenBy(
  viewer: Networked,
  services: readonly Networked[],
): ReadonlyMap<string, readonly string[]> {
  const seen = new Map<string, Set<string>>();
  for (const service of services) {
    for (const network of service.networks) {
      if (!viewer.networks.some(({ name }) => name === network.name)) continue;
      for (const name of [service.name, ...network.aliases]) {
        const key = name.toLowerCase();
        seen.set(key, (seen.get(key) ?? new Set()).add(service.name));
      }
    }
  }
  return new Map([...seen].map(([name, owners]) => [name, [...owners]]));
}

/** The services that `one` must not reach: there is no network that both are on. */
export function partedFrom(one: Networked, services: readonly Networked[]): readonly string[] {
  return services
    .filter((other) => other.name !== one.name && !shareNetwork(one, other))
    .map(({ name }) => name);
}
