/** The steps of `slipway ship`, which are also commands of their own: build, verify, push, deploy. */
import { join } from "node:path";
import { formatDuration, readTextIfExists, SlipwayError, writeAtomic } from "@slipway/base";
import type { Config } from "../config/types.ts";
import { publishFolder } from "../edge/bucket/publish.ts";
import { attachedTo } from "../images/attest/attach.ts";
import type { Builder } from "../images/engine/engine.ts";
import type { BuiltImage } from "../images/image.ts";
import { ImageLayout } from "../images/layout.ts";
import { parsePlatform } from "../images/oci.ts";
import type { RegistryClient } from "../images/registry/client.ts";

import type { VersionInfo } from "../release/model.ts";
import type { WorldState } from "../world/state.ts";
import type { CliContext } from "./command.ts";
import { registryClientOf, registryPrefix } from "./compose.ts";
import { changedSince, listed, type Version, versionTag } from "./git.ts";
import type { Project, Sources } from "./project.ts";
import { indent } from "./width.ts";

/** What `slipway build` leaves for the steps after it, in `.slipway/build/images.json`. */
export interface BuildRecord {
  readonly environment: string;
  readonly tag: string;
  readonly version: VersionInfo;
  readonly images: readonly BuiltImage[];
  /** Files that its commands left in the clean tree that it was built from, and git does not ignore. */
  readonly left?: readonly string[] | undefined;
  /** True once `slipway push` has brought all of them to the registry. */
  readonly isPushed?: boolean;
}

export interface StepOutput {
  /** A finished line for people; nothing with --json. */
  say(line: string): void;
  /** One JSON line with --json. */
  emit(event: Readonly<Record<string, unknown>>): void;
  /** Nothing but JSON may be written. */
  readonly isJson?: boolean;
}

export function outputOf(context: CliContext, json: boolean): StepOutput {
  return {
    isJson: json,
    say: (line) => (json ? undefined : context.write(`${line}\n`)),
    emit: (event) => (json ? context.write(`${JSON.stringify(event)}\n`) : undefined),
  };
}

export const buildRecordPath = ({ paths }: Project): string => join(paths.root, "build", "images.json");
const layoutPath = ({ paths }: Project): string => join(paths.root, "build", "layout");

const UNDATED =
  "as old as the oldest commit of this shallow clone; with the whole history (`git fetch --unshallow`, `fetch-depth: 0` in CI) a layer that did not change keeps its digest";

/** Where a build sends its layers while it makes the rest. */
export interface PushedAhead {
  /** Also for the push, which closes it. */
  readonly registry: RegistryClient;
  readonly prefix: string;
}

/** Undefined where the registry is not known before the build. */
export function pushedAhead(context: CliContext, project: Project): PushedAhead | undefined {
  const { registry: prefix } = project.config;
  return prefix === undefined
    ? undefined
    : { registry: registryClientOf(context, project, context.signal), prefix };
}

/** `looking`: what git says of the sources; nothing is written before it is known. */
export async function buildStep(
  context: CliContext,
  project: Project,
  looking: Sources | Promise<Sources>,
  output: StepOutput,
  builder: Builder = "auto",
  pushed?: PushedAhead,
): Promise<BuildRecord> {
  const { config } = project;
  const registry = pushed?.registry ?? registryClientOf(context, project, context.signal);
  registry.prepare();
  const [{ version, versions, source, undated, history }, { buildImages }] = await Promise.all([
    looking,
    import("../images/build.ts"), // the steps after it start without
    builder === "slipway" ? askForBases(registry, config) : undefined, // an engine asks itself
  ]);
  const ignore = join(project.paths.root, ".gitignore");
  if ((await readTextIfExists(ignore)) === undefined) await writeAtomic(ignore, "*\n");
  const layout = await ImageLayout.open(layoutPath(project), { clock: context.clock });
  for (const image of undated) output.emit({ step: "build", kind: "note", image, message: UNDATED });
  if (undated.length > 0) output.say(`  ${undated.join(", ")}: ${UNDATED}`);
  if (config.images.length === 0) output.say("  nothing to build: the configuration names no images");
  let imageStartedAt = context.clock.monotonic();
  const images = await buildImages({
    images: config.images,
    layout,
    registry,
    root: config.root,
    commitTimeMs: version.timeMs,
    revision: version.commit,
    versions,
    history,
    source,
    isLocal: config.isLocal,
    allowHostBases: config.allowHostBases,
    ...(config.platforms === undefined
      ? {}
      : { platforms: config.platforms.map((text) => parsePlatform(text, "platforms")) }),
    bases: config.bases,
    builder,
    env: context.env,
    signal: context.signal,
    onLayer:
      pushed &&
      ((image, layer) => pushed.registry.sendAhead(layout, layer, repositoryFor(pushed.prefix, image))),
    onProgress: (event) => {
      output.emit({ step: "build", ...event });
      if (event.kind === "started") imageStartedAt = context.clock.monotonic();
      else if (event.kind === "output") output.say(indent(event.text.trimEnd()));
      else if (event.kind === "note") output.say(indent(`${event.image}: ${event.message}`));
      else if (event.kind === "warning") output.say(indent(`warning: ${event.image}: ${event.message}`));
      else
        output.say(
          `  built ${event.image}  ${event.digest.slice(0, 19)}  ${event.layers} layers  ${formatDuration(context.clock.monotonic() - imageStartedAt)}`,
        );
    },
  });
  if (pushed === undefined) await registry.close();
  // The images are younger than what the clone has, and some of what they copy is not.
  if (history.isCutOff && undated.length === 0) {
    output.emit({ step: "build", kind: "note", message: `some layers are ${UNDATED}` });
    output.say(`  some layers are ${UNDATED}`);
  }
  const left = await leftBy(config, version, context.env);
  if (left.length > 0)
    output.say(indent(`note: the build left ${listed(left)} in the work tree; name that in .gitignore`));
  const record = { ...recordOf(config, version, images), ...(left.length === 0 ? {} : { left }) };
  await writeAtomic(buildRecordPath(project), JSON.stringify(record));
  await removeOld(project, layout, images).catch((error: unknown) => {
    // The images are built all the same.
    const why = error instanceof Error ? error.message : String(error);
    output.say(`  warning: what older builds left could not be removed: ${why}`);
  });
  return record;
}

