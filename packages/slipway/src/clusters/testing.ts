/**
 * A control plane of a real Kubernetes, for tests. SLIPWAY_REAL_KUBERNETES names a program with `up NAME
 * --control-plane-only` (prints the path of a KUBECONFIG as its last line), `down NAME` and `status`. One that was up
 * before is left up, and one that is up beside a full node `a` too: the bridge of the pods goes with whichever goes.
 */
import { exec, SlipwayError, systemClock, systemRandom, until } from "@slipway/base";
import { type AnyObject, type KubeClient, type Secret, StatusError } from "@slipway/kube";
import { openContext } from "./context.ts";
import { type Kubeconfig, readKubeconfig } from "./kubeconfig.ts";

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
  const client = await openFirst(name, readKubeconfig({ KUBECONFIG: kubeconfig }));
  return {
    client,
    kubeconfig,
    close: async () => {
      await client.close();
      if (!wasUp && !(await isUp("a"))) await exec([program, "down", name]);
    },
  };
}

async function openFirst(name: string, file: Kubeconfig): Promise<KubeClient> {
  const options = { clock: systemClock, random: systemRandom(), isTerminal: false, env: {} };
  return (await openContext(name, file.contexts[0]?.name ?? "", file, options)).client;
}

export interface Account {
  /** Of the ServiceAccount. */
  readonly token: string;
  /** Takes away what of its rights belongs to no namespace; the rest goes with the namespace. */
  remove(): Promise<void>;
}

/** Makes a ServiceAccount that may do what `rights` (as `slipway rights` prints them for it) say, and nothing else. */
export async function makeAccount(
  admin: KubeClient,
  {
    namespace,
    name,
    rights,
  }: {
    readonly namespace: string;
    readonly name: string;
    readonly rights: readonly AnyObject[];
  },
): Promise<Account> {
  await admin.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } });
  for (const manifest of rights) await admin.apply(manifest, { fieldManager: "test", force: true });
  const secret = `${name}-account`;
  const annotations = { "kubernetes.io/service-account.name": name };
  await admin.create({
    ...{ apiVersion: "v1", kind: "Secret", metadata: { name: secret, namespace, annotations } },
    type: "kubernetes.io/service-account-token",
  } as Secret);
  const token = await until(
    "the token is made",
    async () =>
      (await admin.get<Secret>({ apiVersion: "v1", kind: "Secret", namespace, name: secret })).data?.[
        "token"
      ],
    { timeoutMs: 60_000 },
  );
  return {
    token: Buffer.from(token, "base64").toString(),
    remove: async () => {
      for (const { apiVersion, kind, metadata } of rights) {
        if (metadata.namespace !== undefined) continue;
        await admin.delete({ apiVersion, kind, name: metadata.name }).catch(() => undefined);
      }
    },
  };
}

/**
 * A client of the cluster that this KUBECONFIG file leads to, in the name of an account. An API server may refuse a token
 * for a moment that it has just made: it looks for it in a cache of its own.
 */
export async function openAs(name: string, kubeconfig: string, { token }: Account): Promise<KubeClient> {
  const file = readKubeconfig({ KUBECONFIG: kubeconfig });
  const users = file.users.map((user) => ({ name: user.name, file: user.file, token }));
  const client = await openFirst(name, { ...file, users });
  const isAccepted = (): Promise<true | undefined> =>
    client.version().then(
      () => true,
      (error: unknown) => {
        if (error instanceof StatusError && error.httpCode === 401) return undefined;
        throw error;
      },
    );
  await until("the token is accepted", isAccepted, { timeoutMs: 60_000 });
  return client;
}
