/**
 * Walks a rolling update step by step, on paper: the Deployment controller's arithmetic says how many pods come and go,
 * the scheduler's own predicates say where they may stand, quotas say whether they are created at all. All Deployments of
 * a release roll at once, and the pods of others that wait for room take it when some is freed.
 *
 *   3 nodes of 1 cpu, 3 old pods of 600m, maxSurge 1, maxUnavailable 0: the surge pod fits nowhere, no old pod may go: stuck.
 *   The same with maxUnavailable 1: one old pod goes, a new one takes its place, three times over: done.
 *
 * Every pod that is placed counts as ready at once, and every pod that is deleted as gone: how long that takes is not the
 * question here, only whether it ends.
 */
import {
  hasEnded,
  type Limits,
  type NodeView,
  newReplicas,
  podsToDelete,
  refusals,
  shrinkOld,
  unschedulableMessage,
} from "@slipway/cluster/scheduling";
import type { Node, Pod } from "@slipway/kube";
import { type Ground, groundOf } from "./ground.ts";
import { type Lots, shuffled } from "./lots.ts";
import { makeRoom, place } from "./placing.ts";
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

interface Placed {
  pod: Pod;
  /** Index of its node; undefined while it waits. */
  node: number | undefined;
}

/** How far one Deployment is. */
interface State {
  readonly rollout: Rollout;
  /** What the new ReplicaSet should have; pods that a quota refuses are missing from `current`. */
  wanted: number;
  current: Placed[];
  old: Placed[][];
  /** What one new pod takes of quotas. */
  readonly usage: ReadonlyMap<string, number>;
  /** Indices of those that count it. */
  readonly quotas: readonly number[];
  readonly lean: readonly NodeView[];
  made: number;
}

/** How far all of it is. */
interface Paper {
  readonly room: Room;
  readonly lots: Lots;
  readonly now: number;
  readonly ground: Ground;
  readonly states: readonly State[];
  /** Of each quota. */
  readonly used: readonly Map<string, number>[];
  /** Pods of others without a node. */
  waiting: readonly Pod[];
  preempted: number;
  readonly quotaRefusals: Set<string>;
}

export function walk(room: Room, rollouts: readonly Rollout[], lots: Lots, now: number): Walk {
  const paper = begin(room, rollouts, lots, now);
  const { states } = paper;
  let peak = podsOf(states);
  for (let changed = true; changed; ) {
    changed = false;
    for (const state of states) changed = grow(paper, state) || changed;
    peak = Math.max(peak, podsOf(states));
    changed = schedule(paper) || changed;
    for (const state of states) changed = shrink(paper, state) || changed;
  }
  return {
    stops: states.flatMap((state) => stopOf(paper, state)),
    peak,
    preempted: paper.preempted,
    quotaRefusals: [...paper.quotaRefusals],
  };
}

function begin(room: Room, rollouts: readonly Rollout[], lots: Lots, now: number): Paper {
  const ours = rollouts.flatMap((rollout) => [...rollout.current, ...rollout.old.flat()]);
  const standing = [...room.others, ...ours].filter(
    (pod) => pod.spec.nodeName !== undefined && !hasEnded(pod),
  );
  const templates = rollouts.map(({ pod }) => pod);
  const ground = groundOf(room.nodes, standing, templates);
  const indexOf = new Map(room.nodes.map((node, index) => [node.metadata.name, index]));
  const placed = (pod: Pod): Placed => ({ pod, node: indexOf.get(pod.spec.nodeName ?? "") });
  const states = rollouts.map((rollout, number): State => {
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
      lean: ground.lean[number] as readonly NodeView[],
      made: 0,
    };
  });
  return {
    room,
    lots,
    now,
    ground,
    states,
    used: room.quotas.map((quota) => new Map(quota.used)),
    waiting: room.others.filter((pod) => pod.spec.nodeName === undefined && !hasEnded(pod)),
    preempted: 0,
    quotaRefusals: new Set(),
  };
}

const podsOf = (states: readonly State[]): number =>
  states.reduce((sum, state) => sum + state.current.length + total(state.old), 0);

const total = (old: readonly (readonly Placed[])[]): number =>
  old.reduce((sum, pods) => sum + pods.length, 0);

