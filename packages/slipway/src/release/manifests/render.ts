/**
 * From config and built images to what will be applied: read, patch, substitute, complete, put in order. The same
 * objects go to every cluster, so they are rendered once and stored once.
 *
 * The release's number is not part of them: it is known only under the lock, and a number in the pod template would
 * replace all pods although nothing changed. `apply.ts` stamps it on the objects' own annotations.
 */
import { createHash } from "node:crypto";
import { SlipwayError } from "@slipway/base";
import type { AnyObject, Container, PodSpec } from "@slipway/kube";
import type { Config } from "../../config/types.ts";
import type { BuiltImage } from "../../images/image.ts";
import { type LoadedHook, loadHooks, withJobs } from "../hooks/render-hooks.ts";
import type { ReleaseImage, RenderedRelease, VersionInfo } from "../model.ts";
import { canonicalJson, hashConfigNames } from "./config-names.ts";
import { substituteImages } from "./images.ts";
import {
  isKustomization,
  loadChart,
  loadKustomization,
  programRunner,
  type RunProgram,
  type Sourced,
} from "./manifest-programs.ts";
import { applyPatches, type LoadedObject, loadManifests, refuseDuplicates } from "./manifests.ts";
import { isClusterScoped } from "./scope.ts";
import { mapContainers, mapPodSpec } from "./workload.ts";

export const SERVICE_LABEL = "slipway.dev/service";
export const MANAGED_BY_LABEL = "app.kubernetes.io/managed-by";

/** Reads the manifests and patches of the config. Throws with the place of the first problem. */
export async function renderRelease(input: {
  readonly config: Config;
  readonly images: readonly BuiltImage[];
  readonly version: VersionInfo;
  /** How kustomize and helm are run. Default: as programs on PATH. */
  readonly run?: RunProgram | undefined;
}): Promise<RenderedRelease> {
  const { config } = input;
  const { loaded, warnings } = await loadSources(config, input.run ?? programRunner());
  const patches = await loadManifests(config.patches, config.root);
  if (loaded.length === 0) {
    throw new SlipwayError({
      code: "MANIFEST_NONE",
      where: "slipway.config.ts/manifests",
      message: "no Kubernetes objects found",
      hint: "Name files or folders with Kubernetes YAML (subfolders are not searched), a kustomization or a chart.",
      exitCode: 2,
    });
  }
  const rendered = renderObjects({
    service: config.name,
    namespace: config.namespace,
    loaded,
    patches,
    hooks: await loadHooks(config),
    images: input.images.map(pushed),
    version: input.version,
  });
  return { ...rendered, warnings: [...warnings, ...rendered.warnings] };
}

/** The objects of every source, in the order of the configuration. */
async function loadSources(config: Config, run: RunProgram): Promise<Sourced> {
  const sourced: Sourced[] = [];
  for (const source of config.manifests) {
    if (typeof source !== "string") {
      sourced.push(
        "kustomize" in source
          ? await loadKustomization(source.kustomize, config.root, run)
          : await loadChart(source, { service: config.name, namespace: config.namespace }, config.root, run),
      );
    } else if (await isKustomization(source)) {
      sourced.push(await loadKustomization(source, config.root, run));
    } else {
      sourced.push({ loaded: await loadManifests([source], config.root), warnings: [] });
    }
  }
  const loaded = sourced.flatMap((one) => one.loaded);
  refuseDuplicates(loaded, config.namespace);
  return { loaded, warnings: sourced.flatMap((one) => one.warnings) };
}

function pushed(image: BuiltImage): ReleaseImage {
  if (image.reference !== undefined) return { ...image, reference: image.reference };
  throw new SlipwayError({
    code: "IMAGE_NOT_PUSHED",
    where: `images/${image.name}`,
    message: "was built but not pushed, so no cluster could pull it",
    hint: "Run slipway push, or slipway ship, which does all steps.",
  });
}

/** The pure part of `renderRelease`. */
export function renderObjects(input: {
  readonly service: string;
  readonly namespace: string;
  readonly loaded: readonly LoadedObject[];
  readonly patches: readonly LoadedObject[];
  readonly hooks?: readonly LoadedHook[];
  readonly images: readonly ReleaseImage[];
  readonly version: VersionInfo;
}): RenderedRelease {
  const warnings: string[] = [];
  const { hooks: given = [] } = input;
  const jobs = given.flatMap(({ job }) => (job === undefined ? [] : [job]));
  const patched = applyPatches(input.loaded, input.patches);
  patched.forEach(refuseUnjudged);
  const substituted = substituteImages([...patched, ...jobs], input.images);
  const loaded = substituted.loaded.slice(0, patched.length);
  const { unused } = substituted;
  for (const name of unused) {
    warnings.push(`images/${name}: no manifest names it, so it is built and pushed but runs nowhere`);
  }
  const scaled = scaledByAutoscaler(loaded);
  const objects = loaded.map(({ object }) => complete(object, { ...input, scaled }));
  const jobObjects = substituted.loaded
    .slice(patched.length)
    .map(({ object }) => complete(object, { ...input, scaled }));
  // Hooks refer to the release's ConfigMaps by the names that these get.
  const hashed = hashConfigNames([...objects, ...jobObjects]);
  const ordered = inOrder(hashed.slice(0, objects.length));
  const hooks = withJobs(given, hashed.slice(objects.length));
  return {
    version: input.version,
    images: input.images.map(({ name, digest, reference }) => ({ name, digest, reference })),
    objects: ordered,
    content: contentOf(ordered),
    warnings,
    ...(hooks.length === 0 ? {} : { hooks }),
  };
}

