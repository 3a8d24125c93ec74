/**
 * A control plane of a real Kubernetes, for tests. SLIPWAY_REAL_KUBERNETES names a program with `up NAME
 * --control-plane-only` (prints the path of a KUBECONFIG as its last line), `down NAME` and `status`. One that was up
 * before is left up, and one that is up beside a full node `a` too: the bridge of the pods goes with whichever goes.
 */
import { exec, SlipwayError, systemClock, systemRandom } from "@slipway/base";
import type { KubeClient } from "@slipway/kube";
import { openContext } from "./context.ts";
import { readKubeconfig } from "./kubeconfig.ts";

export interface ControlPlane {
  /** An administrator's. */
  readonly client: KubeClient;
  /** Path of the KUBECONFIG file. */
  readonly kubeconfig: string;
  close(): Promise<void>;
}

export async function openControlPlane(program: string, name: string): Promise<ControlPlane> {
  const isUp = async (which: string): Promise<boolean> =>
    new RegExp(`^${which} kube-apiserver running$`, "m").test((await exec([program, "status"])).stdout);
  const wasUp = await isUp(name);
  const up = await exec([program, "up", name, "--control-plane-only"]);
  if (up.exitCode !== 0) {
    throw new SlipwayError({
      code: "TEST_CLUSTER_DOWN",
      where: `${program} up ${name}`,
      message: `ended with ${up.exitCode}:\n${up.stdout}${up.stderr}`,
    });
  }
  const kubeconfig = up.stdout.trim().split("\n").at(-1) as string;
  const file = readKubeconfig({ KUBECONFIG: kubeconfig });
  const options = { clock: systemClock, random: systemRandom(), isTerminal: false, env: {} };
  const { client } = await openContext(name, file.contexts[0]?.name ?? "", file, options);
  return {
    client,
    kubeconfig,
    close: async () => {
      await client.close();
      if (!wasUp && !(await isUp("a"))) await exec([program, "down", name]);
    },
  };
}
