/**
 * A namespace of its own for a run's checks in a cluster. It is removed at the end of the run, and what a killed run left
 * is removed by the next one: by its owner when that can be judged from here, by its time otherwise.
 */
import { type Clock, isProcessAlive, type ProcessIdentity, systemProcesses } from "@slipway/base";
import { isReason, type KubeClient, type KubeObject } from "@slipway/kube";

export const RUN_LABEL = "slipway.dev/verify";
const OWNER = "slipway.dev/verify-owner";
const UNTIL = "slipway.dev/verify-until";
const NAMESPACE = { apiVersion: "v1", kind: "Namespace" } as const;

export interface RunNamespace {
  readonly name: string;
  /** Deletes it and waits until it is gone, at most this long. False: it is still ending. Idempotent. */
  remove(waitMs: number): Promise<boolean>;
}

export interface NamespaceOptions {
  readonly client: KubeClient;
  /** A DNS label of at most 63 characters. */
  readonly name: string;
  /** After this, anybody may remove it. */
  readonly ttlMs: number;
  readonly clock: Clock;
}

export async function openNamespace({ client, name, ttlMs, clock }: NamespaceOptions): Promise<RunNamespace> {
  await client.create<KubeObject>({
    ...NAMESPACE,
    metadata: {
      name,
      labels: { [RUN_LABEL]: "run" },
      annotations: {
        [OWNER]: JSON.stringify(systemProcesses().self),
        [UNTIL]: new Date(clock.now() + ttlMs).toISOString(),
      },
    },
  });
  const isGone = async (): Promise<boolean> => {
    try {
      await client.get({ ...NAMESPACE, name });
      return false;
    } catch (error) {
      if (isReason(error, "NotFound")) return true;
      throw error;
    }
  };
  return {
    name,
    remove: async (waitMs) => {
      await deleteIfThere(client, name);
      const until = clock.monotonic() + waitMs;
      for (;;) {
        if (await isGone()) return true;
        if (clock.monotonic() >= until) return false;
        await clock.sleep(Math.min(250, Math.max(1, until - clock.monotonic())));
      }
    },
  };
}

/** Names of the namespaces that earlier runs left and that are now being removed. */
export async function sweepNamespaces(client: KubeClient, now: number): Promise<readonly string[]> {
  const { items } = await client.list(NAMESPACE, { labelSelector: `${RUN_LABEL}=run` });
  const left = items.filter((namespace) => isLeft(namespace, now)).map(({ metadata }) => metadata.name);
  await Promise.all(left.map((name) => deleteIfThere(client, name)));
  return left;
}

function isLeft({ metadata }: KubeObject, now: number): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  const until = Date.parse(metadata.annotations?.[UNTIL] ?? "");
  if (until <= now) return true;
  return ownerIsGone(metadata.annotations?.[OWNER]);
}

function ownerIsGone(text: string | undefined): boolean {
  if (text === undefined) return false;
  try {
    return isProcessAlive(JSON.parse(text) as ProcessIdentity) === false;
  } catch {
    return false; // written by somebody else: its time decides
  }
}

async function deleteIfThere(client: KubeClient, name: string): Promise<void> {
  try {
    await client.delete({ ...NAMESPACE, name });
  } catch (error) {
    // Conflict: it is ending already.
    if (!isReason(error, "NotFound") && !isReason(error, "Conflict")) throw error;
  }
}
