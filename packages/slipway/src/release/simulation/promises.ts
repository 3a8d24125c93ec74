/**
 * What a release promises under any faults, checked on the clusters themselves and not on what the engine says of them.
 *
 *   floor      never fewer ready pods than wanted, from the first healthy release on (maxUnavailable is 0)
 *   blast      a bad image never reaches a cluster behind the first wave
 *   healthy    a release that is called healthy runs in every cluster it names, whole
 *   heard      no cluster is called healthy that has been silent for as long as a release waits for one
 *   kept       what a release of the history needs that was healthy stays in its cluster: its ConfigMaps
 *   records    no release that began is missing from the history; no number is used twice
 *   lock       the next command has the lock within its time to live, without a person
 *   truth      what the history says runs in a cluster is what runs there
 *   explained  also when a process has just died: the history names what it was at, in each cluster
 *   evidence   a failure is stored with its evidence before anything is taken back
 *   restored   a bad release that its process could end runs nowhere afterwards
 *   bake       no wave begins before the one in front of it was healthy for the bake time
 *   hold       what was taken back is not deployed again without being told to
 *   alone      two processes never have the lock at once, unless one was cut off or stopped for longer than it lasts
 *   announced  nothing is applied to a cluster before a record says that it is being changed
 *   needs      what runs finds the ConfigMap that it names
 */

import { isDeepStrictEqual } from "node:util";
import { type Checker, Violation } from "@slipway/cluster";
import type { Deployment, Pod } from "@slipway/kube";
import { RELEASE_ANNOTATION } from "../apply/apply.ts";
import type { ReleaseEvent } from "../events.ts";
import { runningIn } from "../history/history.ts";
import { mergeRecords } from "../history/records.ts";
import type { ReleaseRecord } from "../model.ts";
import { type SimulatedCluster, UNREACHABLE_AFTER_MS } from "./process.ts";
import type { Stage } from "./stage.ts";

export function floorPromise(wanted: number): Checker & { arm(): void } {
  let isArmed = false;
  return {
    name: "floor",
    arm: () => {
      isArmed = true;
    },
    onCommit(event, _actor, { store }) {
      if (!isArmed || event.object.kind !== "Pod") return;
      const ready = (store.list("Pod") as readonly Pod[]).filter(isServing).length;
      if (ready < wanted) throw new Violation("floor", `${ready} pods serve, ${wanted} are wanted`);
    },
  };
}

function isServing({ metadata, status }: Pod): boolean {
  return (
    metadata.deletionTimestamp === undefined &&
    (status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false)
  );
}

/** For a cluster behind the first wave. */
export function blastPromise(bad: string): Checker {
  return {
    name: "blast",
    onCommit({ object }) {
      if (object.kind !== "Deployment") return;
      const [container] = (object as Deployment).spec.template.spec.containers;
      if (container?.image === bad) throw new Violation("blast", "a bad image came behind the first wave");
    },
  };
}

function liveDeployment({ world }: SimulatedCluster): Deployment | undefined {
  return world.store.get("Deployment", "default", "web") as Deployment | undefined;
}

/** Throws unless every cluster that the record calls healthy runs exactly this release, whole. */
export function checkHealthy(stage: Stage, record: ReleaseRecord): void {
  for (const [name, { verdict }] of Object.entries(record.clusters)) {
    if (verdict !== "healthy") continue;
    const live = liveDeployment(stage.cluster(name));
    const wanted = record.objects.find(({ kind }) => kind === "Deployment") as Deployment | undefined;
    const image = (of: Deployment | undefined): string | undefined =>
      of?.spec.template.spec.containers[0]?.image;
    const { updatedReplicas = 0, availableReplicas = 0, replicas = 0 } = live?.status ?? {};
    const count = live?.spec.replicas ?? 0;
    const left = replicas - updatedReplicas;
    // A rollback ends when all that is new is available; what is old is taken away after that.
    const isWhole =
      updatedReplicas === count &&
      availableReplicas >= count + left &&
      (left === 0 || record.kind === "rollback");
    if (image(live) !== image(wanted) || !isWhole) {
      throw new Violation(
        "healthy",
        `release ${record.number} is called healthy in ${name}, where ${image(live)} runs with ${updatedReplicas} updated and ${availableReplicas} available of ${count}`,
      );
    }
  }
}

export function checkRecords(started: readonly number[], history: readonly ReleaseRecord[]): void {
  for (const number of started) {
    if (!history.some((record) => record.number === number)) {
      throw new Violation("records", `release ${number} has begun and is in no cluster's history`);
    }
    if (started.filter((other) => other === number).length > 1) {
      throw new Violation("records", `number ${number} was given to two releases`);
    }
  }
}

