/**
 * Walks a rolling update step by step, on paper: the Deployment controller's arithmetic says how many pods come and go,
 * the scheduler's own predicates say where they may stand, quotas say whether they are created at all. All Deployments of
 * a release roll at once, and the pods of others that wait for room take it when some is freed.
 *
 *   3 nodes of 1 cpu, 3 old pods of 600m, maxSurge 1, maxUnavailable 0: the surge pod fits nowhere, no old pod may go: stuck.
 *   The same with maxUnavailable 1: one old pod goes, a new one takes its place, three times over: done.
 *
 * Every pod that is placed counts as ready at once, and every pod that is deleted as gone: how long that takes is not the
 * question here, only whether it ends. Where the scheduler draws lots, one walk is one way it may go; `forecast` walks
 * several and says "fits" only when all of them end.
 */
import { type Random, seededRandom } from "@slipway/base";
import {
  amountOf,
  hasEnded,
  type Limits,
  type NodeView,
  newReplicas,
  nodeViews,
  podsToDelete,
  refusals,
  requestsOf,
  scoreNodes,
  shrinkOld,
  termSelects,
  unschedulableMessage,
} from "@slipway/cluster/scheduling";
import { matchesLabels, type Node, type Pod } from "@slipway/kube";
import { type Quota, shortOf, usageOf } from "./quota.ts";

/** One Deployment of the release and what there is of it. */
export interface Rollout {
  readonly name: string;
  readonly namespace: string;
  readonly limits: Limits;
  readonly isRecreated: boolean;
  /** The pod that is made, with the defaults and the priority that it will have. */
  readonly pod: Pod;
  /** Active pods of the ReplicaSets that must go, oldest first. */
  readonly old: readonly (readonly Pod[])[];
  /** Active pods that are as the release wants them. */
  readonly current: readonly Pod[];
}

export interface Room {
  readonly nodes: readonly Node[];
  /** Pods of everybody else: placed ones take room, those without a node wait for some. */
  readonly others: readonly Pod[];
  readonly quotas: readonly Quota[];
}

export interface Stop {
  readonly rollout: Rollout;
  /** New pods that have a node, of those wanted. */
  readonly placed: number;
  /** Old pods that still run. */
  readonly old: number;
  /** Why the next pod is not created, when a quota refuses it. */
  readonly quota: string | undefined;
  /** `0/3 nodes are available: …`, when no node takes it. */
  readonly unschedulable: string | undefined;
  /** Nodes in the state in which it stopped. */
  readonly views: readonly NodeView[];
}

export interface Walk {
  readonly stops: readonly Stop[];
  /** Most pods of the release at one time. */
  readonly peak: number;
  /** Pods of others that were evicted for ours. */
  readonly preempted: number;
  /** A quota refused a pod at some point, though it may have gone on. */
  readonly quotaRefusals: readonly string[];
}

export type Forecast =
  | { readonly verdict: "fits"; readonly likely: Walk }
  /** Some ways of drawing lots end, others stop. */
  | { readonly verdict: "tight"; readonly likely: Walk; readonly stopped: Walk }
  | { readonly verdict: "stops"; readonly likely: Walk; readonly stopped: Walk };

/** How lots are drawn in one walk. */
type Lots =
  /** The best node, the first by name among equals: what a scheduler alone with its scores would do. */
  | { readonly draw: "best" }
  /** Among the nodes that are nearly as good as the best, and among pods that are equally dispensable. */
  | { readonly draw: "near"; readonly random: Random }
  /** Any node that fits: nothing is left to luck. */
  | { readonly draw: "any"; readonly random: Random }
  /** The fullest node that fits, which leaves the largest holes elsewhere. */
  | { readonly draw: "fullest" };

/** Large clusters have many equal nodes; what one walk says there, the next says as well. */
const MANY = 100_000;

export function forecast(room: Room, rollouts: readonly Rollout[], now: number): Forecast {
  const near = (seed: number): Lots => ({ draw: "near", random: seededRandom(seed) });
  const any = (seed: number): Lots => ({ draw: "any", random: seededRandom(seed) });
  const likely = walk(room, rollouts, { draw: "best" }, now);
  const walks = walksFor(room);
  const plausible = [likely, ...seeds(0, walks.near).map((seed) => walk(room, rollouts, near(seed), now))];
  const stops = plausible.filter((one) => one.stops.length > 0);
  if (stops.length === plausible.length) return { verdict: "stops", likely, stopped: likely };
  if (stops[0] !== undefined) return { verdict: "tight", likely, stopped: stops[0] };
  const unlucky: readonly Lots[] = [{ draw: "fullest" }, ...seeds(walks.near, walks.any).map(any)];
  for (const lots of unlucky) {
    const one = walk(room, rollouts, lots, now);
    if (one.stops.length > 0) return { verdict: "tight", likely, stopped: one };
  }
  return { verdict: "fits", likely };
}

