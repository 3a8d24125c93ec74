/** Builders for the tests of this folder: everything defaulted, only what a test is about is said. */
import { type Clock, seededRandom, systemClock } from "@slipway/base";
import type { Behaviours, Cluster } from "@slipway/cluster";
import { bootstrapCluster, createApi, createMemoryClient, createStore, type KubeClient } from "@slipway/kube";
import { type PreflightSeverities, preflightChecks, preflightCodes } from "../config/preflight-checks.ts";
import type { ReleaseEvent } from "./events.ts";
import { parseManifest } from "./manifests/manifests.ts";
import { renderObjects } from "./manifests/render.ts";
import type { ReleaseContext, ReleaseImage, ReleaseRecord, RenderedRelease, Target } from "./model.ts";

/** `sha256:` of the same letter, so that a test can tell images apart at a glance. */
export function image(name: string, tag: string): ReleaseImage {
  const digest = `sha256:${[...`${name}${tag}`]
    .map((letter) => letter.charCodeAt(0).toString(16))
    .join("")
    .padEnd(64, "0")
    .slice(0, 64)}`;
  return { name, digest, reference: `registry.test/${name}:${tag}@${digest}` };
}

export function webManifest(
  options: {
    readonly replicas?: number;
    readonly setting?: string;
    readonly extra?: string;
    readonly name?: string;
  } = {},
): string {
  const name = options.name ?? "web";
  return `
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { greeting: "${options.setting ?? "hello"}" }
---
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  selector: { app: ${name} }
  ports: [{ port: 80 }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: ${options.replicas ?? 2}
  selector: { matchLabels: { app: ${name} } }
  strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: web
          ports: [{ containerPort: 80 }]
          envFrom: [{ configMapRef: { name: settings } }]
${options.extra ?? ""}`;
}

/** The Job of a hook: it reads the settings of `webManifest`. */
export const MIGRATION = `
apiVersion: batch/v1
kind: Job
metadata: { name: migrate }
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - { name: migrate, image: migrate, envFrom: [{ configMapRef: { name: settings } }] }
`;

export function rendered(
  tag: string,
  options: Parameters<typeof webManifest>[0] & { readonly manifest?: string; readonly service?: string } = {},
): RenderedRelease {
  return renderObjects({
    service: options.service ?? "shop",
    namespace: "default",
    loaded: parseManifest(options.manifest ?? webManifest(options), "k8s/web.yaml"),
    patches: [],
    images: [image("web", tag)],
    version: { commit: `${tag}0000000`, message: `ship ${tag}`, author: "Aki", dirty: false },
  });
}

/** The record of a release of the service `shop` to one cluster, `tokyo`, which is healthy. */
export function recordOf(number: number, changes: Partial<ReleaseRecord> = {}): ReleaseRecord {
  const { version, images, objects, content } = rendered("v1");
  return {
    number,
    service: "shop",
    namespace: "default",
    environment: "test",
    kind: "deploy",
    outcome: "healthy",
    version,
    images,
    objects,
    content,
    waves: [["tokyo"]],
    clusters: { tokyo: { verdict: "healthy", step: "done", runs: number } },
    who: "aki",
    from: "test",
    startedAt: number,
    held: [],
    evidence: [],
    fence: 1,
    revision: 1,
    ...changes,
  };
}

/**
 * A time that only `tell` brings to its end: for what a test must see going on, however long that takes on a busy machine. A
 * simulated container with it as `exitAfterMs` runs until then, and ends at once when it is started again.
 */
export const UNTIL_TOLD_MS = 123_456_789;

