/** What can strike a release, once, at a chosen step; the matrix of both is what the simulation must cover. */
import { NO_FAULTS } from "@slipway/cluster";
import type { Secret } from "@slipway/kube";
import type { Process, SimulatedCluster } from "./process.ts";
import type { Stage } from "./stage.ts";
import { STEPS, type Step } from "./steps.ts";

export const FAULTS = [
  "kill",
  "stop",
  "stop, and a second goes on",
  "partition",
  "delay",
  "api errors",
  "lost reply",
  "watches closed",
  "controllers restart",
  "record corrupted",
  "record deleted",
  "lock deleted",
  "second process",
] as const;

export type Fault = (typeof FAULTS)[number];

/** Every pair of step and fault, in a fixed order: seed n takes cell n, so that N runs cover all of them evenly. */
export const CELLS: readonly { readonly step: Step; readonly fault: Fault }[] = FAULTS.flatMap((fault) =>
  STEPS.map((step) => ({ step, fault })),
);

/** Does it to the cluster that is being called, or to the process. `second` starts the other process. */
export function strike(
  fault: Fault,
  at: { readonly stage: Stage; readonly process: Process; readonly cluster: SimulatedCluster },
  second: () => void,
): void {
  const { stage, process, cluster } = at;
  const { random } = stage;
  switch (fault) {
    case "kill":
      return process.kill();
    case "stop":
      // Longer than the lock's time to live, or shorter.
      return process.stopFor(random.pick([8_000, 45_000, 90_000]));
    case "stop, and a second goes on":
      process.stopFor(random.pick([45_000, 90_000]));
      return second();
    case "partition":
      return cluster.network.cut(random.pick([3_000, 15_000, 60_000, 3_600_000]));
    case "delay":
      return cluster.network.slowDown(random.pick([500, 3_000, 8_000]), 60_000);
    case "api errors":
      return cluster.network.answerErrors(15_000);
    case "lost reply":
      return cluster.network.loseReply();
    case "watches closed":
      // More changes than the server remembers, so that the versions the watchers know have expired.
      for (let change = 0; change < 80; change += 1) touchSomething(cluster, change);
      return cluster.network.closeWatches();
    case "controllers restart":
      cluster.world.setFaults({ ...NO_FAULTS, controllerRestartEveryMs: 3_000 });
      return cluster.world.after(20_000, () => cluster.world.heal());
    case "record corrupted":
      return damageNewestRecord(cluster, (secret) => {
        const data = Object.fromEntries(
          Object.entries(secret.data ?? {}).map(([key, value]) => [key, halfOf(value)]),
        );
        cluster.world.api.replace({ ...secret, data } as Secret);
      });
    case "record deleted":
      return damageNewestRecord(cluster, ({ metadata }) =>
        cluster.world.api.delete({
          apiVersion: "v1",
          kind: "Secret",
          namespace: "default",
          name: metadata.name,
        }),
      );
    case "lock deleted":
      for (const { metadata } of cluster.world.store.list("Lease")) {
        const { name, namespace = "" } = metadata;
        if (!name.startsWith("slipway.")) continue;
        cluster.world.api.delete({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", namespace, name });
      }
      return;
    case "second process":
      return second();
  }
}

/** Still base64, as the API server insists: what is damaged is what it stands for. */
function halfOf(base64: string): string {
  const bytes = Buffer.from(base64, "base64");
  return bytes.subarray(0, bytes.length >> 1).toString("base64");
}

function touchSomething({ world }: SimulatedCluster, change: number): void {
  const ref = { apiVersion: "v1", kind: "ConfigMap", namespace: "kube-public", name: "busy" };
  const object = {
    apiVersion: ref.apiVersion,
    kind: ref.kind,
    metadata: { namespace: ref.namespace, name: ref.name },
    data: { n: String(change) },
  };
  world.api.apply(object as never, { fieldManager: "somebody", force: true });
}

function damageNewestRecord({ world }: SimulatedCluster, damage: (secret: Secret) => void): void {
  const records = world.store
    .list("Secret")
    .filter((secret) => (secret as Secret).type === "slipway.dev/release.v1")
    .sort((a, b) => numberOf(b as Secret) - numberOf(a as Secret)) as Secret[];
  const [newest] = records;
  if (newest !== undefined) damage(newest);
}

function numberOf({ metadata }: Secret): number {
  return Number(metadata.labels?.["slipway.dev/number"] ?? 0);
}