/** While git looks. */
async function askForBases(registry: RegistryClient, { images, bases }: Config): Promise<void> {
  const { taggedBases } = await import("../images/tagged-bases.ts");
  registry.prepare(await taggedBases(images, bases));
}

/** Files that were not there before the build, and git does not ignore. Only a command of the project's own writes there. */
async function leftBy(
  { images, root }: Config,
  { dirty }: Version,
  env: NodeJS.ProcessEnv,
): Promise<readonly string[]> {
  if (dirty || images.every(({ from }) => from.kind !== "command")) return [];
  return (await changedSince(root, "HEAD", ["."], [], env, "untracked")) ?? [];
}

async function removeOld(
  { paths }: Project,
  layout: ImageLayout,
  images: readonly BuiltImage[],
): Promise<void> {
  const { removeFiles, removeOldBuilds } = await import("../images/old-builds.ts");
  const swept = await removeOldBuilds(layout, {
    images: images.map(({ name }) => name),
    needed: images.map(({ digest }) => digest),
  });
  // The local clusters run from the same files what lies in their registry.
  if (swept !== undefined) await removeFiles(swept, { directory: paths.layers, others: [paths.images] });
}

/**
 * Pods are replaced when their template changes, and the tag is part of it. An image that is the same as in an earlier
 * release therefore keeps the reference it had there, so that a commit replaces only the pods it concerns.
 */
export function keepReferences(
  images: readonly BuiltImage[],
  releases: readonly {
    readonly images: readonly { readonly digest: string; readonly reference: string }[];
  }[],
): readonly BuiltImage[] {
  const repositoryOf = (reference: string): string =>
    reference.slice(0, reference.lastIndexOf(":", reference.indexOf("@")));
  return images.map((image) => {
    const { reference } = image;
    if (reference === undefined) return image;
    const known = releases
      .flatMap((release) => release.images)
      .find(
        (other) => other.digest === image.digest && repositoryOf(other.reference) === repositoryOf(reference),
      );
    return known === undefined ? image : { ...image, reference: known.reference };
  });
}

function recordOf(config: Config, version: Version, images: readonly BuiltImage[]): BuildRecord {
  return {
    environment: config.environment,
    tag: versionTag(version),
    version: {
      commit: versionTag(version),
      message: version.message,
      author: version.author,
      ...(version.email === undefined ? {} : { email: version.email }),
      dirty: version.dirty,
    },
    images,
  };
}

/** What was built for this environment from the tree as it is now. Where nothing is built, that is the tree. */
export async function readBuild(
  project: Project,
  version: Version,
  env: NodeJS.ProcessEnv,
): Promise<BuildRecord> {
  if (project.config.images.length === 0) return recordOf(project.config, version, []);
  const record = await readRecord(project);
  const tag = versionTag(version);
  if (record.tag === tag) return record;
  const { isOnlyLittered } = await import("./sources.ts");
  if (!(await isOnlyLittered(project.config, record, version, env)))
    throw staleBuild(record, tag, version.changed);
  // The release tells what it is of as always.
  return { ...record, version: recordOf(project.config, version, []).version };
}

