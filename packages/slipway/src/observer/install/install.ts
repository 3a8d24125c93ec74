/** Puts a collector and its agents into a cluster, or takes them away. Doing either again changes nothing. */
import { createHash } from "node:crypto";
import { type Clock, SlipwayError } from "@slipway/base";
import { type AnyObject, findObject, isReason, type KubeClient, type Pod } from "@slipway/kube";
import {
  type InstallInput,
  installObjects,
  namesOf,
  SECRET_KEYS,
  type Secrets,
  selectorOf,
} from "./manifests.ts";
import { type SlackGiven, secretsFor } from "./secrets.ts";

export const FIELD_MANAGER = "slipway-observe";
const READY_MS = 180_000;
const LOOK_EVERY_MS = 500;

export interface InstallWish extends Omit<InstallInput, "secrets" | "checksum" | "collector"> {
  readonly collector: Omit<InstallInput["collector"], "slack">;
  /** Undefined: an upgrade keeps what it has. */
  readonly slack: SlackGiven | undefined;
}

const HIDDEN = "(made when it is installed)";
const GIVEN = "(given when it is installed)";

/** As they would be applied; what is secret is not shown. */
export function plannedObjects(wish: InstallWish): readonly AnyObject[] {
  const secrets = Object.fromEntries([
    ...SECRET_KEYS.map((key) => [key, HIDDEN]),
    ...Object.keys(wish.slack?.secrets ?? {}).map((key) => [key, GIVEN]),
  ]) as Secrets;
  const collector = { ...wish.collector, slack: wish.slack?.place ?? null };
  return installObjects({ ...wish, collector, secrets, checksum: checksumOf(collector, secrets) }).map(
    (object) => (object.kind === "Secret" ? { ...object, data: undefined, stringData: secrets } : object),
  );
}

export interface InstallContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** Rejects with OBSERVE_NOT_READY when the collector does not become ready. */
export async function install(context: InstallContext, wish: InstallWish): Promise<void> {
  const { client, clock, say } = context;
  const { namespace, service } = wish.collector;
  const { secrets, slack, isKept } = await secretsFor(client, wish.collector, wish.slack, clock.now());
  if (isKept)
    say(
      `keeps what it tells Slack with${slack?.channel == null ? "" : ` (${slack.channel})`}: no token is given`,
    );
  else if (slack === null) say("tells of alerts in its own log: no token of Slack is given");
  const collector = { ...wish.collector, slack };
  const objects = installObjects({ ...wish, collector, secrets, checksum: checksumOf(collector, secrets) });
  for (const object of objects) {
    if (object.kind === "PersistentVolumeClaim" && (await isThere(client, object))) {
      say(`keeps ${object.kind} ${object.metadata.name}`); // its size is for whoever runs it, and its data stays
      continue;
    }
    await client.apply(object, { fieldManager: FIELD_MANAGER, force: true });
    say(`applied ${object.kind} ${object.metadata.name}`);
  }
  await waitUntilReady(context, namespace, service);
}

/** A change of what the programs read at their start makes their pods anew. */
function checksumOf(collector: InstallInput["collector"], secrets: Secrets): string {
  return createHash("sha256")
    .update(JSON.stringify([collector, secrets]))
    .digest("hex")
    .slice(0, 16);
}

async function isThere(client: KubeClient, { apiVersion, kind, metadata }: AnyObject): Promise<boolean> {
  const { name, namespace } = metadata;
  return (await findObject(client, { apiVersion, kind, name, namespace })) !== undefined;
}

interface Progress {
  readonly metadata: { readonly generation?: number };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
    readonly desiredNumberScheduled?: number;
    readonly updatedNumberScheduled?: number;
    readonly numberReady?: number;
  };
}

export interface InstalledState {
  readonly isInstalled: boolean;
  readonly isCollectorReady: boolean;
  readonly agents: { readonly ready: number; readonly wanted: number };
  /** What pods that are not ready wait for. */
  readonly waiting: readonly string[];
}

