/**
 * The places in clusters that checks ask for: an embedded cluster made for the run, or a namespace of its own in a
 * context of the kubeconfig, both with the project's manifests; or a namespace that is there and is only looked at.
 */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  isProcessAlive,
  type ProcessIdentity,
  readTextIfExists,
  SlipwayError,
  systemProcesses,
} from "@slipway/base";
import type { AnyObject, KubeClient } from "@slipway/kube";
import type { BuiltImage } from "../images/image.ts";
import { FIELD_MANAGER } from "../release/apply/apply.ts";
import { plainNameOf } from "../release/manifests/config-names.ts";
import { renderRelease } from "../release/manifests/render.ts";
import { isClusterScoped } from "../release/manifests/scope.ts";
import { discoveryOf, servedObject } from "../release/manifests/served.ts";
import type { ClusterPlace } from "../verify/check.ts";
import { openNamespace, sweepNamespaces } from "../verify/cluster/namespace.ts";
import { type ClusterProjectOptions, openClusterProject } from "../verify/cluster/project.ts";
import type { ClusterRunner, OpenedPlace } from "../verify/observe/cluster-run.ts";
import type { CliContext } from "./command.ts";
import type { Project } from "./project.ts";
import type { BuildRecord } from "./steps.ts";

/** After this anybody may remove what a run left; no run takes so long. */
const TTL_MS = 3_600_000;
const REMOVE_WITHIN_MS = 120_000;

interface Base {
  readonly client: KubeClient;
  readonly title: string;
  readonly images: readonly BuiltImage[];
  readonly looks?: ClusterProjectOptions["looks"];
  close(): Promise<void>;
}

export function clusterRunner(context: CliContext, project: Project, record: BuildRecord): ClusterRunner {
  return {
    open: async (place, signal) => {
      const base =
        place.context === undefined
          ? await openEmbedded(context, project, record)
          : await openKubeconfig(context, place.context, record, place.namespace === undefined);
      try {
        signal?.throwIfAborted();
        return await openPlace(base, place, { context, project, record, signal });
      } catch (error) {
        await base.close();
        throw error;
      }
    },
  };
}

interface Run {
  readonly context: CliContext;
  readonly project: Project;
  readonly record: BuildRecord;
  readonly signal: AbortSignal | undefined;
}

async function openPlace(
  base: Base,
  place: ClusterPlace,
  { context, project, record, signal }: Run,
): Promise<OpenedPlace> {
  const { client } = base;
  const { clock } = context;
  const built = base.images.map(({ digest }) => digest);
  const projectIn = (namespace: string) => (services: readonly string[]) =>
    openClusterProject({
      client,
      clock,
      namespace,
      services,
      readyMs: place.readyMs,
      readyWhen: place.readyWhen,
      ...(base.looks === undefined ? {} : { looks: base.looks }),
    });
  if (place.namespace !== undefined) {
    const { namespace } = place;
    const where = `${base.title}, namespace ${namespace}`;
    return {
      client,
      namespace,
      where,
      built,
      appliedName: (_kind, name) => name,
      project: projectIn(namespace),
      close: () => base.close(),
    };
  }
  await sweepNamespaces(client, clock.now());
  const name = `${project.config.name.slice(0, 40)}-verify-${context.random.name(6)}`;
  const objects = await objectsFor(project, record, base.images, name);
  const namespace = await openNamespace({ client, name, ttlMs: TTL_MS, clock });
  const close = async (): Promise<void> => {
    // The embedded cluster ends with its namespaces; and nobody who interrupts a run waits until pods have ended.
    const isWaitedFor = place.context !== undefined && signal?.aborted !== true;
    const isGone = await namespace.remove(isWaitedFor ? REMOVE_WITHIN_MS : 0);
    await base.close();
    if (!isGone && isWaitedFor) throw stillEnding(base.title, name);
  };
  try {
    await applyAll(client, objects, place.context === undefined, signal);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    client,
    namespace: name,
    where: `${base.title}, namespace ${name}`,
    built,
    appliedName: (kind, plain) =>
      objects.find((one) => one.kind === kind && plainNameOf(one) === plain)?.metadata.name ?? plain,
    project: projectIn(name),
    close,
  };
}