const seeds = (from: number, many: number): readonly number[] =>
  Array.from({ length: many }, (_, index) => from + index + 1);

/** Small clusters are where luck decides, and where a walk costs nothing. */
function walksFor({ nodes, others }: Room): { readonly near: number; readonly any: number } {
  const size = nodes.length * (others.length + nodes.length);
  if (size > MANY) return { near: 1, any: 0 };
  return size > MANY / 100 ? { near: 3, any: 6 } : { near: 6, any: 40 };
}

interface Placed {
  pod: Pod;
  /** Index of its node; undefined while it waits. */
  node: number | undefined;
}

interface State {
  readonly rollout: Rollout;
  /** What the new ReplicaSet should have; pods that a quota refuses are missing from `current`. */
  wanted: number;
  current: Placed[];
  old: Placed[][];
  readonly usage: ReadonlyMap<string, number>;
  readonly quotas: readonly number[];
  /** Views with only the pods that matter to the affinity and spread of this template. */
  readonly lean: readonly (NodeView & { readonly pods: Pod[] })[];
  made: number;
}

/** A node's view that is changed in place: a walk places thousands of pods. */
type Ground = NodeView & {
  pods: Pod[];
  requested: Map<string, number>;
  scoredCpu: number;
  scoredMemory: number;
};