export function tellingClock(): { readonly clock: Clock; readonly tell: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const told = async (signal: AbortSignal | undefined): Promise<void> => {
    signal?.throwIfAborted();
    const stopped = new Promise<never>((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    await Promise.race([promise, stopped]);
  };
  const sleep: Clock["sleep"] = (ms, signal) =>
    ms === UNTIL_TOLD_MS ? told(signal) : systemClock.sleep(ms, signal);
  return { clock: { ...systemClock, sleep }, tell: resolve };
}

/** What the simulated containers do, by the tag of their image. */
export const behaviours: Behaviours = [
  {
    image: "*:crash@*",
    behaviour: { startMs: 5, exitAfterMs: 10, exitCode: 3, log: ["cannot find module ./db"] },
  },
  {
    image: "*:gone@*",
    behaviour: { refusal: { reason: "ErrImagePull", message: "manifest unknown: not found" } },
  },
  { image: "*", behaviour: { startMs: 5 } },
];

export const NO_ADVICE: PreflightSeverities = {
  ...Object.fromEntries(
    preflightCodes.filter((code) => preflightChecks[code].inRollback === "off").map((code) => [code, "off"]),
  ),
  CAPACITY_UNKNOWN: "off",
};

export function contextOf(targets: readonly Target[], changes: Partial<ReleaseContext> = {}): ReleaseContext {
  return {
    service: "shop",
    namespace: "default",
    environment: "test",
    targets,
    clock: systemClock,
    random: seededRandom(1),
    // The manifests of most tests are as short as they can be; what preflight says of them is not what is tested.
    preflight: NO_ADVICE,
    who: "aki",
    from: "test",
    host: "laptop",
    pid: 4711,
    release: {
      waves: targets.map((target) => [target.name]),
      bakeMs: 50,
      onFailure: "rollback-all",
      keep: 20,
    },
    ...changes,
  };
}

export function targetsOf(clusters: readonly Cluster[]): readonly Target[] {
  return clusters.map((cluster) => ({ name: cluster.name, client: cluster.client }));
}

export function recordEvents(): {
  readonly events: ReleaseEvent[];
  readonly onEvent: (event: ReleaseEvent) => void;
} {
  const events: ReleaseEvent[] = [];
  return { events, onEvent: (event) => events.push(event) };
}

let clusters = 0;

/** One cluster's API without controllers: what is written stays as it is. */
export function apiClient(name = "tokyo", clock: Clock = systemClock): KubeClient {
  const store = createStore();
  // A seed of its own for each: two clusters with the same UIDs would be one.
  clusters += 1;
  const api = createApi({ store, now: () => clock.now(), random: seededRandom(clusters) });
  bootstrapCluster(api);
  return createMemoryClient({ name, api });
}

/** Calls pass while `gate` lets them; the gate may throw, or never return. */
export function gated(client: KubeClient, gate: (write: boolean) => Promise<void>): KubeClient {
  const pass =
    <A extends unknown[], R>(write: boolean, call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await gate(write);
      return call(...args);
    };
  return {
    ...client,
    version: pass(false, client.version),
    get: pass(false, client.get) as KubeClient["get"],
    list: pass(false, client.list) as KubeClient["list"],
    create: pass(true, client.create) as KubeClient["create"],
    replace: pass(true, client.replace) as KubeClient["replace"],
    patch: pass(true, client.patch) as KubeClient["patch"],
    apply: pass(true, client.apply) as KubeClient["apply"],
    delete: pass(true, client.delete),
  };
}

/**
 * The context of a process that is killed before its n-th write, or by `kill()`: from then on nothing of it happens
 * any more. Its timers do not keep this test alive.
 */
export function dyingContext(
  context: ReleaseContext,
  writes = Number.POSITIVE_INFINITY,
): { context: ReleaseContext; died: () => boolean; kill: () => void } {
  let count = 0;
  let isDead = false;
  const gate = async (write: boolean): Promise<void> => {
    if (write) count += 1;
    if (count > writes) isDead = true;
    if (isDead) await new Promise<never>(() => undefined);
  };
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const wake = (): void => {
          if (!isDead) resolve();
        };
        setTimeout(wake, ms).unref();
        signal?.addEventListener("abort", () => (isDead ? undefined : reject(signal.reason)), { once: true });
      }),
  };
  const targets = context.targets.map(({ name, client }) => ({ name, client: gated(client, gate) }));
  return {
    context: { ...context, targets, clock },
    died: () => isDead,
    kill: () => {
      isDead = true;
    },
  };
}