/** At rest, after a command that went through: does every cluster run what the history says, and know the newest record? */
export function checkTruth(stage: Stage, copies: ReadonlyMap<string, readonly ReleaseRecord[]>): void {
  const all = [...copies.values()].flat();
  const open = mergeRecords([...copies.values()]).find(({ outcome }) => outcome === "in-progress");
  if (open !== undefined)
    throw new Violation("truth", `release ${open.number} is still going on, and nobody is at it`);
  const newest = all.reduce((best, one) => (isNewer(one, best) ? one : best), all[0] as ReleaseRecord);
  for (const [name, records] of copies) {
    const mine = records.find(({ number }) => number === newest.number);
    if (mine === undefined || !isDeepStrictEqual(mine.clusters, newest.clusters)) {
      throw new Violation("truth", `${name} does not know how release ${newest.number} ended`);
    }
    const runs = runningIn(records, name)?.number;
    const live = liveRelease(stage, name);
    if (runs !== live)
      throw new Violation("truth", `the history says ${name} runs release ${runs}, it runs ${live}`);
  }
}

/** At any moment, be a process dead or not: each cluster runs what the newest record says, or what it says is being changed. */
export function checkExplained(stage: Stage, copies: ReadonlyMap<string, readonly ReleaseRecord[]>): void {
  const records = mergeRecords([...copies.values()]);
  for (const { name } of stage.clusters) {
    const live = liveRelease(stage, name);
    const runs = runningIn(records, name)?.number;
    const isBeingChanged = records.some(({ outcome, clusters }) => {
      const step = clusters[name]?.step;
      return outcome === "in-progress" && (step === "applying" || step === "restoring");
    });
    const newest = records[0]?.clusters[name];
    // Going back did not come to its end, or the cluster was out of reach at the end, and the record says so: which of
    // the two runs is open.
    const isInDoubt =
      newest?.restored?.ok === false ||
      (records[0]?.outcome === "unknown" && newest?.cause?.code === "ClusterUnreachable");
    if (runs !== live && !isBeingChanged && !isInDoubt) {
      throw new Violation("explained", `${name} runs release ${live}, and the history says ${runs}`);
    }
  }
}

/** When the first object is sent to a cluster. */
export function checkAnnounced(
  number: number,
  cluster: string,
  copies: ReadonlyMap<string, readonly ReleaseRecord[]>,
): void {
  const record = mergeRecords([...copies.values()]).find((one) => one.number === number);
  const step = record?.clusters[cluster]?.step;
  if (step === undefined || step === "pending") {
    throw new Violation("announced", `release ${number} changes ${cluster}, and no record says so`);
  }
}

/** When a release begins to go back. */
export function checkEvidence(number: number, copies: ReadonlyMap<string, readonly ReleaseRecord[]>): void {
  const stored = [...copies.values()].flat().some((one) => one.number === number && one.evidence.length > 0);
  if (!stored)
    throw new Violation("evidence", `release ${number} goes back, and no cluster has its evidence`);
}

export function checkRestored(stage: Stage, bad: string): void {
  for (const cluster of stage.clusters) {
    if (liveDeployment(cluster)?.spec.template.spec.containers[0]?.image !== bad) continue;
    throw new Violation("restored", `${cluster.name} still runs the bad image`);
  }
}

/** When a cluster is called healthy. */
export function checkHeard({ name, network }: SimulatedCluster): void {
  const silentMs = network.silentMs();
  if (silentMs < UNREACHABLE_AFTER_MS) return;
  throw new Violation("heard", `${name} is called healthy, and has been silent for ${silentMs / 1000} s`);
}

/** At rest: somebody may go back to any of these by `kubectl rollout undo`, which brings no ConfigMap along. */
export function checkKept(stage: Stage, copies: ReadonlyMap<string, readonly ReleaseRecord[]>): void {
  for (const [name, records] of copies) {
    const { store } = stage.cluster(name).world;
    for (const { number, clusters, objects } of records) {
      if (clusters[name]?.verdict !== "healthy") continue;
      for (const { kind, metadata } of objects) {
        if (kind !== "ConfigMap" || store.get(kind, "default", metadata.name) !== undefined) continue;
        throw new Violation(
          "kept",
          `${name} has no ConfigMap ${metadata.name}, which release ${number} needs`,
        );
      }
    }
  }
}

export function checkNeeds(stage: Stage): void {
  for (const cluster of stage.clusters) {
    const [container] = liveDeployment(cluster)?.spec.template.spec.containers ?? [];
    for (const { configMapRef } of container?.envFrom ?? []) {
      const name = configMapRef?.name ?? "";
      if (cluster.world.store.get("ConfigMap", "default", name) !== undefined) continue;
      throw new Violation("needs", `${cluster.name} runs pods that name ConfigMap ${name}, which is gone`);
    }
  }
}

export function checkBake(events: readonly ReleaseEvent[], bakeMs: number): void {
  let bakingSince: number | undefined;
  for (const event of events) {
    if (event.type === "baking") bakingSince = event.at;
    if (event.type !== "wave-started" || event.wave === 0) continue;
    if (bakingSince === undefined || event.at - bakingSince < bakeMs - 100) {
      throw new Violation("bake", `wave ${event.wave + 1} began before the wave in front of it had baked`);
    }
    bakingSince = undefined;
  }
}

function liveRelease(stage: Stage, name: string): number {
  return Number(liveDeployment(stage.cluster(name))?.metadata.annotations?.[RELEASE_ANNOTATION]);
}

function isNewer(a: ReleaseRecord, b: ReleaseRecord): boolean {
  return (a.number - b.number || a.fence - b.fence || a.revision - b.revision) > 0;
}
