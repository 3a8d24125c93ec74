/**
 * Where a story takes place. The six stories of a release (`commit.ts`, `bad-image.ts`, …) know only this: a project
 * with the real command line, clusters that can be looked into and lost, a registry that can go down. What stands
 * behind is a `Ground`: the embedded world (`embedded-place.ts`) or a real Kubernetes (`real-place.ts`).
 *
 * One place serves all stories of a file, because clusters start slowly: `begin` gives each a service and a namespace of
 * its own, so that none meets the releases of another.
 */
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemRandom } from "@slipway/base";
import type { KubeClient } from "@slipway/kube";
import { type Registry, startRegistry } from "../packages/slipway/src/images/registry/registry.ts";
import { type CommandLine, commandLine, emptyProject, type Project, root } from "./testing.ts";

/** Who runs the pods: our node agent, a real kubelet, or nobody (the hollow kubelet only says so). */
export type Pods = "sandboxed" | "real" | "hollow";

export interface PlaceCluster {
  readonly name: string;
  readonly pods: Pods;
  /** An administrator's, for looking at the truth. What the command line uses is another. */
  readonly client: KubeClient;
}

export interface Ground {
  /** Shown with every result. */
  readonly title: string;
  readonly environment: string;
  readonly registryPort: number;
  /** `local()` or `context("…")`, by the cluster's name, in the order of the waves. */
  readonly clusters: Readonly<Record<string, string>>;
  /** More of the environment, and of the configuration around it. */
  readonly settings: { readonly environment: string; readonly top: string };
  /** Makes the clusters ready for this service, after its files are written and before its first command. */
  enter(project: Project, service: string): Promise<void>;
  /** The same answer each time, once `enter` has run; `remove` closes its client. */
  look(cluster: string): Promise<PlaceCluster>;
  /** A KUBECONFIG with one context for each cluster, named like it, for whoever has only a configuration. */
  kubeconfig(): Promise<string>;
  lose(cluster: string): Promise<void>;
  bringBack(cluster: string): Promise<void>;
  /** This version is broken: for pods that run nothing and must be told. */
  breaks?(tag: string): void;
  remove(): Promise<void>;
}

export interface StorySettings {
  /** Default 1s. */
  readonly bake?: string;
}

export interface Place extends Omit<CommandLine, "killAll"> {
  readonly title: string;
  readonly project: Project;
  /** The service of this story, and its namespace. */
  readonly service: string;
  /** The first is the first wave, the others are the second. */
  readonly clusters: readonly PlaceCluster[];
  /** A fresh service, committed as v1 and not yet shipped. */
  begin(story: string, settings?: StorySettings): Promise<void>;
  /** Another person in the same project. */
  as(who: string): CommandLine;
  /** Another machine, with nothing but a configuration that names the clusters; Slack does not answer there. */
  elsewhere(who: string): Promise<CommandLine>;
  /** Commits a version; returns the tag that its image will have. */
  commit(version: string): Promise<string>;
  /** Commits a version whose process ends with this error as soon as it starts. */
  commitBroken(version: string, error: string): Promise<string>;
  commitSettings(greeting: string, secret: Buffer): Promise<void>;
  /** Away for the command line, in the middle of whatever it does. */
  lose(cluster: string): Promise<void>;
  bringBack(cluster: string): Promise<void>;
  takeRegistryDown(): Promise<void>;
  bringRegistryBack(): Promise<void>;
  remove(): Promise<void>;
}

/** How many pods each cluster must always have ready. */
export const WANTED = 2;

