/** What a build will ask registries for, known before it begins: they answer while git does. */
import { readFile } from "node:fs/promises";
import type { ImageSourceConfig } from "../config/types.ts";
import { plannedStages } from "./dockerfile/global-args.ts";
import { findStage, parseDockerfile } from "./dockerfile/parse.ts";
import { isHostBase } from "./host/host-base.ts";
import { hostPlatform } from "./oci.ts";
import { parseReference } from "./reference.ts";
import { type StandIns, standInFor } from "./stand-in.ts";

/**
 * The references with a tag that the images stand on; one with a digest may be here already. What is wrong with a Dockerfile
 * is told by the build: this leaves it out. None where there are commands: one may push what the others stand on. `bases`:
 * stand-ins by the names in FROM lines.
 */
export async function taggedBases(
  images: readonly ImageSourceConfig[],
  bases: StandIns = {},
): Promise<readonly string[]> {
  if (images.some(({ from }) => from.kind === "command")) return [];
  const named = (await Promise.all(images.map(basesOf)))
    .flat()
    .map((name) => standInFor(bases, name) ?? name);
  const own = new Set(["scratch", ...images.map(({ name }) => name)]);
  return [...new Set(named)].filter((name) => !own.has(name) && !isHostBase(name) && hasTag(name));
}

async function basesOf({ name, from }: ImageSourceConfig): Promise<readonly string[]> {
  if (from.kind === "ref") return [from.ref];
  if (from.kind === "node") return from.base === undefined ? [] : [from.base];
  if (from.kind !== "context") return [];
  try {
    const dockerfile = parseDockerfile(await readFile(from.dockerfile, "utf8"), from.dockerfile);
    const { fromOf, stages } = plannedStages(dockerfile, from, name, hostPlatform());
    return stages
      .filter((stage) => findStage(dockerfile, fromOf(stage), stage.index) === undefined)
      .map(fromOf);
  } catch {
    return [];
  }
}

function hasTag(name: string): boolean {
  try {
    return parseReference(name).digest === undefined;
  } catch {
    return false;
  }
}
