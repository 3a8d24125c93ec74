/** What can be wrong with a Dockerfile as a whole, found before anything is built, and how a build's failures read. */
import { readFile } from "node:fs/promises";
import { nearest, SlipwayError, shellLine, systemCode } from "@slipway/base";
import { invalid } from "./dockerfile/invalid.ts";
import { type Dockerfile, findStage, type Stage } from "./dockerfile/parse.ts";
import { expandWord, type Variables, WordError } from "./dockerfile/words.ts";
import { isHostBase } from "./host/host-base.ts";
import { hostPlatform, type Platform, showPlatform } from "./oci.ts";
import type { Foreign } from "./run/foreign.ts";

export function expandFrom(dockerfile: Dockerfile, stage: Stage, text: string, variables: Variables): string {
  const from = expandAt(dockerfile, stage.line, text, variables);
  if (from !== "") return from;
  throw invalid(
    dockerfile.where,
    stage.line,
    `FROM ${text} is empty`,
    "Give the ARG a default before the first FROM.",
  );
}

export function expandAt(dockerfile: Dockerfile, line: number, text: string, variables: Variables): string {
  try {
    return expandWord(text, variables, dockerfile.escapeChar);
  } catch (error) {
    if (error instanceof WordError) throw invalid(dockerfile.where, line, error.message);
    throw error;
  }
}

export async function readDockerfile(path: string, image: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (!["ENOENT", "ENOTDIR", "EISDIR"].includes(systemCode(error) ?? "")) throw error;
    throw new SlipwayError({
      code: "DOCKERFILE_MISSING",
      where: `images/${image}`,
      message: `there is no Dockerfile at ${path}`,
      hint: "Name it with { context, dockerfile }, or use { ref }, { archive } or { command }.",
      cause: error,
      exitCode: 2,
    });
  }
}

/** The stage that becomes the image: the last one, or the one that `target` names. */
export function targetStage(dockerfile: Dockerfile, target: string | undefined, image: string): Stage {
  if (target === undefined) return dockerfile.stages.at(-1) as Stage;
  const found = findStage(dockerfile, target, dockerfile.stages.length);
  if (found !== undefined) return found;
  const names = dockerfile.stages.flatMap(({ name }) => name ?? []);
  throw new SlipwayError({
    code: "DOCKERFILE_INVALID",
    where: `images/${image}/target`,
    message: `${dockerfile.where} has no stage "${target}"`,
    hint: names.length === 0 ? "Name a stage: FROM … AS NAME." : `It has: ${names.join(", ")}.`,
    exitCode: 2,
  });
}

/** A word that could only be a short image name is more often a stage's name that was mistyped. */
export function noSuchStage(error: unknown, name: string, dockerfile: Dockerfile, before: Stage): unknown {
  if (!(error instanceof SlipwayError) || !/^[A-Za-z0-9_-]+$/.test(name)) return error;
  const names = dockerfile.stages.slice(0, before.index).map((stage) => stage.name ?? String(stage.index));
  const near = nearest(name.toLowerCase(), names);
  const stages = names.length === 0 ? "there is no stage before this one" : `stages: ${names.join(", ")}`;
  const { code, where, message, hint, exitCode } = error;
  return new SlipwayError({
    code,
    where,
    message: `there is no stage "${name}" (${stages}), and as an image: ${message}`,
    hint: near === undefined ? hint : `Did you mean "${near}"?`,
    cause: error,
    exitCode,
  });
}

export const firstRun = (stages: readonly Stage[]): number | undefined =>
  stages.flatMap((stage) => stage.instructions).find(({ keyword }) => keyword === "RUN")?.line;

export function baseMissing(image: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGES_NODE_BASE",
    where: `images/${image}/base`,
    message: "is missing; slipway/node is made from this machine, which is for local environments only",
    hint: 'Name an image of a registry: base: "node:24-slim".',
    exitCode: 2,
  });
}

export function runRefused(cause: SlipwayError, where: string): SlipwayError {
  return new SlipwayError({
    code: "DOCKERFILE_RUN_REFUSED",
    where,
    message: `RUN needs Linux namespaces or a build engine, and there are no namespaces here: ${cause.message}`,
    hint: `Build with an engine (--builder docker, buildx or podman), or allow namespaces: ${cause.hint ?? ""}`.trim(),
    cause,
    exitCode: 3,
  });
}

export function commandFailed(image: string, command: readonly string[], what: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGES_COMMAND_FAILED",
    where: `images/${image}`,
    message: `${shellLine(command)} ${what}`,
    hint: "Run the line yourself with SLIPWAY_ARCHIVE set to a file; it must leave a docker save or OCI archive there.",
    exitCode: 1,
  });
}

/** Commands for a machine that this one is not, and that the kernel has no interpreter for. */
export function foreignRun(
  stage: Stage,
  platform: Platform,
  { fact, remedy }: Foreign,
  where: string,
): SlipwayError {
  const elsewhere =
    "It builds on such a machine as well, and with an engine that emulates it: --builder buildx.";
  return new SlipwayError({
    code: "DOCKERFILE_UNSUPPORTED",
    where: `${where}:${firstRun([stage])}`,
    message: `RUN for ${showPlatform(platform)} cannot run on ${hostPlatform().architecture}: ${fact}`,
    hint: remedy === undefined ? elsewhere : `To run it here, ${remedy}. ${elsewhere}`,
    exitCode: 3,
  });
}

/** In no registry under that name, or another's: what is made from this machine is a base. */
export function refuseHostBase(ref: string, image: string): void {
  if (!isHostBase(ref)) return;
  throw new SlipwayError({
    code: "IMAGE_HOST_BASE",
    where: `images/${image}`,
    message: `${ref} is made from this machine, as a base; by itself it is no image`,
    hint: `Write a Dockerfile that begins with FROM ${ref}, and build that.`,
    exitCode: 2,
  });
}
