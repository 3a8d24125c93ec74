/** What is taken over from an image that others stand on. */
import { SlipwayError } from "@slipway/base";
import type { ImageSourceConfig } from "../config/types.ts";
import type { StageImage } from "./dockerfile/stage.ts";
import { DEFAULT_PATH } from "./host/host-base.ts";
import { type Descriptor, type ImageConfigFile, MEDIA } from "./oci.ts";
import { formatReference, parseReference } from "./reference.ts";

export function scratch(): StageImage {
  // As BuildKit does: without it, a CMD like ["app"] would be looked up nowhere.
  return {
    config: { Env: [`PATH=${DEFAULT_PATH}`] },
    layers: [],
    diffIds: [],
    contents: [],
    runMtime: 0,
    newest: 0,
    history: [],
    args: {},
    base: undefined,
  };
}

/** Docker's images carry facts about the container that built them; only what a container starts with is kept. */
export function plainConfig(config: ImageConfigFile["config"]): ImageConfigFile["config"] {
  const kept = [
    "User",
    "Env",
    "Entrypoint",
    "Cmd",
    "WorkingDir",
    "ExposedPorts",
    "Volumes",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "Shell",
  ] as const;
  const entries = kept.map((key) => [key, config[key]] as const);
  return Object.fromEntries(
    entries.filter(([, value]) => value !== undefined && value !== null && value !== ""),
  );
}

/** Docker's layer types are OCI's under other names: same bytes, same digest. */
export function toOci(layer: Descriptor): Descriptor {
  const types: Record<string, string> = {
    [MEDIA.dockerLayerGzip]: MEDIA.layerGzip,
    [MEDIA.dockerLayer]: MEDIA.layer,
  };
  return { ...layer, mediaType: types[layer.mediaType] ?? layer.mediaType };
}

/** The entries that made a layer must be as many as the layers, or tools that print them give up. */
export function completeHistory(config: ImageConfigFile): ImageConfigFile["history"] & object {
  const history = config.history ?? [];
  const filled = history.filter((entry) => entry.empty_layer !== true).length;
  if (filled === config.rootfs.diff_ids.length) return history;
  return config.rootfs.diff_ids.map(() => ({
    ...(config.created === undefined ? {} : { created: config.created }),
    created_by: "base image",
  }));
}

export function refuseTriggers(config: ImageConfigFile, from: string, where: string): void {
  const triggers = (config.config as { OnBuild?: readonly string[] | null } | undefined)?.OnBuild ?? [];
  if (triggers.length === 0) return;
  throw new SlipwayError({
    code: "DOCKERFILE_UNSUPPORTED",
    where,
    message: `the base ${from} has ONBUILD instructions, which need a build engine: ${triggers.join("; ")}`,
    hint: 'Build it with an engine ({ command: "docker build …" }), or choose a base without ONBUILD.',
    exitCode: 2,
  });
}

export const nameOf = (from: string, images: readonly ImageSourceConfig[]): string =>
  images.some((image) => image.name === from) ? from : formatReference(parseReference(from));

export const sorted = (labels: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