export function walk(room: Room, rollouts: readonly Rollout[], lots: Lots, now: number): Walk {
  const ours = rollouts.flatMap((rollout) => [...rollout.current, ...rollout.old.flat()]);
  const standing = [...room.others, ...ours].filter(
    (pod) => pod.spec.nodeName !== undefined && !hasEnded(pod),
  );
  const ground = nodeViews(room.nodes, standing) as readonly Ground[];
  const indexOf = new Map(room.nodes.map((node, index) => [node.metadata.name, index]));
  const placed = (pod: Pod): Placed => ({ pod, node: indexOf.get(pod.spec.nodeName ?? "") });
  const used = room.quotas.map((quota) => new Map(quota.used));
  const states = rollouts.map((rollout): State => {
    const { pod, namespace } = rollout;
    return {
      rollout,
      wanted: rollout.current.length,
      current: rollout.current.map(placed),
      old: rollout.old.map((pods) => pods.map(placed)),
      usage: usageOf(pod),
      quotas: room.quotas.flatMap((quota, index) =>
        quota.namespace === namespace && quota.takes(pod) ? [index] : [],
      ),
      lean: ground.map((view) => lean(view, rollout)),
      made: 0,
    };
  });
  let waiting = room.others.filter((pod) => pod.spec.nodeName === undefined && !hasEnded(pod));
  let peak = ours.length;
  let preempted = 0;
  const quotaRefusals = new Set<string>();
  // More than one pod too many tells no more than one does, and `replicas: 100000` is easily written.
  const mostPods = slotsOf(ground) + 1;

  const put = (pod: Pod, index: number): void => {
    const view = ground[index] as Ground;
    view.pods.push(pod);
    count(view, pod, 1);
    for (const state of states) if (matters(pod, state.rollout)) state.lean[index]?.pods.push(pod);
  };
  const take = (pod: Pod, index: number): void => {
    const view = ground[index] as Ground;
    view.pods.splice(view.pods.indexOf(pod), 1);
    count(view, pod, -1);
    for (const state of states) {
      const pods = state.lean[index]?.pods;
      const at = pods?.indexOf(pod) ?? -1;
      if (at >= 0) pods?.splice(at, 1);
    }
  };
  const remove = (state: State, gone: readonly Pod[]): void => {
    const away = new Set(gone);
    const leave = (all: Placed[]): Placed[] =>
      all.filter(({ pod, node }) => {
        if (!away.has(pod)) return true;
        if (node !== undefined) take(pod, node);
        const usage = usageOf(pod);
        room.quotas.forEach((quota, index) => {
          if (quota.namespace !== state.rollout.namespace || !quota.takes(pod)) return;
          for (const [name, amount] of usage) {
            const before = used[index]?.get(name);
            if (before !== undefined) used[index]?.set(name, before - amount);
          }
        });
        return false;
      });
    state.current = leave(state.current);
    state.old = state.old.map(leave);
  };
  const placeOne = (
    pod: Pod,
    views: readonly NodeView[],
    leanViews: readonly NodeView[],
  ): number | undefined => {
    const fitting = fittingNodes(pod, views, leanViews);
    if (fitting.length <= 1) return fitting[0];
    return choose(pod, fitting, views, leanViews, lots);
  };

  const grow = (state: State): boolean => {
    const { rollout } = state;
    const { limits } = rollout;
    const oldCount = total(state.old);
    let wanted = newReplicas(limits, oldCount + state.wanted, state.wanted);
    if (rollout.isRecreated) wanted = oldCount > 0 ? state.wanted : limits.replicas;
    wanted = Math.min(wanted, Math.max(mostPods, state.current.length));
    let changed = wanted !== state.wanted;
    state.wanted = wanted;
    if (state.current.length > wanted) {
      remove(state, victims(state, state.current, state.current.length - wanted, lots, now));
      changed = true;
    }
    while (state.current.length < wanted) {
      const refused = state.quotas
        .map((index) => shortOf(room.quotas[index] as Quota, used[index] ?? new Map(), state.usage))
        .find((reason) => reason !== undefined);
      if (refused !== undefined) {
        quotaRefusals.add(refused);
        break;
      }
      for (const index of state.quotas) {
        for (const [name, amount] of state.usage) {
          const before = used[index]?.get(name);
          if (before !== undefined) used[index]?.set(name, before + amount);
        }
      }
      state.made += 1;
      state.current.push({ pod: copyOf(rollout, state.made, now), node: undefined });
      changed = true;
    }
    return changed;
  };
  const schedule = (): boolean => {
    let changed = false;
    const still: Pod[] = [];
    for (const pod of waiting) {
      const index = placeOne(pod, ground, ground);
      if (index === undefined) still.push(pod);
      else {
        put(standingOn(pod, room.nodes[index]), index);
        changed = true;
      }
    }
    waiting = still;
    // Two Deployments are applied one right after the other: which one's pods come first is not sure.
    const order = lots.draw === "near" || lots.draw === "any" ? shuffled(states, lots.random) : states;
    const queue = inTurn(order.map((state) => state.current.filter(({ node }) => node === undefined)));
    const stateOf = new Map(states.flatMap((state) => state.current.map((pod) => [pod, state] as const)));
    const hopeless = new Set<State>();
    // A pod that was refused is looked at again after a back-off of up to 10 s: others may be faster.
    const isLate = (): boolean => lots.draw === "any" && lots.random.ratio(1, 3);
    const late = queue.filter(isLate);
    const prompt = queue.filter((one) => !late.includes(one));
    for (const one of [...prompt, ...late]) {
      if (changed && late.includes(one)) break;
      const state = stateOf.get(one) as State;
      if (hopeless.has(state)) continue;
      const index =
        placeOne(one.pod, ground, state.lean) ??
        makeRoom(one.pod, ground, state.lean, (pod, at) => {
          take(pod, at);
          preempted += 1;
        });
      // Its brothers are just like it.
      if (index === undefined) hopeless.add(state);
      else {
        one.node = index;
        one.pod = standingOn(one.pod, room.nodes[index]);
        put(one.pod, index);
        changed = true;
      }
    }
    return changed;
  };
  const shrink = (state: State): boolean => {
    if (total(state.old) === 0) return false;
    if (state.rollout.isRecreated) {
      remove(
        state,
        state.old.flat().map(({ pod }) => pod),
      );
      return true;
    }
    const available = state.current.filter(({ node }) => node !== undefined).length;
    const sizes = shrinkOld(
      state.rollout.limits,
      { replicas: state.wanted, available },
      state.old.map((pods) => ({ replicas: pods.length, available: pods.filter(isServing).length })),
    );
    let changed = false;
    sizes.afterScaleDown.forEach((size, index) => {
      const pods = state.old[index] as Placed[];
      if (pods.length <= size) return;
      remove(state, victims(state, pods, pods.length - size, lots, now));
      changed = true;
    });
    return changed;
  };

  for (let changed = true; changed; ) {
    changed = false;
    for (const state of states) changed = grow(state) || changed;
    peak = Math.max(
      peak,
      states.reduce((sum, state) => sum + state.current.length + total(state.old), 0),
    );
    changed = schedule() || changed;
    for (const state of states) changed = shrink(state) || changed;
  }
  const stops = states.flatMap((state) => stopOf(state, room, used, ground));
  return { stops, peak, preempted, quotaRefusals: [...quotaRefusals] };
}

