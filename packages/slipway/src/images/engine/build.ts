/** Builds one Dockerfile with an engine and takes the image out of it by an archive, into the layout. */
import { copyFile, link, mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { exec, SlipwayError, shellLine } from "@slipway/base";
import type { BuildSecret, ImageSourceConfig } from "../../config/types.ts";
import { importArchive } from "../archive.ts";
import type { SourceTree } from "../dockerfile/tree.ts";
import type { ImageLayout } from "../layout.ts";
import { type Descriptor, hostPlatform, type Platform, showPlatform } from "../oci.ts";
import type { Engine } from "./engine.ts";

export interface EngineBuild {
  readonly engine: Engine;
  readonly image: string;
  readonly from: ImageSourceConfig["from"] & { readonly kind: "context" };
  /** What the context holds behind its .dockerignore. */
  readonly context: SourceTree;
  readonly labels: Readonly<Record<string, string>>;
  readonly platform: Platform;
  readonly layout: ImageLayout;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal | undefined;
  /** Instructions with their lines that the classic builder does not know, like `Dockerfile:3 RUN --mount`. */
  readonly modern: readonly string[];
  readonly onOutput: (text: string) => void;
}

/** Rejects with IMAGES_ENGINE_LACKS, before anything runs, and IMAGES_ENGINE_FAILED. */
export async function buildWithEngine(build: EngineBuild): Promise<Descriptor> {
  refuseLacking(build);
  const folder = await mkdtemp(join(tmpdir(), "slipway-engine-"));
  const archive = join(folder, "image.tar");
  try {
    // The local world's state lies in .slipway: it is gigabytes, and it has keys.
    const isBare = !(await hasState(build.from.context));
    const context = isBare ? build.from.context : await staged(build.context, join(folder, "context"));
    const make = async (isFresh: boolean): Promise<Descriptor> => {
      await run(build, buildCommand(build, context, folder, isFresh), ownCommand(build));
      await save(build, folder, archive);
      return importArchive(archive, build.layout, build.platform);
    };
    return await make(false).catch((error: unknown) => {
      // Podman's cache takes a stage on scratch of another platform for this one's (seen in 4.3).
      const isOther = error instanceof SlipwayError && error.code === "IMAGE_PLATFORM_MISSING";
      if (!isOther || build.engine.kind !== "podman") throw error;
      return rm(archive, { force: true }).then(() => make(true));
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Out of the engine's store. What was loaded there for this build alone goes again; its cache stays. */
async function save(build: EngineBuild, folder: string, archive: string): Promise<void> {
  const { kind } = build.engine;
  if (kind === "podman") {
    const id = await readFile(join(folder, "id"), "utf8");
    return run(build, ["podman", "save", "--format", "oci-archive", "-o", archive, id.trim()]);
  }
  if (kind === "docker") {
    const id = await readFile(join(folder, "id"), "utf8");
    return run(build, ["docker", "save", "-o", archive, id.trim()]);
  }
  const tag = loadedTag(folder);
  await run(build, ["docker", "save", "-o", archive, tag]);
  await run(build, ["docker", "image", "rm", tag]);
}

/** Its folder has a random name. By tag, because what buildx writes as an id depends on its driver and Docker's store. */
const loadedTag = (folder: string): string => `slipway-build:${basename(folder)}`;

/**
 * The words of the build; pure. `folder`: where `id` is left (docker, podman), or whose name buildx's image gets;
 * undefined: the image is not wanted. With
 * buildx the image goes through Docker's own store: its default driver cannot write archives ("Docker exporter is not
 * supported for the docker driver", docker/buildx build/opt.go) unless that store is containerd's.
 */
export function buildCommand(
  build: EngineBuild,
  context: string,
  folder: string | undefined,
  isFresh = false,
): readonly string[] {
  const { engine, from, labels, platform } = build;
  const start = {
    docker: ["docker", "build"],
    buildx: ["docker", "buildx", "build"],
    podman: ["podman", "build"],
  };
  const each = (flag: string, values: Readonly<Record<string, string>>): string[] =>
    Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${value}`]);
  const isForeign = showPlatform(platform) !== showPlatform(hostPlatform());
  return [
    ...start[engine.kind],
    ...(isFresh ? ["--no-cache"] : []),
    ...["--file", from.dockerfile],
    ...each("--build-arg", from.args),
    ...each("--label", labels),
    ...(from.target === undefined ? [] : ["--target", from.target]),
    ...(from.network === undefined ? [] : ["--network", from.network]),
    ...(isForeign ? ["--platform", showPlatform(platform)] : []),
    ...Object.entries(from.secrets ?? {}).flatMap(([id, secret]) => ["--secret", secretFlag(id, secret)]),
    ...outputWords(engine.kind, folder),
    context,
  ];
}

function outputWords(kind: Engine["kind"], folder: string | undefined): readonly string[] {
  if (folder === undefined) return [];
  return kind === "buildx" ? ["--load", "--tag", loadedTag(folder)] : ["--iidfile", join(folder, "id")];
}

/** For a person, afterwards: what the build made for itself is gone then. */
const ownCommand = (build: EngineBuild): string =>
  shellLine(buildCommand({ ...build, labels: {} }, build.from.context, undefined));

const secretFlag = (id: string, secret: BuildSecret): string =>
  "env" in secret ? `id=${id},env=${secret.env}` : `id=${id},src=${secret.file}`;

function refuseLacking({ engine, from, platform, modern, image }: EngineBuild): void {
  if (!engine.isClassic) return;
  const lacking = [
    ...(Object.keys(from.secrets ?? {}).length === 0 ? [] : [`secrets (images/${image}/secrets)`]),
    ...(showPlatform(platform) === showPlatform(hostPlatform())
      ? []
      : [`other platforms (${showPlatform(platform)})`]),
    ...modern,
  ];
  if (lacking.length === 0) return;
  throw new SlipwayError({
    code: "IMAGES_ENGINE_LACKS",
    where: `images/${image}`,
    message: `${engine.name} has only the classic builder here (no buildx plugin), which lacks: ${lacking.join(", ")}`,
    hint: "Install the buildx plugin, or build with --builder slipway or --builder podman.",
    exitCode: 3,
  });
}

async function run(build: EngineBuild, command: readonly string[], own?: string): Promise<void> {
  const { engine, env, signal, onOutput, image } = build;
  const result = await exec(command, {
    env: { ...env, ...engine.env },
    ...(signal === undefined ? {} : { signal }),
    onOutput,
  });
  if (result.exitCode === 0) return;
  const last = `${result.stdout}${result.stderr}`.trimEnd().split("\n").slice(-20).join("\n  ");
  throw new SlipwayError({
    code: "IMAGES_ENGINE_FAILED",
    where: `images/${image}`,
    message: `${engine.name} exited ${result.exitCode}:\n  ${last}`,
    ...(own === undefined ? {} : { hint: `Run it yourself: ${own}${isUnreached(last) ? STAND_IN : ""}` }),
    exitCode: 1,
  });
}

/** A base whose registry did not answer, in Docker's, BuildKit's and Podman's words. */
const isUnreached = (said: string): boolean =>
  /no such host|name resolution|i\/o timeout|connection refused|network is unreachable|TLS handshake timeout/.test(
    said,
  );

const STAND_IN =
  '\nIf a registry is not reached from here: an environment may let another base stand in, bases: { "node:22-slim": "slipway/node" }.';

async function hasState(context: string): Promise<boolean> {
  return readFile(join(context, ".slipway", ".gitignore")).then(
    () => true,
    () => false,
  );
}

/** The context without what is ignored, as hard links: engines know no ignore file but the one in the context. */
async function staged(tree: SourceTree, to: string): Promise<string> {
  const copy = async (path: string): Promise<void> => {
    await mkdir(join(to, path), { recursive: true });
    for (const node of tree.inFolder(path)) {
      const child = node.path;
      if (node.kind === "directory") await copy(child);
      else if (node.kind === "symlink") await symlink(node.link, join(to, child));
      else if (node.content?.kind === "path") {
        const source = node.content.path;
        await link(source, join(to, child)).catch(() => copyFile(source, join(to, child)));
      }
    }
  };
  await copy("");
  return to;
}
