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
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { arch, release, tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import {
  type Clock,
  readTextIfExists,
  SlipwayError,
  systemClock,
  systemCode,
  systemRandom,
  until,
  writeAtomic,
} from "@slipway/base";
import {
  type Api,
  bootstrapCluster,
  createApi,
  createMemoryClient,
  KUBERNETES_VERSION,
  type KubeClient,
  type Node,
  openStore,
  type Quantity,
  type Store,
} from "@slipway/kube";
import { allControllers } from "./controllers/all.ts";
import { createDriver } from "./drive/driver.ts";
import { ensureEgressServices } from "./egress.ts";
import { createKubelet, type Kubelet } from "./kubelet/kubelet.ts";
import type { NodeFacts } from "./kubelet/node-facts.ts";
import { RuntimePodAccess } from "./pod-access.ts";
import { followRoutes } from "./routes.ts";
import type { ImageSource, PodRuntime } from "./runtimes/runtime.ts";
import type { SandboxRuntime } from "./runtimes/sandbox/sandbox.ts";
import type { Behaviours } from "./runtimes/simulated/behaviour.ts";
import { createSimulatedRuntime } from "./runtimes/simulated/runtime.ts";
import { createAccountTokens } from "./server/account-tokens.ts";
import { ensureCertificates } from "./server/certificate.ts";
import { kubeconfig } from "./server/kubeconfig.ts";
import { type ApiServer, createApiServer } from "./server/server.ts";
import { createUsage } from "./usage.ts";

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
  /** What simulated containers do, by image; see `runtimes/simulated/behaviour.ts`. */
  readonly behaviours?: Behaviours;
  /** How long a silent node counts as healthy. Default 40 s. */
  readonly nodeMonitorGraceMs?: number;
  /** Told of bugs inside the cluster; the default is a process warning. */
  readonly onError?: (error: unknown) => void;
}

export interface Cluster {
  readonly name: string;
  /** https://127.0.0.1:PORT */
  readonly url: string;
  readonly token: string;
  /** PEM of the cluster's own certificate authority. */
  readonly ca: string;
  readonly runtime: string;
  /** The runtime of its pods, for looking into them from this machine; undefined where nothing really runs. */
  readonly sandbox: SandboxRuntime | undefined;
  readonly store: Store;
  /** Memory client over the same API the server answers with. */
  readonly client: KubeClient;
  /** kubeconfig YAML with one context named like the cluster. */
  kubeconfig(): string;
  /** The same in a file, for KUBECONFIG. */
  readonly kubeconfigPath: string;
  /** A connected stream to `podIP:port`. */
  dial(podIP: string, port: number, options?: { readonly timeoutMs?: number }): Promise<Duplex>;
  /** For fault tests: closes the API server and kills the node agent with SIGKILL, as a lost region would. */
  lose(): Promise<void>;
  /** The node agent's process id; undefined for runtimes without one. */
  readonly agentPid: number | undefined;
  stop(): Promise<void>;
}