/** Pods that all nodes together take; a node that does not say how many takes as many as there are. */
function slotsOf(ground: readonly Ground[]): number {
  return ground.reduce((sum, { node }) => {
    const pods = node.status?.allocatable?.["pods"];
    return sum + (pods === undefined ? Number.POSITIVE_INFINITY : amountOf("pods", pods));
  }, 0);
}

const total = (old: readonly (readonly Placed[])[]): number =>
  old.reduce((sum, pods) => sum + pods.length, 0);

/** Old pods as they are; a pod that was placed on paper is ready. */
function isServing({ pod, node }: Placed): boolean {
  return (
    node !== undefined &&
    pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true
  );
}

function stopOf(
  state: State,
  room: Room,
  used: readonly ReadonlyMap<string, number>[],
  ground: readonly NodeView[],
): readonly Stop[] {
  const { rollout } = state;
  const placed = state.current.filter(({ node }) => node !== undefined).length;
  const old = total(state.old);
  if (old === 0 && placed >= rollout.limits.replicas) return [];
  const quota = state.quotas
    .map((index) => shortOf(room.quotas[index] as Quota, used[index] ?? new Map(), state.usage))
    .find((reason) => reason !== undefined);
  const isWaiting = state.current.length > placed;
  const unschedulable = isWaiting
    ? unschedulableMessage(
        ground.length,
        ground.map((view) => refusals(rollout.pod, view, state.lean)),
      )
    : undefined;
  const isRefused = state.current.length < state.wanted;
  return [{ rollout, placed, old, quota: isRefused ? quota : undefined, unschedulable, views: ground }];
}

function count(view: Ground, pod: Pod, sign: 1 | -1): void {
  const requests = requestsOf(pod);
  for (const [name, amount] of requests)
    view.requested.set(name, (view.requested.get(name) ?? 0) + sign * amount);
  // As `nodeViews` counts for scores: a pod without requests is assumed to take 100m and 200 Mi.
  view.scoredCpu += sign * (requests.get("cpu") ?? 100);
  view.scoredMemory += sign * (requests.get("memory") ?? 200 * 2 ** 20);
}

function standingOn(pod: Pod, node: Node | undefined): Pod {
  return { ...pod, spec: { ...pod.spec, nodeName: node?.metadata.name ?? "" } };
}

function copyOf(rollout: Rollout, number: number, now: number): Pod {
  const { pod } = rollout;
  const name = `${rollout.name}-new-${number}`;
  const at = new Date(now).toISOString();
  return {
    ...pod,
    metadata: { ...pod.metadata, name, uid: name, creationTimestamp: at },
    status: { phase: "Running", conditions: [{ type: "Ready", status: "True", lastTransitionTime: at }] },
  };
}

/** The order of creation: one of each Deployment in turn. */
function inTurn(queues: readonly (readonly Placed[])[]): readonly Placed[] {
  const longest = Math.max(0, ...queues.map((queue) => queue.length));
  const order: Placed[] = [];
  for (let turn = 0; turn < longest; turn += 1) {
    for (const queue of queues) if (queue[turn] !== undefined) order.push(queue[turn] as Placed);
  }
  return order;
}

function victims(
  state: State,
  from: readonly Placed[],
  many: number,
  lots: Lots,
  now: number,
): readonly Pod[] {
  const pods = from.map(({ pod, node }) =>
    // A pod that waits dies first; the ranking sees that by its missing node.
    node === undefined ? { waits: true, pod } : { waits: false, pod },
  );
  const waits = pods.filter((one) => one.waits).map(({ pod }) => pod);
  const stand = pods.filter((one) => !one.waits).map(({ pod }) => pod);
  if (waits.length >= many) return waits.slice(0, many);
  const rest = many - waits.length;
  if (lots.draw === "near" || lots.draw === "any")
    return [...waits, ...shuffled(stand, lots.random).slice(0, rest)];
  const related = [...state.current, ...state.old.flat()].map(({ pod }) => pod);
  return [...waits, ...podsToDelete(stand, related, rest, { minReadySeconds: 0, now })];
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const all = [...items];
  for (let index = all.length - 1; index > 0; index -= 1) {
    const other = random.int(index + 1);
    [all[index], all[other]] = [all[other] as T, all[index] as T];
  }
  return all;
}

/**
 * Whether spread allows a node is the same for all nodes of its domains, and costs a count over the whole cluster: it is
 * asked once for each, and everything else for each node.
 */