export async function installedState(
  client: KubeClient,
  namespace: string,
  service: string,
): Promise<InstalledState> {
  const names = namesOf(service);
  const find = async (kind: string, name: string): Promise<Progress | undefined> =>
    (await findObject(client, { apiVersion: "apps/v1", kind, namespace, name })) as Progress | undefined;
  const [deployment, daemonSet] = await Promise.all([
    find("Deployment", names.collector),
    find("DaemonSet", names.agent),
  ]);
  const isCurrent = (object: Progress | undefined): boolean =>
    (object?.status?.observedGeneration ?? 0) >= (object?.metadata.generation ?? 1);
  const { status: agents = {} } = daemonSet ?? {};
  const updated = agents.updatedNumberScheduled ?? 0;
  return {
    isInstalled: deployment !== undefined,
    isCollectorReady:
      isCurrent(deployment) &&
      deployment?.status?.updatedReplicas === 1 &&
      deployment.status.availableReplicas === 1,
    agents: {
      ready: isCurrent(daemonSet) ? Math.min(agents.numberReady ?? 0, updated) : 0,
      wanted: agents.desiredNumberScheduled ?? 0,
    },
    waiting: await waitingPods(client, namespace, service),
  };
}

async function waitingPods(
  client: KubeClient,
  namespace: string,
  service: string,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const part of ["collector", "agent"] as const) {
    const labelSelector = Object.entries(selectorOf(service, part))
      .map(([key, value]) => `${key}=${value}`)
      .join(",");
    const { items } = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace, labelSelector });
    for (const { metadata, status } of items) {
      const [container] = status?.containerStatuses ?? [];
      const why =
        container?.state?.waiting?.reason ??
        status?.conditions?.find(({ type }) => type === "PodScheduled")?.message;
      if (container?.ready !== true && why !== undefined && why !== "")
        found.push(`${metadata.name}: ${why}`);
    }
  }
  return found;
}

async function waitUntilReady(
  { client, clock, signal, say }: InstallContext,
  namespace: string,
  service: string,
): Promise<void> {
  const until = clock.monotonic() + READY_MS;
  for (;;) {
    const state = await installedState(client, namespace, service);
    if (state.isCollectorReady && state.agents.ready >= state.agents.wanted) {
      say(`collector ready, agents on ${state.agents.ready} of ${state.agents.wanted} nodes`);
      return;
    }
    if (clock.monotonic() >= until) {
      throw new SlipwayError({
        code: "OBSERVE_NOT_READY",
        where: `${client.name}/${namespaced(namespace, service)}`,
        message: `not ready after ${READY_MS / 1000} s${state.waiting.map((one) => `\n  ${one}`).join("")}`,
        hint: `kubectl --namespace ${namespace} describe pods --selector slipway.dev/observe=${service}`,
      });
    }
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
}

function namespaced(namespace: string, service: string): string {
  return `${namespace}/${namesOf(service).collector}`;
}

/** What `uninstall` would delete, in its order; the volume only with `deletesData`. */
export function removals(
  namespace: string,
  service: string,
  deletesData: boolean,
): readonly {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}[] {
  const { agent, collector } = namesOf(service);
  const rows: readonly (readonly [apiVersion: string, kind: string, name: string])[] = [
    ["apps/v1", "DaemonSet", agent],
    ["apps/v1", "Deployment", collector],
    ["v1", "Service", collector],
    ["v1", "ConfigMap", collector],
    ["v1", "Secret", collector],
    ["rbac.authorization.k8s.io/v1", "RoleBinding", collector],
    ["rbac.authorization.k8s.io/v1", "Role", collector],
    ["v1", "ServiceAccount", agent],
    ["v1", "ServiceAccount", collector],
    ...(deletesData ? ([["v1", "PersistentVolumeClaim", collector]] as const) : []),
  ];
  return rows.map(([apiVersion, kind, name]) => ({ apiVersion, kind, namespace, name }));
}

export async function uninstall(
  { client, say }: Pick<InstallContext, "client" | "say">,
  namespace: string,
  service: string,
  deletesData: boolean,
): Promise<void> {
  for (const ref of removals(namespace, service, deletesData)) {
    try {
      await client.delete(ref, { propagationPolicy: "Background" });
      say(`deleted ${ref.kind} ${ref.name}`);
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
  }
}
