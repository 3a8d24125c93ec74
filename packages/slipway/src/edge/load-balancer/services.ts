/** The services that routes lead to: their endpoints in every cluster, followed and checked for as long as a route does. */
import type { Clock } from "@slipway/base";
import type { EdgeTarget } from "../../config/types.ts";
import type { EndpointSource } from "../endpoints.ts";
import { type Backend, Balancer } from "./balancer.ts";
import { defaultHealthPolicy, type HealthPolicy } from "./health.ts";
import type { Dial, Upstreams } from "./upstreams.ts";

export interface Service {
  readonly name: string;
  readonly balancer: Balancer;
}

type Target = Extract<EdgeTarget, { kind: "service" }>;

export interface Services {
  /** Follows the services of these targets, and lets go of those that are no longer among them. */
  open(targets: readonly Target[]): void;
  /** By the target itself, so that a request needs no key made; it must be among those that are open. */
  of(target: Target): Service;
  all(): readonly Service[];
}

interface Followed extends Service {
  readonly policy: HealthPolicy;
  /** Aborts when no route leads to the service any more. */
  readonly stop: AbortController;
}

export function createServices(options: {
  readonly sources: readonly EndpointSource[];
  readonly upstreams: Upstreams;
  readonly dial: Dial;
  readonly clock: Clock;
  readonly onProblem: (error: unknown) => void;
  readonly signal: AbortSignal;
}): Services {
  const { onProblem, signal } = options;
  const followed = new Map<string, Followed>();
  const byTarget = new Map<Target, Followed>();

  const follow = (source: EndpointSource, target: Target, service: Followed): void => {
    const onChange = (backends: readonly Backend[]): void => {
      const { removed } = service.balancer.setCluster(source.cluster, backends);
      for (const backend of removed) options.upstreams.drain(backend).catch(onProblem);
    };
    source.follow(target, onChange, service.stop.signal).catch(onProblem);
  };
  const checkForEver = async ({ balancer, policy, stop }: Followed): Promise<void> => {
    while (!stop.signal.aborted) {
      await options.clock.sleep(policy.intervalMs, stop.signal).catch(() => {});
      if (stop.signal.aborted) return;
      await Promise.all(
        balancer.backends().map(async ({ backend }) => {
          const problem = await check(backend, policy, options);
          balancer.checked(backend.id, problem === undefined, problem);
        }),
      );
    }
  };

  return {
    open(targets) {
      const wanted = new Map(targets.map((target) => [keyOf(target), target]));
      for (const [key, { stop }] of followed) {
        if (wanted.has(key)) continue;
        stop.abort();
        followed.delete(key);
      }
      for (const [key, target] of wanted) {
        if (followed.has(key)) continue;
        const policy = { ...defaultHealthPolicy, path: target.health };
        const service: Followed = {
          name: target.name,
          balancer: new Balancer(policy),
          policy,
          stop: new AbortController(),
        };
        signal.addEventListener("abort", () => service.stop.abort(), { once: true });
        followed.set(key, service);
        for (const source of options.sources) follow(source, target, service);
        checkForEver(service).catch(onProblem);
      }
      byTarget.clear();
      for (const target of targets) byTarget.set(target, followed.get(keyOf(target)) as Followed);
    },
    of: (target) => byTarget.get(target) as Followed,
    all: () => [...followed.values()],
  };
}

/** Undefined when the endpoint is well, else what was wrong. */
async function check(
  backend: Backend,
  policy: HealthPolicy,
  via: { readonly dial: Dial; readonly upstreams: Upstreams },
): Promise<string | undefined> {
  try {
    if (policy.path === undefined) {
      (await via.dial(backend, policy.timeoutMs)).destroy();
      return undefined;
    }
    const answer = await via.upstreams.pool(backend).request({
      path: policy.path,
      method: "GET",
      headers: { "user-agent": "slipway-edge-health-check" },
      signal: AbortSignal.timeout(policy.timeoutMs),
    });
    await answer.body.dump();
    return answer.statusCode < 400 ? undefined : `health check answered ${answer.statusCode}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function keyOf({ namespace, name, port, health }: Target): string {
  return `${namespace}/${name}:${port}${health ?? ""}`;
}