function fittingNodes(
  pod: Pod,
  views: readonly NodeView[],
  leanViews: readonly NodeView[],
): readonly number[] {
  const hard = (pod.spec.topologySpreadConstraints ?? []).filter(
    ({ whenUnsatisfiable }) => whenUnsatisfiable === "DoNotSchedule",
  );
  const bare = hard.length === 0 ? pod : { ...pod, spec: { ...pod.spec, topologySpreadConstraints: [] } };
  const allowed = new Map<string, boolean>();
  const fitting: number[] = [];
  views.forEach((view, index) => {
    if (refusals(bare, view, leanViews).length > 0) return;
    const domains = hard.map(({ topologyKey }) => view.node.metadata.labels?.[topologyKey] ?? "").join("/");
    let isAllowed = allowed.get(domains);
    if (isAllowed === undefined) {
      isAllowed = hard.length === 0 || refusals(pod, view, leanViews).length === 0;
      allowed.set(domains, isAllowed);
    }
    if (isAllowed) fitting.push(index);
  });
  return fitting;
}

/** Scores that far below the best may still win: ours are not bit for bit those of every version. */
const NEARLY = 60;

function choose(
  pod: Pod,
  fitting: readonly number[],
  views: readonly NodeView[],
  leanViews: readonly NodeView[],
  lots: Lots,
): number {
  if (lots.draw === "any") return lots.random.pick(fitting);
  const owner = pod.metadata.ownerReferences?.[0]?.uid;
  const scored = fitting.map((index) => ({
    ...(views[index] as NodeView),
    pods: (leanViews[index] as NodeView).pods,
  }));
  const scores = scoreNodes(
    pod,
    scored,
    leanViews,
    (other) => owner !== undefined && other.metadata.ownerReferences?.[0]?.uid === owner,
  );
  const best = Math.max(...scores);
  switch (lots.draw) {
    case "best":
      return fitting[scores.indexOf(best)] as number;
    case "near":
      return lots.random.pick(fitting.filter((_, index) => (scores[index] as number) >= best - NEARLY));
    case "fullest":
      return fitting[scores.indexOf(Math.min(...scores))] as number;
  }
}

function lean(view: NodeView, rollout: Rollout): NodeView & { readonly pods: Pod[] } {
  return { ...view, pods: view.pods.filter((pod) => matters(pod, rollout)) };
}

/** Whether `other` can decide where the pods of this rollout may or should stand. */
function matters(other: Pod, { pod }: Rollout): boolean {
  if (other.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution !== undefined)
    return true;
  const owner = pod.metadata.ownerReferences?.[0]?.uid;
  if (owner !== undefined && other.metadata.ownerReferences?.[0]?.uid === owner) return true;
  const sameNamespace = other.metadata.namespace === pod.metadata.namespace;
  for (const constraint of pod.spec.topologySpreadConstraints ?? []) {
    if (sameNamespace && matchesLabels(constraint.labelSelector ?? {}, other.metadata.labels)) return true;
  }
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
  return [podAffinity, podAntiAffinity].some(
    (affinity) =>
      affinity?.requiredDuringSchedulingIgnoredDuringExecution?.some((term) =>
        termSelects(term, pod, other),
      ) ||
      affinity?.preferredDuringSchedulingIgnoredDuringExecution?.some(({ podAffinityTerm }) =>
        termSelects(podAffinityTerm, pod, other),
      ),
  );
}

/**
 * Preemption: the first node that would take the pod without the pods of lower priority there. Those are evicted from the
 * lowest priority up, until it fits.
 */
function makeRoom(
  pod: Pod,
  ground: readonly NodeView[],
  leanViews: readonly NodeView[],
  evict: (pod: Pod, node: number) => void,
): number | undefined {
  const own = pod.spec.priority ?? 0;
  if (pod.spec.preemptionPolicy === "Never") return undefined;
  for (let index = 0; index < ground.length; index += 1) {
    const view = ground[index] as NodeView;
    const lower = view.pods
      .filter((other) => (other.spec.priority ?? 0) < own)
      .sort((a, b) => (a.spec.priority ?? 0) - (b.spec.priority ?? 0));
    if (lower.length === 0) continue;
    const without = (many: number): NodeView =>
      nodeViews(
        [view.node],
        view.pods.filter((other) => !lower.slice(0, many).includes(other)),
      )[0] as NodeView;
    const leanWithout = (many: number): readonly NodeView[] =>
      leanViews.map((one, at) =>
        at === index
          ? { ...one, pods: one.pods.filter((other) => !lower.slice(0, many).includes(other)) }
          : one,
      );
    if (refusals(pod, without(lower.length), leanWithout(lower.length)).length > 0) continue;
    let many = 1;
    while (refusals(pod, without(many), leanWithout(many)).length > 0) many += 1;
    for (const other of lower.slice(0, many)) evict(other, index);
    return index;
  }
  return undefined;
}
