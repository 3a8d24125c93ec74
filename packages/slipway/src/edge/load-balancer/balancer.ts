/**
 * Which endpoint gets the next request. Clusters take turns, whatever their number of pods, so that each region
 * carries its share and a lost one shows at once; within a cluster the endpoint with the fewest requests in flight
 * wins, and ties take turns. A retry avoids the endpoints already tried, and their clusters as long as another has
 * a healthy endpoint. When nothing is healthy every endpoint is tried all the same: a health check that is
 * wrong about everything must not take the whole service down.
 */
import { afterCheck, afterRefusal, type Health, type HealthPolicy, initialHealth } from "./health.ts";

export interface Backend {
  /** `cluster/ip:port` */
  readonly id: string;
  readonly cluster: string;
  readonly ip: string;
  readonly port: number;
  readonly pod: string;
}

interface Member {
  readonly backend: Backend;
  health: Health;
  inFlight: number;
  turn: number;
}

export class Balancer {
  readonly #policy: HealthPolicy;
  readonly #clusters = new Map<string, { members: Member[]; turn: number }>();
  readonly #byId = new Map<string, Member>();
  #turn = 0;

  constructor(policy: HealthPolicy) {
    this.#policy = policy;
  }

  /** Replaces one cluster's endpoints; returns what left, for draining. Health and counts of those that stay remain. */
  setCluster(
    cluster: string,
    backends: readonly Backend[],
  ): { readonly added: readonly Backend[]; readonly removed: readonly Backend[] } {
    const before = this.#clusters.get(cluster)?.members ?? [];
    const wanted = new Map(backends.map((backend) => [backend.id, backend]));
    const kept = before.filter(({ backend }) => wanted.has(backend.id));
    const removed = before.filter(({ backend }) => !wanted.has(backend.id)).map(({ backend }) => backend);
    const known = new Set(kept.map(({ backend }) => backend.id));
    const added = backends.filter(({ id }) => !known.has(id));
    const members = [
      ...kept,
      ...added.map((backend) => ({ backend, health: initialHealth, inFlight: 0, turn: 0 })),
    ];
    for (const { id } of removed) this.#byId.delete(id);
    for (const member of members) this.#byId.set(member.backend.id, member);
    this.#clusters.set(cluster, { members, turn: this.#clusters.get(cluster)?.turn ?? 0 });
    return { added, removed };
  }

  pick(tried: ReadonlySet<string>): Backend | undefined {
    if (tried.size === 0) return this.#pickWhere(isHealthy) ?? this.#pickWhere(() => true);
    const triedClusters = new Set([...tried].map((id) => id.slice(0, id.indexOf("/"))));
    return (
      this.#pickWhere((member) => isHealthy(member) && !triedClusters.has(member.backend.cluster)) ??
      this.#pickWhere((member) => isHealthy(member) && !tried.has(member.backend.id)) ??
      this.#pickWhere((member) => !tried.has(member.backend.id))
    );
  }

  #pickWhere(fits: (member: Member) => boolean): Backend | undefined {
    let chosen: { members: Member[]; turn: number } | undefined;
    for (const cluster of this.#clusters.values()) {
      if (chosen !== undefined && chosen.turn <= cluster.turn) continue;
      if (cluster.members.some(fits)) chosen = cluster;
    }
    if (chosen === undefined) return undefined;
    let best: Member | undefined;
    for (const member of chosen.members) {
      if (!fits(member)) continue;
      if (
        best === undefined ||
        member.inFlight < best.inFlight ||
        (member.inFlight === best.inFlight && member.turn < best.turn)
      ) {
        best = member;
      }
    }
    this.#turn += 1;
    chosen.turn = this.#turn;
    if (best !== undefined) best.turn = this.#turn;
    return best?.backend;
  }

  started(id: string): void {
    const member = this.#byId.get(id);
    if (member !== undefined) member.inFlight += 1;
  }

  finished(id: string): void {
    const member = this.#byId.get(id);
    if (member !== undefined && member.inFlight > 0) member.inFlight -= 1;
  }

  refused(id: string, reason: string): void {
    const member = this.#byId.get(id);
    if (member !== undefined) member.health = afterRefusal(member.health, reason);
  }

  checked(id: string, ok: boolean, reason: string | undefined): void {
    const member = this.#byId.get(id);
    if (member !== undefined) member.health = afterCheck(member.health, ok, reason, this.#policy);
  }

  backends(): readonly { readonly backend: Backend; readonly health: Health; readonly inFlight: number }[] {
    return [...this.#byId.values()];
  }
}

function isHealthy(member: Member): boolean {
  return member.health.state === "healthy";
}