/** What was built last for this environment. Rejects with BUILD_MISSING. */
export async function readRecord(project: Project): Promise<BuildRecord> {
  const text = await readTextIfExists(buildRecordPath(project));
  const record = text === undefined ? undefined : (JSON.parse(text) as BuildRecord);
  if (record === undefined) throw buildMissing("no images were built yet");
  if (record.environment !== project.config.environment)
    throw buildMissing(
      `the images were built for environment ${record.environment}, not ${project.config.environment}`,
    );
  return record;
}

/** `changed`: what has, as far as it is known. */
export function staleBuild(record: BuildRecord, tag: string, changed: readonly string[] = []): SlipwayError {
  const files = changed.length === 0 ? "" : `; changed: ${listed(changed)}`;
  return buildMissing(`the images were built from ${record.tag}, the work tree is at ${tag}${files}`);
}

const buildMissing = (message: string): SlipwayError =>
  new SlipwayError({
    code: "BUILD_MISSING",
    where: "build",
    message,
    hint: "Run `slipway build`, or `slipway ship`, which does all steps.",
    exitCode: 2,
  });

export async function pushStep(
  context: CliContext,
  project: Project,
  record: BuildRecord,
  world: WorldState | undefined,
  output: StepOutput,
  ahead?: PushedAhead,
): Promise<BuildRecord> {
  const registry = ahead?.registry ?? registryClientOf(context, project, context.signal);
  const layout = await ImageLayout.open(layoutPath(project), { clock: context.clock });
  const prefix = registryPrefix(project.config, world);
  const pushed: BuiltImage[] = [];
  const repositories: string[] = [];
  for (const image of record.images) {
    const descriptor = await layout.resolve(image.name, image.digest);
    if (descriptor === undefined)
      throw new SlipwayError({
        code: "BUILD_MISSING",
        where: `images/${image.name}`,
        message: "is not in the build folder any more",
        hint: "Run `slipway build`.",
        exitCode: 2,
      });
    const target = targetOf(prefix, image, record);
    const startedAt = context.clock.monotonic();
    // Images of one service share their base: the registry already has its layers under the one pushed before.
    const result = await registry.push(layout, descriptor, target, {
      mountFrom: repositories,
      attached: await attachedTo(layout, image.name, image.digest),
    });
    for (const { document, error } of result.refused)
      output.say(
        `  warning: ${image.name}: the registry does not take ${document.artifactType}: ${error.message}`,
      );
    repositories.push(target.slice(target.indexOf("/") + 1, target.lastIndexOf(":")));
    pushed.push({ ...image, reference: result.reference });
    output.emit({
      step: "push",
      image: image.name,
      reference: result.reference,
      uploadedBytes: result.uploadedBytes,
    });
    const size = result.uploadedBytes === 0 ? "nothing new" : `${(result.uploadedBytes / 1e6).toFixed(1)} MB`;
    output.say(
      `  pushed ${image.name}  ${result.reference}  ${size}  ${formatDuration(context.clock.monotonic() - startedAt)}`,
    );
  }
  await registry.close();
  const done: BuildRecord = { ...record, images: pushed, isPushed: true };
  await writeAtomic(buildRecordPath(project), JSON.stringify(done));
  return done;
}

/** The record as a push would leave it, for plans: the same references, nothing pushed. */
export function withReferences(
  project: Project,
  record: BuildRecord,
  world: WorldState | undefined,
): BuildRecord {
  const prefix = registryPrefix(project.config, world);
  const images = record.images.map((image) => ({
    ...image,
    reference: image.reference ?? `${targetOf(prefix, image, record)}@${image.digest}`,
  }));
  return { ...record, images };
}

function targetOf(prefix: string, image: BuiltImage, record: BuildRecord): string {
  return `${repositoryFor(prefix, image.name)}:${record.tag}`;
}

const repositoryFor = (prefix: string, image: string): string => `${prefix}/${image.split("/").at(-1)}`;

/**
 * Static files go to the bucket before any pod changes, and those of earlier releases stay: pages of the old release
 * are still being served, and a rollback needs its files.
 */
export async function bucketStep(project: Project, output: StepOutput): Promise<void> {
  for (const { target } of project.config.edge?.routes ?? []) {
    if (target.kind !== "bucket") continue;
    // What other environments release must not change what the local world serves.
    if (!project.config.isLocal) {
      output.say(
        `  note: bucket ${target.name}: nothing was uploaded; only the local world serves buckets so far`,
      );
      continue;
    }
    const folder = project.paths.bucket(target.name);
    try {
      await publishFolder(target.from, folder);
    } catch (cause) {
      throw new SlipwayError({
        code: "EDGE_BUCKET_SOURCE",
        where: `edge/routes/bucket(${target.name})/from`,
        message: `cannot read ${target.from}: ${cause instanceof Error ? cause.message : String(cause)}`,
        hint: "Name the folder that holds the static files.",
        cause,
        exitCode: 2,
      });
    }
    output.emit({ step: "bucket", bucket: target.name, from: target.from });
  }
}