/** What the manifests say, in the run's namespace. Hooks are a release's, and are not run. */
async function objectsFor(
  { config }: Project,
  { version }: BuildRecord,
  images: readonly BuiltImage[],
  namespace: string,
): Promise<readonly AnyObject[]> {
  const rendered = await renderRelease({ config: { ...config, namespace }, images, version });
  const own = rendered.objects.filter(
    ({ kind, metadata }) => !(kind === "Namespace" && metadata.name === config.namespace),
  );
  for (const { kind, metadata } of own) {
    const elsewhere = metadata.namespace !== undefined && metadata.namespace !== namespace;
    if (!isClusterScoped(kind) && !elsewhere) continue;
    throw new SlipwayError({
      code: "VERIFY_OBJECT_OUTSIDE",
      where: `${kind} ${metadata.name}`,
      message: elsewhere
        ? `is in namespace ${metadata.namespace}, and a run has one namespace of its own`
        : "belongs to the whole cluster, and would outlive a run in a namespace of its own",
      hint: "Check a namespace that is there: describeCluster({ context, namespace }, …).",
      exitCode: 2,
    });
  }
  return own;
}

/** `isEmbedded`: kinds that this cluster does not have are no part of what it can show. */
async function applyAll(
  client: KubeClient,
  objects: readonly AnyObject[],
  isEmbedded: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  const discovery = discoveryOf(client);
  for (const object of objects) {
    signal?.throwIfAborted();
    const served = await servedObject(discovery, object);
    if (isEmbedded && !(await discovery.serves(served.object))) continue;
    await client.apply(served.object, { fieldManager: FIELD_MANAGER, force: true });
  }
}

async function openKubeconfig(
  context: CliContext,
  name: string,
  record: BuildRecord,
  isApplied: boolean,
): Promise<Base> {
  const { readKubeconfig } = await import("../clusters/kubeconfig.ts");
  const { openContext } = await import("../clusters/context.ts");
  if (isApplied && record.isPushed !== true) {
    throw new SlipwayError({
      code: "IMAGE_NOT_PUSHED",
      where: `describeCluster({ context: "${name}" })`,
      message: "the images are not in a registry yet, so this cluster could not pull them",
      hint: "Run slipway push first.",
      exitCode: 2,
    });
  }
  const { client } = await openContext(name, name, readKubeconfig(context.env), context);
  return { client, title: `context ${name}`, images: record.images, close: () => client.close() };
}

/** A cluster in this process; its pods end with it, and what a killed run left is removed here. */
async function openEmbedded(context: CliContext, { paths }: Project, record: BuildRecord): Promise<Base> {
  const { startCluster } = await import("@slipway/cluster");
  const { ImageLayout } = await import("../images/layout.ts");
  const { createImageSource } = await import("../images/source.ts");
  const { podLooks } = await import("../verify/cluster/pod-looks.ts");
  const { clock } = context;
  const [first] = record.images;
  if (first === undefined) {
    throw new SlipwayError({
      code: "VERIFY_CLUSTER_NO_IMAGES",
      where: "images",
      message: "nothing was built that an embedded cluster could run",
      hint: "Name a context of your kubeconfig in describeCluster.",
      exitCode: 2,
    });
  }
  const directory = await runFolder(join(paths.root, "verify-clusters"));
  const cluster = await startCluster({
    name: "verify",
    directory,
    layersDirectory: paths.layers,
    runtime: "auto",
    images: createImageSource({
      layout: await ImageLayout.open(first.layout, { clock }),
      own: ["localhost"],
    }),
    clock,
  });
  return {
    client: cluster.client,
    title: "the embedded cluster",
    images: record.images.map((image) => ({
      ...image,
      reference: `localhost/${image.name}@${image.digest}`,
    })),
    ...(cluster.sandbox === undefined ? {} : { looks: podLooks(cluster.sandbox) }),
    close: async () => {
      await cluster.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

const OWNER = "owner.json";

/** A folder of this run; those of runs whose process is gone are removed. */
async function runFolder(root: string): Promise<string> {
  await mkdir(root, { recursive: true });
  for (const name of await readdir(root)) {
    const owner = await readTextIfExists(join(root, name, OWNER));
    if (owner !== undefined && isProcessAlive(JSON.parse(owner) as ProcessIdentity) !== false) continue;
    await rm(join(root, name), { recursive: true, force: true });
  }
  const { self } = systemProcesses();
  const folder = join(root, String(self.pid));
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  await writeFile(join(folder, OWNER), JSON.stringify(self));
  return folder;
}

function stillEnding(title: string, name: string): SlipwayError {
  return new SlipwayError({
    code: "VERIFY_NAMESPACE_ENDING",
    where: `${title}, namespace ${name}`,
    message: `is still being removed after ${REMOVE_WITHIN_MS / 1000} s`,
    hint: `See what holds it: kubectl get namespace ${name} -o yaml. The next run tries again.`,
    exitCode: 3,
  });
}