export function contentOf(objects: readonly AnyObject[]): string {
  return `sha256:${createHash("sha256").update(canonicalJson(objects)).digest("hex")}`;
}

/** Pods that nothing judges would make every release a success; refuse them instead. */
function refuseUnjudged(entry: LoadedObject): void {
  const { kind, metadata } = entry.object;
  const hint = UNJUDGED[kind];
  if (hint === undefined) return;
  throw new SlipwayError({
    code: "MANIFEST_KIND_NOT_JUDGED",
    where: entry.locate(["kind"]),
    message: `${kind} "${metadata.name}": a release judges Deployments, StatefulSets and DaemonSets, and would call this one a success unseen`,
    hint,
    exitCode: 2,
  });
}

const UNJUDGED: Readonly<Record<string, string>> = {
  Pod: "Make it a Deployment, or apply it with kubectl beside the release.",
  ReplicaSet: "Make it a Deployment, or apply it with kubectl beside the release.",
  Job: "Make it a hook: release.hooks runs a Job before or after the release, shows its logs and judges it.",
};

/** `Kind name` of workloads whose replicas belong to a HorizontalPodAutoscaler of this release. */
function scaledByAutoscaler(loaded: readonly LoadedObject[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { object } of loaded) {
    if (object.kind !== "HorizontalPodAutoscaler") continue;
    const target = (object["spec"] as { scaleTargetRef?: { kind?: string; name?: string } } | undefined)
      ?.scaleTargetRef;
    if (target?.name !== undefined) names.add(`${target.kind} ${target.name}`);
  }
  return names;
}

function complete(
  object: AnyObject,
  input: { service: string; namespace: string; scaled: ReadonlySet<string> },
): AnyObject {
  const { status: _status, ...rest } = object as AnyObject & { status?: unknown };
  const {
    uid: _uid,
    resourceVersion: _version,
    generation: _generation,
    creationTimestamp: _created,
    managedFields: _managed,
    ...metadata
  } = object.metadata;
  const namespace = isClusterScoped(object.kind)
    ? {}
    : { namespace: object.metadata.namespace ?? input.namespace };
  const labelled: AnyObject = {
    ...rest,
    metadata: {
      ...metadata,
      ...namespace,
      labels: { ...metadata.labels, [MANAGED_BY_LABEL]: "slipway", [SERVICE_LABEL]: input.service },
    },
  };
  const withPods = mapPodSpec(labelled, fillPortProtocols);
  if (object.kind === "Service") return fillServiceProtocols(withPods);
  const isCounted = object.kind === "Deployment" || object.kind === "StatefulSet";
  if (isCounted && input.scaled.has(`${object.kind} ${object.metadata.name}`))
    return withoutReplicas(withPods);
  return withPods;
}

/**
 * `protocol` is half of a port's key in server-side apply. Servers before 1.26 do not fill it in, and then a port
 * without it is a different port from the one that is stored.
 */
function fillPortProtocols(spec: PodSpec): PodSpec {
  return mapContainers(
    spec,
    (container): Container =>
      container.ports === undefined
        ? container
        : {
            ...container,
            ports: container.ports.map((port) => ({ ...port, protocol: port.protocol ?? "TCP" })),
          },
  );
}

function fillServiceProtocols(object: AnyObject): AnyObject {
  const spec = object["spec"] as { ports?: readonly { protocol?: string }[] } | undefined;
  if (!Array.isArray(spec?.ports)) return object;
  return {
    ...object,
    spec: { ...spec, ports: spec.ports.map((port) => ({ ...port, protocol: port.protocol ?? "TCP" })) },
  };
}

function withoutReplicas(object: AnyObject): AnyObject {
  const { replicas: _replicas, ...spec } = object["spec"] as Record<string, unknown>;
  return { ...object, spec };
}

/** What others refer to comes first; a Service before its Deployment, so that its readiness gate is injected. */
const ORDER = [
  "Namespace",
  // What a pod is admitted by: one that was made before them never gets their defaults.
  "ResourceQuota",
  "LimitRange",
  "NetworkPolicy",
  "CustomResourceDefinition",
  "PriorityClass",
  "ServiceAccount",
  "Role",
  "ClusterRole",
  "RoleBinding",
  "ClusterRoleBinding",
  "ConfigMap",
  "Secret",
  "StorageClass",
  "PersistentVolume",
  "PersistentVolumeClaim",
  "Service",
  "PodDisruptionBudget",
  "Deployment",
  "StatefulSet",
  "DaemonSet",
  "HorizontalPodAutoscaler",
  "CronJob",
  "IngressClass",
  "Ingress",
];

function inOrder(objects: readonly AnyObject[]): readonly AnyObject[] {
  const rank = (object: AnyObject): number => {
    const index = ORDER.indexOf(object.kind);
    return index < 0 ? ORDER.length : index;
  };
  return objects
    .map((object, index) => ({ object, index }))
    .sort((a, b) => rank(a.object) - rank(b.object) || a.index - b.index)
    .map(({ object }) => object);
}
