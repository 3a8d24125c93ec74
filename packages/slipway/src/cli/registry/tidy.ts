/** What `slipway registry gc` must leave, and what it says that it did. */
import { readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { SlipwayError } from "@slipway/base";
import { createHttpClient } from "@slipway/kube";
import { parseReference } from "../../images/reference.ts";
import type { Needs } from "../../images/registry/retention.ts";
import type { Tidied } from "../../images/registry/tidy.ts";
import { neededImages } from "../../release/history/needed-images.ts";
import type { WorldState } from "../../world/state.ts";
import type { Project } from "../project.ts";

/** Asks every cluster of the world. One that is stored but does not run may need images too: then nothing is deleted. */
export async function needsOf(project: Project, world: WorldState): Promise<Needs> {
  const running = world.clusters.filter(({ lost }) => !lost).map(({ name }) => name);
  const stored = await readdir(dirname(project.paths.cluster("any"))).catch(() => []);
  const silent = [...new Set([...stored, ...world.clusters.map(({ name }) => name)])].filter(
    (name) => !running.includes(name),
  );
  if (silent.length > 0) {
    throw new SlipwayError({
      code: "REGISTRY_NEEDS_UNKNOWN",
      where: `clusters/${silent.sort().join(", ")}`,
      message: "is stored here but does not run, so nobody knows which images its releases need",
      hint: `Start it, or delete ${project.paths.cluster(silent[0] as string)} when it is of no use any more.`,
      exitCode: 3,
    });
  }
  const clients = world.clusters.map(({ name, url, token, ca }) =>
    createHttpClient({ name, url, token, ca }),
  );
  return asNeeds(await neededImages(clients));
}

/** A digest says exactly what is needed; without one, whatever the name stands for. */
export function asNeeds(references: Iterable<string>): Needs {
  const digests = new Set<string>();
  const names = new Set<string>();
  for (const text of references) {
    try {
      const { repository, tag, digest } = parseReference(text);
      if (digest !== undefined) digests.add(digest);
      else names.add(`${repository}:${tag}`);
    } catch {
      // No registry could hold an image of such a name.
    }
  }
  return { digests, names };
}

export function tidiedText(tidied: Tidied, needs: Needs, isDryRun: boolean): string {
  const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? "" : "s"}`;
  const { blobs, freedBytes } = tidied.swept;
  const lines = tidied.repositories.map(({ repository, tags, manifests }) => {
    const named = tags.length === 0 ? "" : `tags ${tags.join(", ")}; `;
    return `${isDryRun ? "would drop" : "dropped"} ${repository}: ${named}${plural(manifests.length, "image")}`;
  });
  lines.push(
    `${isDryRun ? "would free" : "freed"} ${(freedBytes / 1e6).toFixed(1)} MB, ${plural(blobs.length, "blob")}`,
    `releases and pods need ${plural(needs.digests.size + needs.names.size, "image")}, which stay`,
  );
  return lines.join("\n");
}
