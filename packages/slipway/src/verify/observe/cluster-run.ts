/**
 * Checks in one place of a cluster: the containers of its workloads as those of a Compose file, its objects through the
 * API server until they are as expected, and last what must stay so for a while.
 */
import type { Clock, SlipwayError } from "@slipway/base";
import { isReason, type KubeClient, type KubeObject } from "@slipway/kube";
import { type Check, type ClusterPlace, fail, type Judgement, type ObjectKind, unknown } from "../check.ts";
import { viewWorkload } from "../cluster/pods.ts";
import { findWorkload, type WorkloadQuery } from "../cluster/project.ts";
import type { Project } from "../engines/engine.ts";
import { judgeObject, judgeObjects, judgeWorkload } from "../judge/objects.ts";
import type { ClusterPlan } from "../plan.ts";
import { checkServices, checksOf } from "./compose-run.ts";
import { clockUntilAborted, untilAborted } from "./interrupted.ts";
import { judgeSafely, NotSeen, type Outcomes } from "./outcome.ts";
import { settle } from "./settle.ts";

export interface OpenedPlace {
  readonly client: KubeClient;
  readonly namespace: string;
  /** For people: `cluster staging, namespace verify-x7k2`. */
  readonly where: string;
  /** What an object of the manifests is called there: ConfigMaps and Secrets carry a hash of their content. */
  appliedName(kind: string, name: string): string;
  /** Digests of the images that were built for this run. */
  readonly built: readonly string[];
  /** Rejects with VERIFY_WORKLOAD_NOT_READY (exit 1) with what its pods wait for. */
  project(services: readonly string[]): Promise<Project>;
  /** Removes what was made for the run. */
  close(): Promise<void>;
}

/** Makes a place ready: a cluster, a namespace with the project's manifests. */
export interface ClusterRunner {
  /**
   * Rejects with a SlipwayError: exit code 2 for a mistake in configuration, 3 for a cluster that cannot be asked. When
   * the signal aborts, it rejects with its reason at the next step, and what it had made is removed.
   */
  open(place: ClusterPlace, signal?: AbortSignal): Promise<OpenedPlace>;
}

export interface ClusterRun {
  readonly clock: Clock;
  readonly clusters: ClusterRunner;
  readonly signal?: AbortSignal | undefined;
}

/** Rejects with the signal's reason when it aborts. What was made for the run is removed in any case. */
export async function runCluster(
  plan: ClusterPlan,
  { clock, clusters, signal }: ClusterRun,
  outcomes: Outcomes,
): Promise<void> {
  signal?.throwIfAborted();
  const place = await clusters.open(plan.place, signal);
  try {
    await untilAborted(check(plan, place, clockUntilAborted(clock, signal), outcomes), signal);
  } finally {
    await place.close();
  }
}

async function check(plan: ClusterPlan, place: OpenedPlace, clock: Clock, outcomes: Outcomes): Promise<void> {
  // Objects first: a workload that does not come up is told by its own check, too.
  await Promise.all([objects(plan, place, clock, outcomes), services(plan, place, clock, outcomes)]);
  await holds(plan, place, clock, outcomes);
}

async function services(
  plan: ClusterPlan,
  place: OpenedPlace,
  clock: Clock,
  outcomes: Outcomes,
): Promise<void> {
  // Those of which it is said when they are ready are waited for by all, as in Compose.
  const said = Object.keys(plan.place.readyWhen ?? {});
  const first = said.length === 0 || plan.services.length === 0 ? undefined : await readyProject(place, said);
  await Promise.all(
    plan.services.map(async (one) => {
      const ready =
        first !== undefined && "failure" in first ? first : await readyProject(place, [one.service]);
      if ("failure" in ready) {
        for (const check of checksOf(one.plan)) {
          outcomes.set(check, {
            judgement: fail(ready.failure),
            from: "api",
            attempts: 1,
            durationMs: 0,
            where: place.where,
          });
        }
        return;
      }
      await checkServices(ready.project, [one], clock, outcomes);
      const judgement = unknown(
        "how a container stops cannot be tried in a cluster: its controller makes another",
        "Check it on the image or in Compose.",
      );
      for (const check of one.plan.stops) {
        outcomes.set(check, { judgement, from: "nothing", attempts: 0, durationMs: 0, where: place.where });
      }
    }),
  );
}

