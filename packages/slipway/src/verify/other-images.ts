/**
 * Images that a spec file names and the project does not build: a reference of a registry with its tag or digest, or (with
 * a path, relative to the spec file) an archive of `docker save` or an OCI image layout, as a folder or a tar.
 */
import { basename, resolve } from "node:path";
import type { Clock } from "@slipway/base";
import { importArchive } from "../images/archive.ts";
import type { BuiltImage } from "../images/image.ts";
import { ImageLayout } from "../images/layout.ts";
import { type Descriptor, hostPlatform, type Platform } from "../images/oci.ts";
import { CHECKED } from "../images/old-builds.ts";
import { parseReference } from "../images/reference.ts";
import type { RegistryClient } from "../images/registry/client.ts";

/** Rejects with IMAGE_… and REGISTRY_… (exit 2 or 3), which name the image. */
export type FetchImage = (name: string, folder: string, platform?: Platform) => Promise<BuiltImage>;

const isPath = (name: string): boolean => /^\.{0,2}\//.test(name);

/** Whether it can be one: a bare word is the name of an image of the configuration, or a mistake in one. */
export const isOtherImage = (name: string): boolean => isPath(name) || /[:@]/.test(name);

export function imageFetcher(options: {
  /** The folder of the image layout that they are taken into. */
  readonly layout: string;
  readonly clock: Clock;
  readonly registry: () => RegistryClient | Promise<RegistryClient>;
}): FetchImage {
  return async (name, folder, platform = hostPlatform()) => {
    const layout = await ImageLayout.open(options.layout, { clock: options.clock });
    const held = async (plain: string, descriptor: Descriptor): Promise<BuiltImage> => {
      const own = `${CHECKED}${plain}`;
      await layout.hold(own, descriptor);
      return { name: own, digest: descriptor.digest, reference: undefined, layout: options.layout };
    };
    if (isPath(name)) {
      const descriptor = await importArchive(resolve(folder, name), layout, platform);
      return held(plainName(basename(name)), descriptor);
    }
    const { repository } = parseReference(name, `describeImage ${name}`);
    const registry = await options.registry();
    try {
      return await held(repository, await registry.pull(name, layout, { platform }));
    } finally {
      await registry.close();
    }
  };
}

/** Engines name images in lower case, without much else. */
const plainName = (name: string): string =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "") || "image";
