/** A pod's volumes as mounts that a runtime understands. What cannot be mounted is refused with FailedMount. */
import type { Container, KeyToPath, Pod, StringMap, Volume } from "@slipway/kube";
import { type ContainerMount, ContainerStartError } from "../runtimes/runtime.ts";
import { accountMounts, accountToken } from "./account-files.ts";
import { type EnvContext, fieldValue, resourceValue } from "./env.ts";

type Files = Extract<ContainerMount, { kind: "files" }>["files"];

const mountError = (volume: string, message: string): ContainerStartError =>
  new ContainerStartError("FailedMount", `MountVolume.SetUp failed for volume "${volume}" : ${message}`);

export function mountsOf(context: EnvContext): readonly ContainerMount[] {
  const { account } = context;
  return [...volumesOf(context), ...(account === undefined ? [] : accountMounts(context, account))];
}

function volumesOf(context: EnvContext): readonly ContainerMount[] {
  return (context.container.volumeMounts ?? []).map((mount): ContainerMount => {
    const volume = context.pod.spec.volumes?.find(({ name }) => name === mount.name);
    if (volume === undefined) throw mountError(mount.name, `volume "${mount.name}" is not in the pod`);
    const base = {
      volume: mount.name,
      path: mount.mountPath,
      ...(mount.subPath === undefined || mount.subPath === "" ? {} : { subPath: mount.subPath }),
    };
    if (volume.hostPath !== undefined) {
      return { kind: "host", ...base, hostPath: volume.hostPath.path, readOnly: mount.readOnly === true };
    }
    const files = filesOf(volume, context);
    if (files !== undefined) return { kind: "files", ...base, readOnly: true, files };
    if (volume.persistentVolumeClaim !== undefined) {
      const claim = volume.persistentVolumeClaim.claimName;
      throw mountError(
        volume.name,
        `persistentvolumeclaim "${claim}" cannot be bound: local clusters have no PersistentVolumes. Use emptyDir or hostPath in a local patch.`,
      );
    }
    if (volume.emptyDir === undefined && Object.keys(volume).length > 1) {
      const kind = Object.keys(volume).find((key) => key !== "name");
      throw mountError(volume.name, `local clusters do not support volumes of type ${kind}`);
    }
    return { kind: "empty", ...base, readOnly: mount.readOnly === true };
  });
}

/** The files of a volume that is made of API objects; undefined for other volumes. */
function filesOf(volume: Volume, context: EnvContext): Files | undefined {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap !== undefined) {
    return configMapFiles(volume.name, configMap.name, configMap, context);
  }
  if (secret !== undefined) return secretFiles(volume.name, secret.secretName, secret, context);
  if (downwardAPI !== undefined) return downwardFiles(downwardAPI, context);
  if (projected === undefined) return undefined;
  const { sources = [], defaultMode } = projected as unknown as Projection;
  return sources.flatMap((source): Files => {
    if (source.configMap !== undefined) {
      const options = { ...source.configMap, ...(defaultMode === undefined ? {} : { defaultMode }) };
      return configMapFiles(volume.name, source.configMap.name, options, context);
    }
    if (source.secret !== undefined) {
      const options = { ...source.secret, ...(defaultMode === undefined ? {} : { defaultMode }) };
      return secretFiles(volume.name, source.secret.name, options, context);
    }
    if (source.downwardAPI !== undefined) return downwardFiles(source.downwardAPI, context);
    const { serviceAccountToken } = source;
    // A token for another audience than the API server would have to be believed by somebody else.
    if (serviceAccountToken !== undefined && serviceAccountToken.audience === undefined) {
      const token = accountToken(context);
      const { path } = serviceAccountToken;
      if (token !== undefined) return [{ path, content: token, mode: defaultMode ?? DEFAULT_MODE }];
    }
    throw mountError(
      volume.name,
      `local clusters do not support the projected source ${Object.keys(source)[0]}`,
    );
  });
}

interface Projection {
  readonly sources?: readonly {
    readonly configMap?: FileOptions & { readonly name: string };
    readonly secret?: FileOptions & { readonly name: string };
    readonly downwardAPI?: NonNullable<Volume["downwardAPI"]>;
    readonly serviceAccountToken?: { readonly path: string; readonly audience?: string };
  }[];
  readonly defaultMode?: number;
}

