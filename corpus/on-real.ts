/**
 * Cases on the real cluster: its stage, an account that has the generated rights and nothing else, the release before, the
 * change. The test of the real lane and the benchmark share it.
 */

import { makeAccount, openAs } from "../packages/slipway/src/clusters/testing.ts";
import type { CorpusCase } from "../packages/slipway/src/corpus/case.ts";
import { startHollowNodes } from "../scripts/corpus/hollow.ts";
import { openStage } from "../scripts/corpus/stage.ts";
import { openHollowCluster, openRealCluster, type RealCluster } from "../scripts/corpus/surroundings.ts";
import { type Ran, rightsOf, runCase } from "./running.ts";

export async function runOnReal(one: CorpusCase, cluster: RealCluster): Promise<Ran> {
  const { clock, kubeconfig } = cluster;
  const hollow = one.recorded === "hollow" ? await startHollowNodes(cluster.client, clock) : undefined;
  try {
    const stage = await openStage(one, { ...cluster, hollow });
    const { namespace, objects } = stage;
    // Who releases is no administrator, as in life.
    const rights = rightsOf("deploy", namespace, [...objects.before, ...objects.after]);
    const account = await makeAccount(cluster.client, { namespace, name: "deploy", rights });
    const client = await openAs("deploy", kubeconfig, account);
    const stop = new AbortController();
    let steps: Promise<void> | undefined;
    try {
      return await runCase({
        one,
        client,
        namespace,
        before: objects.before,
        after: objects.after,
        onChange: async () => {
          await stage.prepare();
          steps = stage.play(clock.now(), stop.signal);
          steps.catch(() => undefined);
        },
      });
    } finally {
      stop.abort();
      await steps?.catch(() => undefined);
      await client.close();
      await account.remove();
      await stage.tearDown();
    }
  } finally {
    await hollow?.close();
  }
}

/** Whether it stops, changes or takes a part of the cluster that others need, and runs alone therefore. */
export function disturbs(one: CorpusCase): boolean {
  return one.alone || one.steps.some((step) => ["stop", "cordon", "taint", "drain"].includes(step.do));
}

export interface RealClusters {
  /** The full node, or the control plane of hollow nodes where the case needs those. */
  for(one: CorpusCase): Promise<RealCluster>;
  close(): Promise<void>;
}

/** Each is started when the first case needs it. */
export function realClusters(env: NodeJS.ProcessEnv): RealClusters {
  const opened = new Map<"full" | "hollow", Promise<RealCluster>>();
  return {
    for: (one) => {
      const which = one.recorded === "hollow" ? "hollow" : "full";
      const known = opened.get(which);
      if (known !== undefined) return known;
      const opening = which === "hollow" ? openHollowCluster(env) : openRealCluster(env);
      opened.set(which, opening);
      return opening;
    },
    close: async () => {
      // While the full node runs, no other goes: the bridge of the pods would go with it.
      for (const which of ["full", "hollow"] as const) await (await opened.get(which))?.close();
    },
  };
}