/** New pods, as many as the strategy lets there be and quotas allow. */
function grow(paper: Paper, state: State): boolean {
  const { rollout } = state;
  const { limits } = rollout;
  const oldCount = total(state.old);
  let wanted = newReplicas(limits, oldCount + state.wanted, state.wanted);
  if (rollout.isRecreated) wanted = oldCount > 0 ? state.wanted : limits.replicas;
  // More than one pod too many tells no more than one does, and `replicas: 100000` is easily written.
  wanted = Math.min(wanted, Math.max(paper.ground.slots + 1, state.current.length));
  let changed = wanted !== state.wanted;
  state.wanted = wanted;
  if (state.current.length > wanted) {
    remove(paper, state, victims(paper, state, state.current, state.current.length - wanted));
    changed = true;
  }
  while (state.current.length < wanted) {
    const refused = quotaRefusal(paper, state);
    if (refused !== undefined) {
      paper.quotaRefusals.add(refused);
      break;
    }
    for (const index of state.quotas) book(paper.used[index], state.usage, 1);
    state.made += 1;
    state.current.push({ pod: copyOf(rollout, state.made, paper.now), node: undefined });
    changed = true;
  }
  return changed;
}

/** Why the next pod of this rollout is not created. */
function quotaRefusal({ room, used }: Paper, { quotas, usage }: State): string | undefined {
  return quotas
    .map((index) => shortOf(room.quotas[index] as Quota, used[index] ?? new Map(), usage))
    .find((reason) => reason !== undefined);
}

function book(used: Map<string, number> | undefined, usage: ReadonlyMap<string, number>, sign: 1 | -1): void {
  for (const [name, amount] of usage) {
    const before = used?.get(name);
    if (before !== undefined) used?.set(name, before + sign * amount);
  }
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

/** Pods that have no node get one where they can: first those of others, which have waited longer, then ours. */
function schedule(paper: Paper): boolean {
  const { ground, lots, room, states } = paper;
  let changed = false;
  const still: Pod[] = [];
  for (const pod of paper.waiting) {
    const index = place(pod, ground.views, ground.views, lots);
    if (index === undefined) still.push(pod);
    else {
      ground.put(standingOn(pod, room.nodes[index]), index);
      changed = true;
    }
  }
  paper.waiting = still;
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
      place(one.pod, ground.views, state.lean, lots) ??
      makeRoom(one.pod, ground.views, state.lean, (pod, at) => evict(paper, pod, at));
    // Its brothers are just like it.
    if (index === undefined) hopeless.add(state);
    else {
      one.node = index;
      one.pod = standingOn(one.pod, room.nodes[index]);
      ground.put(one.pod, index);
      changed = true;
    }
  }
  return changed;
}

/** For one of higher priority. One of the release is made anew by its ReplicaSet, and waits. */
function evict(paper: Paper, pod: Pod, at: number): void {
  paper.ground.take(pod, at);
  const ours = paper.states
    .flatMap(({ current, old }) => [...current, ...old.flat()])
    .find((one) => one.pod === pod);
  if (ours === undefined) paper.preempted += 1;
  else ours.node = undefined;
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

function standingOn(pod: Pod, node: Node | undefined): Pod {
  return { ...pod, spec: { ...pod.spec, nodeName: node?.metadata.name ?? "" } };
}

/** Old pods that may go, go. */
function shrink(paper: Paper, state: State): boolean {
  if (total(state.old) === 0) return false;
  if (state.rollout.isRecreated) {
    remove(
      paper,
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
    remove(paper, state, victims(paper, state, pods, pods.length - size));
    changed = true;
  });
  return changed;
}

/** Old pods as they are; a pod that was placed on paper is ready. */
function isServing({ pod, node }: Placed): boolean {
  return (
    node !== undefined &&
    pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true
  );
}

/** Which pods a ReplicaSet lets go of. */
function victims({ lots, now }: Paper, state: State, from: readonly Placed[], many: number): readonly Pod[] {
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

/** With what they took of nodes and quotas. */
function remove({ ground, room, used }: Paper, state: State, gone: readonly Pod[]): void {
  const away = new Set(gone);
  const leave = (all: Placed[]): Placed[] =>
    all.filter(({ pod, node }) => {
      if (!away.has(pod)) return true;
      if (node !== undefined) ground.take(pod, node);
      const usage = usageOf(pod);
      room.quotas.forEach((quota, index) => {
        if (quota.namespace === state.rollout.namespace && quota.takes(pod)) book(used[index], usage, -1);
      });
      return false;
    });
  state.current = leave(state.current);
  state.old = state.old.map(leave);
}

function stopOf(paper: Paper, state: State): readonly Stop[] {
  const { rollout } = state;
  const { views } = paper.ground;
  const placed = state.current.filter(({ node }) => node !== undefined).length;
  const old = total(state.old);
  if (old === 0 && placed >= rollout.limits.replicas) return [];
  const isRefused = state.current.length < state.wanted;
  const quota = isRefused ? quotaRefusal(paper, state) : undefined;
  const isWaiting = state.current.length > placed;
  const unschedulable = isWaiting
    ? unschedulableMessage(
        views.length,
        views.map((view) => refusals(rollout.pod, view, state.lean)),
      )
    : undefined;
  return [{ rollout, placed, old, quota, unschedulable, views }];
}
