/** Images of a registry, copied into the layout for a build. */
import { SlipwayError } from "@slipway/base";
import type { ImageLayout } from "./layout.ts";
import type { Descriptor, ImageConfigFile, Platform } from "./oci.ts";
import { formatReference, parseReference } from "./reference.ts";
import type { RegistryClient } from "./registry/client.ts";
import { readImageAt } from "./source.ts";

export interface PullPorts {
  readonly layout: ImageLayout;
  readonly registry: RegistryClient;
  readonly onWarning: (message: string) => void;
}

/**
 * A digest that is here already needs no network; a tag is asked for each time, and only when the registry cannot be
 * reached is the copy of the last time used, with a warning.
 *
 * @param image the image of the configuration that needs it
 * @param where what names it, for a failure: a line of a Dockerfile, or a key of the configuration
 */
export async function pullImage(
  { layout, registry, onWarning }: PullPorts,
  text: string,
  image: string,
  platform: Platform,
  where = `images/${image}`,
): Promise<Descriptor> {
  const reference = parseReference(text, `images/${image}`);
  const repository = `${reference.registry}/${reference.repository}`;
  const name = reference.digest ?? reference.tag ?? "latest";
  const kept = await layout.resolve(repository, name);
  if (kept !== undefined && reference.digest !== undefined) return kept;
  try {
    const descriptor = await registry.pull(text, layout, { platform });
    if (kept?.digest !== descriptor.digest)
      await layout.hold(repository, descriptor, reference.tag === undefined ? [] : [reference.tag]);
    return descriptor;
  } catch (error) {
    const isOffline = error instanceof SlipwayError && error.code === "REGISTRY_UNREACHABLE";
    // Under its tag lies the image of the platform that was pulled last.
    if (
      !isOffline ||
      kept === undefined ||
      !isFor((await readImageAt(layout, kept, platform)).config, platform)
    )
      throw atPlace(error, where);
    onWarning(`${formatReference(reference)} cannot be reached; taking ${kept.digest}, pulled before`);
    return kept;
  }
}

function isFor(config: ImageConfigFile, { os, architecture, variant }: Platform): boolean {
  return (
    config.os === os &&
    config.architecture === architecture &&
    (variant === undefined || config.variant === undefined || config.variant === variant)
  );
}

/** The registry's failure, at the place that named the image. */
function atPlace(error: unknown, where: string): unknown {
  if (!(error instanceof SlipwayError) || error.where === where) return error;
  const { code, message, hint, exitCode } = error;
  return new SlipwayError({
    code,
    where,
    message: error.where === undefined ? message : `${error.where}: ${message}`,
    hint,
    cause: error,
    exitCode,
  });
}