interface FileOptions {
  readonly items?: readonly KeyToPath[];
  readonly defaultMode?: number;
  readonly optional?: boolean;
}

function configMapFiles(volume: string, name: string, options: FileOptions, context: EnvContext): Files {
  const object = context.snapshot.get("ConfigMap", context.pod.metadata.namespace ?? "", name);
  if (object === undefined) {
    if (options.optional === true) return [];
    throw mountError(volume, `configmap "${name}" not found`);
  }
  const content = new Map<string, Uint8Array>();
  for (const [key, text] of Object.entries(object.data ?? {})) content.set(key, Buffer.from(text, "utf8"));
  for (const [key, text] of Object.entries(object.binaryData ?? {}))
    content.set(key, Buffer.from(text, "base64"));
  return keyedFiles(volume, content, options);
}

function secretFiles(volume: string, name: string, options: FileOptions, context: EnvContext): Files {
  const object = context.snapshot.get("Secret", context.pod.metadata.namespace ?? "", name);
  if (object === undefined) {
    if (options.optional === true) return [];
    throw mountError(volume, `secret "${name}" not found`);
  }
  return keyedFiles(volume, decoded(object.data), options);
}

function decoded(data: StringMap | undefined): ReadonlyMap<string, Uint8Array> {
  return new Map(Object.entries(data ?? {}).map(([key, text]) => [key, Buffer.from(text, "base64")]));
}

const DEFAULT_MODE = 0o644;

/** All keys under their own names, or only `items` under the paths they ask for. */
function keyedFiles(volume: string, content: ReadonlyMap<string, Uint8Array>, options: FileOptions): Files {
  const { items, defaultMode = DEFAULT_MODE, optional } = options;
  if (items === undefined) {
    return [...content].map(([path, bytes]) => ({ path, content: bytes, mode: defaultMode }));
  }
  return items.flatMap(({ key, path, mode }) => {
    const bytes = content.get(key);
    if (bytes !== undefined) return [{ path, content: bytes, mode: mode ?? defaultMode }];
    if (optional === true) return [];
    throw mountError(volume, `references non-existent config key: ${key}`);
  });
}

function downwardFiles(volume: NonNullable<Volume["downwardAPI"]>, context: EnvContext): Files {
  return (volume.items ?? []).map(({ path, fieldRef, resourceFieldRef }) => {
    const value =
      fieldRef !== undefined
        ? fieldValue(fieldRef.fieldPath, context)
        : resourceFieldRef !== undefined
          ? resourceValue(resourceFieldRef, context)
          : "";
    return { path, content: Buffer.from(value, "utf8"), mode: DEFAULT_MODE };
  });
}

/** The ConfigMaps and Secrets that a pod's start depends on, as `Kind/name`. */
export function dependenciesOf(pod: Pod): ReadonlySet<string> {
  const names = new Set<string>();
  const everyone: readonly Container[] = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  for (const { env, envFrom } of everyone) {
    for (const { valueFrom } of env ?? []) {
      if (valueFrom?.configMapKeyRef !== undefined) names.add(`ConfigMap/${valueFrom.configMapKeyRef.name}`);
      if (valueFrom?.secretKeyRef !== undefined) names.add(`Secret/${valueFrom.secretKeyRef.name}`);
    }
    for (const { configMapRef, secretRef } of envFrom ?? []) {
      if (configMapRef !== undefined) names.add(`ConfigMap/${configMapRef.name}`);
      if (secretRef !== undefined) names.add(`Secret/${secretRef.name}`);
    }
  }
  for (const { configMap, secret, projected } of pod.spec.volumes ?? []) {
    if (configMap !== undefined) names.add(`ConfigMap/${configMap.name}`);
    if (secret !== undefined) names.add(`Secret/${secret.secretName}`);
    for (const source of ((projected ?? {}) as Projection).sources ?? []) {
      if (source.configMap !== undefined) names.add(`ConfigMap/${source.configMap.name}`);
      if (source.secret !== undefined) names.add(`Secret/${source.secret.name}`);
    }
  }
  return names;
}