async function readyProject(
  place: OpenedPlace,
  services: readonly string[],
): Promise<{ readonly project: Project } | { readonly failure: string }> {
  try {
    return { project: await place.project(services) };
  } catch (error) {
    if ((error as { code?: unknown }).code !== "VERIFY_WORKLOAD_NOT_READY") throw error;
    const { where, message } = error as SlipwayError;
    return { failure: `${where}: ${message}` };
  }
}

async function objects(
  plan: ClusterPlan,
  place: OpenedPlace,
  clock: Clock,
  outcomes: Outcomes,
): Promise<void> {
  const look = async () => {
    const lookup = new Lookup(place, plan);
    return { isFinal: false, judge: (check: Check) => judgeSafely(() => lookup.judge(check)) };
  };
  await settle(plan.objects, { clock, look, digest: undefined, where: place.where }, outcomes);
}

/** Looked at from now on, until the time is over or it has happened. */
async function holds(plan: ClusterPlan, place: OpenedPlace, clock: Clock, outcomes: Outcomes): Promise<void> {
  await Promise.all(
    plan.holds.map(async (check) => {
      const ms = check.expectation.matcher === "noRestarts" ? check.expectation.ms : 0;
      const startedAt = clock.monotonic();
      for (let attempts = 1; ; attempts += 1) {
        const judgement = await judgeSafely(() => new Lookup(place, plan).judge(check));
        const elapsed = clock.monotonic() - startedAt;
        if (judgement.verdict !== "pass" || elapsed >= ms) {
          const from = judgement.verdict === "unknown" ? "nothing" : "api";
          outcomes.set(check, { judgement, from, attempts, durationMs: elapsed, where: place.where });
          return;
        }
        await clock.sleep(Math.min(HOLD_EVERY_MS, ms - elapsed));
      }
    }),
  );
}

const HOLD_EVERY_MS = 1_000;

/** One look: each request to the API server is made once, for all checks that need its answer. */
class Lookup {
  readonly #place: OpenedPlace;
  readonly #isOwn: boolean;
  readonly #made = new Map<string, Promise<unknown>>();

  constructor(place: OpenedPlace, plan: ClusterPlan) {
    this.#place = place;
    this.#isOwn = plan.place.namespace === undefined;
  }

  async judge(check: Check): Promise<Judgement> {
    const { client, namespace, built } = this.#place;
    switch (check.kind) {
      case "workload": {
        const { kind, name }: WorkloadQuery = check.resource;
        const view = await this.#once(`workload ${kind} ${name}`, () =>
          kind === undefined
            ? findWorkload(client, namespace, name)
            : viewWorkload(client, kind, namespace, name),
        ).catch(ifMissing);
        return view === undefined
          ? fail("there is no such workload")
          : judgeWorkload(check, view, built, this.#isOwn);
      }
      case "object": {
        const { apiVersion, kind, name: written } = check.resource;
        const name = this.#place.appliedName(kind, written);
        await this.#mustServe({ apiVersion, kind });
        const object = await this.#once(`object ${apiVersion} ${kind} ${name}`, () =>
          client.get<KubeObject>({ apiVersion, kind, name, namespace }),
        ).catch(ifMissing);
        return judgeObject(check, object);
      }
      case "objects": {
        const { apiVersion, kind, labelSelector } = check.resource;
        await this.#mustServe({ apiVersion, kind });
        const { items } = await this.#once(`objects ${apiVersion} ${kind} ${labelSelector}`, () =>
          client.list<KubeObject>(
            { apiVersion, kind },
            { namespace, ...(labelSelector === "" ? {} : { labelSelector }) },
          ),
        );
        return judgeObjects(check, items);
      }
      default:
        throw new TypeError(`${check.kind} is not about an object`);
    }
  }

  /** Of a kind that the cluster does not have there is no object either, and that proves nothing: it may be misspelt. */
  async #mustServe(type: ObjectKind): Promise<void> {
    const { apiVersion, kind } = type;
    if (await this.#once(`serves ${apiVersion} ${kind}`, () => this.#place.client.serves(type))) return;
    throw new NotSeen({
      unseen: `this cluster does not have the kind ${apiVersion}/${kind}`,
      remedy: "Correct its name, or install what defines it.",
    });
  }

  #once<T>(key: string, read: () => Promise<T>): Promise<T> {
    const made = (this.#made.get(key) as Promise<T> | undefined) ?? read();
    this.#made.set(key, made);
    return made;
  }
}

function ifMissing(error: unknown): undefined {
  if (isReason(error, "NotFound") || (error as { code?: unknown }).code === "VERIFY_WORKLOAD_MISSING")
    return undefined;
  throw error;
}