export async function placeOn(open: (project: Project) => Promise<Ground>): Promise<Place> {
  const project = await emptyProject();
  const images = await mkdtemp(join(tmpdir(), "slipway-place-"));
  const others: { readonly line: CommandLine; readonly folder?: string }[] = [];
  const clusters: PlaceCluster[] = [];
  const server = await (async () => {
    await project.git("init", "-q", "-b", "main");
    await cp(join(root, "examples/shop/web"), join(project.folder, "web"), { recursive: true });
    return project.read("web/server.mjs");
  })();
  const ground = await open(project);
  let registry: Registry | undefined;
  let port = ground.registryPort;
  const openRegistry = async (): Promise<void> => {
    registry = await startRegistry({ directory: images, port });
    port = registry.port;
  };
  const closeRegistry = async (): Promise<void> => {
    await registry?.close();
    registry = undefined;
  };
  await openRegistry();
  const withEnvironment = (line: Omit<CommandLine, "killAll">) => {
    // A story tells of releases: what is broken must reach a cluster, and is not tried in another one before.
    const all = (args: readonly string[]) => [
      ...args,
      ...(args[0] === "ship" ? ["--skip-cluster"] : []),
      ...["--env", ground.environment],
    ];
    return {
      slipway: (...args: readonly string[]) => line.slipway(...all(args)),
      ok: (...args: readonly string[]) => line.ok(...all(args)),
      fails: (code: number, ...args: readonly string[]) => line.fails(code, ...all(args)),
      start: (...args: readonly string[]) => line.start(...all(args)),
      startUntil: (printed: string, ...args: readonly string[]) => line.startUntil(printed, ...all(args)),
    };
  };
  const person = (folder: string, env: Readonly<Record<string, string>>, isGuest: boolean): CommandLine => {
    const line = commandLine(folder, env);
    others.push(isGuest ? { line, folder } : { line });
    return { ...withEnvironment(line), killAll: line.killAll };
  };
  const commit = async (message: string): Promise<string> => {
    await project.git("add", "-A");
    await project.git("commit", "-q", "--allow-empty", "-m", message);
    return (await project.git("rev-parse", "HEAD")).slice(0, 12);
  };
  let service = "";
  const place: Place = {
    title: ground.title,
    project,
    get service() {
      return service;
    },
    clusters,
    ...withEnvironment(project),
    async begin(story, settings = {}) {
      service = `${story}-${systemRandom().name(5)}`;
      const names = Object.keys(ground.clusters);
      const described = Object.entries(ground.clusters).map(([name, text]) => `${name}: ${text}`);
      await project.write(
        "slipway.config.ts",
        configOf({ service, ground, clusters: described, names, port, bake: settings.bake ?? "1s" }),
      );
      await project.write("web/server.mjs", server);
      await project.write("web/release.txt", "v1\n");
      await project.write("k8s/web.yaml", WEB);
      await place.commitSettings("hello", Buffer.from("first"));
      await ground.enter(project, service);
      clusters.splice(0, clusters.length, ...(await Promise.all(names.map(ground.look))));
    },
    as: (who) => person(project.folder, { ...project.env, SLIPWAY_WHO: who }, false),
    async elsewhere(who) {
      const folder = await mkdtemp(join(tmpdir(), "slipway-elsewhere-"));
      const names = Object.keys(ground.clusters);
      const described = names.map((name) => `${name}: context("${name}")`);
      await writeFile(
        join(folder, "slipway.config.ts"),
        configOf({
          service,
          ground: { ...ground, settings: NOTHING_MORE },
          clusters: described,
          names,
          port,
        }),
      );
      const kubeconfig = await ground.kubeconfig();
      return person(folder, { SLIPWAY_WHO: who, KUBECONFIG: kubeconfig, SLACK_WEBHOOK_URL: NOBODY }, true);
    },
    async commit(version) {
      await project.write("web/server.mjs", server);
      await project.write("web/release.txt", `${version}\n`);
      return commit(version);
    },
    async commitBroken(version, error) {
      await project.write("web/server.mjs", `throw new Error(${JSON.stringify(error)});\n${server}`);
      await project.write("web/release.txt", `${version}\n`);
      const tag = await commit(version);
      ground.breaks?.(tag);
      return tag;
    },
    async commitSettings(greeting, secret) {
      await project.write("k8s/settings.yaml", settingsOf(greeting, secret));
      await commit(`settings: ${greeting}`);
    },
    lose: (cluster) => ground.lose(cluster),
    bringBack: (cluster) => ground.bringBack(cluster),
    takeRegistryDown: closeRegistry,
    bringRegistryBack: openRegistry,
    async remove() {
      for (const { line, folder } of others) {
        line.killAll();
        if (folder !== undefined) await rm(folder, { recursive: true, force: true });
      }
      await ground.remove();
      await project.remove();
      await closeRegistry();
      await rm(images, { recursive: true, force: true });
    },
  };
  return place;
}

/** Port 9 (discard) is closed on every machine of today. */
const NOBODY = "http://127.0.0.1:9/slack";
const NOTHING_MORE = { environment: "", top: "" };

function configOf(input: {
  readonly service: string;
  readonly ground: Pick<Ground, "environment" | "settings">;
  readonly clusters: readonly string[];
  readonly names: readonly string[];
  readonly port: number;
  readonly bake?: string;
}): string {
  const { service, ground, names } = input;
  const [first, ...others] = names;
  const waves = JSON.stringify(others.length === 0 ? [[first]] : [[first], others]);
  return `import { context, defineConfig, local, service } from "slipway";

export default defineConfig({
  name: "${service}",
  observe: false,
  images: { web: { context: "web" } },
  manifests: ["k8s/"],
  environments: {
    ${ground.environment}: {
      clusters: { ${input.clusters.join(", ")} },
      namespace: "${service}",
      registry: "localhost:${input.port}/stories",
      ${ground.settings.environment}
    },
  },
  release: { waves: ${waves}, bake: "${input.bake ?? "1s"}", unreachableAfter: "5s" },
  notify: { slack: { channel: "#deploys" } },
  ${ground.settings.top}
});
`;
}

const settingsOf = (greeting: string, secret: Buffer): string => `apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data:
  greeting: ${JSON.stringify(greeting)}
---
apiVersion: v1
kind: Secret
metadata: { name: payment }
data:
  key: ${secret.toString("base64")}
`;

/** One surge pod at a time and never one less than wanted; a broken image must cost no capacity. */
const WEB = `apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: http }]
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: ${WANTED}
  minReadySeconds: 1
  progressDeadlineSeconds: 120
  selector: { matchLabels: { app: web } }
  strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 5
      containers:
        - name: web
          image: web
          ports: [{ name: http, containerPort: 8080 }]
          envFrom: [{ configMapRef: { name: settings } }]
          volumeMounts: [{ name: payment, mountPath: /etc/payment, readOnly: true }]
          resources: { requests: { cpu: 10m, memory: 32Mi }, limits: { memory: 256Mi } }
          readinessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 1, timeoutSeconds: 5 }
      volumes: [{ name: payment, secret: { secretName: payment } }]
`;
