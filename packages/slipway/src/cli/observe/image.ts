/** The image of agent and collector in the environment's registry. */
import { SlipwayError } from "@slipway/base";
import { hostPlatform } from "../../images/oci.ts";
import { buildObserveImage, IMAGE, versionOfSlipway } from "../../observer/install/image.ts";
import type { CliContext } from "../command.ts";
import { registryClientOf } from "../compose.ts";
import type { Project } from "../project.ts";

/** As it would be named; its digest is known when it is built. */
export async function tagOfImage(_context: CliContext, { config }: Project): Promise<string> {
  return `${requireRegistry(config.registry)}/${IMAGE}:${await versionOfSlipway()}`;
}

/** Returns its reference with the digest. */
export async function pushObserveImage(
  context: CliContext,
  project: Project,
  base: string | undefined,
  say: (line: string) => void,
): Promise<string> {
  const { ImageLayout } = await import("../../images/layout.ts");
  const { join } = await import("node:path");
  const { config, paths } = project;
  const target = await tagOfImage(context, project);
  const registry = registryClientOf(context, project, context.signal);
  const layout = await ImageLayout.open(join(paths.root, "build"), { clock: context.clock });
  const built = await buildObserveImage({
    layout,
    registry,
    base,
    architecture: hostPlatform().architecture,
    isLocal: config.isLocal,
    allowHostBases: config.allowHostBases,
    bases: config.bases,
  });
  const descriptor = await layout.resolve(built.name, built.digest);
  if (descriptor === undefined) throw new Error(`${built.digest} is not in the layout`);
  const { reference, uploadedBytes } = await registry.push(layout, descriptor, target);
  say(
    `pushed ${reference} (${uploadedBytes === 0 ? "nothing new" : `${(uploadedBytes / 1e6).toFixed(1)} MB`})`,
  );
  return reference;
}

function requireRegistry(registry: string | undefined): string {
  if (registry !== undefined) return registry;
  throw new SlipwayError({
    code: "OBSERVE_NO_REGISTRY",
    where: "slipway observe install",
    message: "the environment names no registry that its clusters pull from",
    hint: "Set `registry` in the environment.",
    exitCode: 2,
  });
}