/** Nothing enforces these; they are the same on every machine, so that a laptop and CI schedule alike. */
const DEFAULT_CAPACITY: Readonly<Record<string, Quantity>> = { cpu: "8", memory: "32Gi", pods: "110" };
const DEFAULT_POD_CIDR = "10.244.0.0/16";

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const clock = options.clock ?? systemClock;
  const onError = options.onError ?? ((error: unknown) => process.emitWarning(error as Error));
  const cleanup = new Cleanup();
  try {
    const directory = options.directory ?? (await temporaryDirectory(options.name, cleanup));
    await mkdir(directory, { recursive: true });
    const token = await ensureToken(directory, options.token);
    const certificates = await ensureCertificates({ name: options.name, directory, now: clock.now() });
    const { ca } = certificates;

    const store = openStore(join(directory, "store"));
    cleanup.add(() => store.close());
    const random = systemRandom();
    const api = createApi({ store, now: () => clock.now(), random, rootCertificate: ca });
    bootstrapCluster(api);
    ensureEgressServices(api, options.egress ?? {});

    const runtime = await openRuntime(options, directory, clock);
    cleanup.add(() => runtime.close());
    const routes = followRoutes(store, runtime, onError);

    const { nodeMonitorGraceMs } = options;
    const controllers = allControllers(nodeMonitorGraceMs === undefined ? {} : { nodeMonitorGraceMs });
    const driver = createDriver({ api, controllers, clock, onError });
    const nodes = nodeFacts(options, runtime);
    removeOtherNodes(api, nodes);
    const accounts = createAccountTokens(token);
    const account = { ca, tokenOf: accounts.tokenOf };
    const kubelets = nodes.map((node) => createKubelet({ api, runtime, clock, node, account, onError }));
    connectRuntime(runtime, kubelets, onError);
    runtime.onLost(() => routes.close());
    const halt = (): void => {
      for (const kubelet of kubelets) kubelet.stop();
      driver.stop();
      routes.close();
    };
    cleanup.add(halt);
    // The nodes report first, so that nothing that a crash left behind is taken for running by a controller.
    for (const kubelet of kubelets) kubelet.start();
    driver.start();

    const access = new RuntimePodAccess({ store, runtime, clock });
    const client = createMemoryClient({
      name: options.name,
      api,
      pods: {
        logs: (pod, logs) => access.logs(pod, logs),
        exec: (pod, exec) => access.run(pod, exec),
        portForward: (pod, port) => access.portForward(pod, port),
      },
      gitVersion: KUBERNETES_VERSION,
      sleep: (ms, signal) => clock.sleep(ms, signal),
    });
    cleanup.add(() => client.close());

    const server = await openServer(directory, options.port ?? 0, (port) =>
      createApiServer({
        ...{ api, name: options.name, certificates, port, token, accounts, clock, pods: access },
        usage: createUsage(() => runtime.usage(), clock),
      }),
    );
    cleanup.add(() => server.close());
    const { url } = server;
    routes.reachApiServer({ host: "127.0.0.1", port: server.port });
    const rendered = kubeconfig({ name: options.name, url, ca, token });
    const kubeconfigPath = join(directory, "kubeconfig");
    await writeAtomic(kubeconfigPath, rendered, 0o600);
    await nodesReady(store, clock);

    return {
      name: options.name,
      url,
      token,
      ca,
      runtime: runtime.name,
      sandbox: "pidOf" in runtime ? (runtime as SandboxRuntime) : undefined,
      store,
      client,
      kubeconfig: () => rendered,
      kubeconfigPath,
      dial: (podIP, port, dialOptions) => runtime.dial(podIP, port, dialOptions),
      agentPid: agentPidOf(runtime),
      async lose() {
        // All in one turn: a lost region neither tidies up nor reports what it lost.
        halt();
        const agentPid = agentPidOf(runtime);
        if (agentPid !== undefined) kill(agentPid);
        await cleanup.run();
      },
      stop: () => cleanup.run(),
    };
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

/** Nodes of an earlier setting have nobody to report for them; their pods are then swept away and made anew. */
function removeOtherNodes(api: Api, nodes: readonly NodeFacts[]): void {
  for (const { metadata } of api.store.list("Node")) {
    if (nodes.some(({ name }) => name === metadata.name)) continue;
    api.delete({ apiVersion: "v1", kind: "Node", name: metadata.name });
  }
}

/** Not for the controllers to be idle: some object of an earlier run may be refused for ever. */
async function nodesReady(store: Store, clock: Clock): Promise<void> {
  const isReady = ({ spec, status }: Node): boolean =>
    status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true &&
    spec?.taints?.some(({ key }) => key.startsWith("node.kubernetes.io/not-ready")) !== true;
  await until("all nodes to be Ready", () => store.list("Node").every(isReady), { clock, everyMs: 1 });
}

/** What has been opened, closed in reverse order, once; a step that fails does not keep the others from closing. */
class Cleanup {
  readonly #steps: (() => unknown)[] = [];
  #running: Promise<void> | undefined;

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  run(): Promise<void> {
    this.#running ??= this.#runAll();
    return this.#running;
  }

  async #runAll(): Promise<void> {
    const errors: unknown[] = [];
    for (const step of this.#steps.reverse()) {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

async function temporaryDirectory(name: string, cleanup: Cleanup): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `slipway-${name}-`));
  cleanup.add(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A kubeconfig that was handed out stays valid over restarts: the first token is kept. */
async function ensureToken(directory: string, given: string | undefined): Promise<string> {
  const path = join(directory, "token");
  const kept = given ?? (await readTextIfExists(path));
  if (kept !== undefined && given === undefined) return kept;
  const token = given ?? randomBytes(24).toString("base64url");
  await writeAtomic(path, token, 0o600);
  return token;
}

/**
 * A free port is remembered and taken again after a restart, so that kubeconfigs and kubectl's cache of what this
 * address serves stay true. If someone else has it by then, another free one does.
 */
async function openServer(
  directory: string,
  port: number,
  open: (port: number) => Promise<ApiServer>,
): Promise<ApiServer> {
  if (port !== 0) return open(port);
  const path = join(directory, "port");
  const kept = Number(await readTextIfExists(path));
  if (kept > 0) {
    try {
      return await open(kept);
    } catch (error) {
      if (!(error instanceof SlipwayError) || error.code !== "CLUSTER_PORT_TAKEN") throw error;
    }
  }
  const server = await open(0);
  await writeAtomic(path, String(server.port));
  return server;
}

type AnyRuntime = PodRuntime & { readonly agentPid?: number };

async function openRuntime(options: ClusterOptions, directory: string, clock: Clock): Promise<AnyRuntime> {
  const kind = options.runtime ?? "simulated";
  const podCIDR = options.podCIDR ?? DEFAULT_POD_CIDR;
  if (kind === "simulated") {
    const behaviours = options.behaviours === undefined ? {} : { behaviours: options.behaviours };
    return createSimulatedRuntime({ clock, podCIDR, ...behaviours });
  }
  if (options.images === undefined) {
    throw new SlipwayError({
      code: "CLUSTER_NO_IMAGES",
      where: `clusters/${options.name}`,
      message: "the sandbox runtime has no source of images",
      hint: "Pass `images` to startCluster, or use the simulated runtime.",
      exitCode: 2,
    });
  }
  // Loaded when first used: a simulated cluster needs none of it. It says itself what a system lacks.
  const { createSandboxRuntime } = await import("./runtimes/sandbox/sandbox.ts");
  return createSandboxRuntime({
    name: options.name,
    directory: join(directory, "sandbox"),
    layersDirectory: options.layersDirectory ?? join(directory, "layers"),
    images: options.images,
    podCIDR,
    clock,
  });
}

/** One runtime serves all nodes of a cluster; each kubelet knows its own pods by their uid. */
function connectRuntime(
  runtime: PodRuntime,
  kubelets: readonly Kubelet[],
  onError: (error: unknown) => void,
): void {
  const each = (tell: (kubelet: Kubelet) => void): void => {
    for (const kubelet of kubelets) {
      try {
        tell(kubelet);
      } catch (error) {
        onError(error);
      }
    }
  };
  runtime.onExit((exit) => each((kubelet) => kubelet.containerExited(exit)));
  runtime.onEvent((event) => each((kubelet) => kubelet.runtimeEvent(event)));
  runtime.onLost((reason) => each((kubelet) => kubelet.lost(reason)));
}

function nodeFacts(options: ClusterOptions, runtime: PodRuntime): readonly NodeFacts[] {
  const nodes = options.nodes ?? [{ name: `${options.name}-1` }];
  const architecture = arch() === "x64" ? "amd64" : arch();
  return nodes.map(({ name, capacity, labels }, index) => ({
    name,
    // Nothing is reachable at it: nodes of a local cluster have no network of their own.
    address: `172.30.0.${index + 2}`,
    capacity: { ...DEFAULT_CAPACITY, ...capacity },
    labels: labels ?? {},
    podCIDR: options.podCIDR ?? DEFAULT_POD_CIDR,
    nodeInfo: {
      architecture,
      bootID: "",
      containerRuntimeVersion: `${runtime.name}://0.1.0`,
      kernelVersion: release(),
      kubeProxyVersion: KUBERNETES_VERSION,
      kubeletVersion: KUBERNETES_VERSION,
      machineID: "",
      operatingSystem: "linux",
      osImage: "Slipway",
      systemUUID: "",
    },
  }));
}

function agentPidOf(runtime: AnyRuntime): number | undefined {
  return runtime.agentPid;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (systemCode(error) !== "ESRCH") throw error;
  }
}
