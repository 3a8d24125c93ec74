/**
 * `startCluster()`: a Kubernetes-compatible cluster inside this process; the only file that joins server, drive,
 * runtimes and network. Useful alone, as a test cluster:
 *
 * @example
 * const cluster = await startCluster({ name: "test" });
 * await cluster.client.create(deployment);
 * execSync("kubectl get pods", { env: { ...process.env, KUBECONFIG: cluster.kubeconfigPath } });
 * await cluster.stop();
 */
import type { Duplex } from "node:stream";
import type { Clock } from "@slipway/base";
import type { KubeClient, Quantity, Store } from "@slipway/kube";
import type { ImageSource } from "./runtimes/runtime.ts";

export interface ClusterOptions {
  readonly name: string;
  /** Where objects, logs and image layers are kept. Without it the cluster lives in memory and a temporary folder. */
  readonly directory?: string;
  /** Port of the API server on 127.0.0.1; 0 (default) takes a free one. */
  readonly port?: number;
  /** `auto` is sandbox where this system can, else an error that says what is missing. Default `simulated`. */
  readonly runtime?: "auto" | "sandbox" | "simulated";
  /** Unpacked layers are shared between the clusters of one world when they name the same folder. */
  readonly layersDirectory?: string;
  readonly images?: ImageSource;
  /** Service names that pods may reach outside the cluster: `{ db: "localhost:5432" }`, in namespace `default`. */
  readonly egress?: Readonly<Record<string, string>>;
  /** Pod addresses, a /16; default 10.244.0.0/16. Two clusters may use the same. Services use 10.96.0.0/16. */
  readonly podCIDR?: string;
  readonly nodes?: readonly {
    readonly name: string;
    readonly capacity?: Readonly<Record<string, Quantity>>;
    readonly labels?: Readonly<Record<string, string>>;
  }[];
  /** Bearer token of the administrator; a random one by default. Kept in `directory`. */
  readonly token?: string;
  readonly clock?: Clock;
}

export interface Cluster {
  readonly name: string;
  /** https://127.0.0.1:PORT */
  readonly url: string;
  readonly token: string;
  /** PEM of the cluster's own certificate authority. */
  readonly ca: string;
  readonly runtime: string;
  readonly store: Store;
  /** Memory client over the same API the server answers with. */
  readonly client: KubeClient;
  /** kubeconfig YAML with one context named like the cluster. */
  kubeconfig(): string;
  /** A connected stream to `podIP:port`. */
  dial(podIP: string, port: number, options?: { readonly timeoutMs?: number }): Promise<Duplex>;
  /** For fault tests: closes the API server and kills the node agent with SIGKILL, as a lost region would. */
  lose(): Promise<void>;
  /** The node agent's process id; undefined for runtimes without one. */
  readonly agentPid: number | undefined;
  stop(): Promise<void>;
}
