/**
 * From `images` in the config to images in a layout, without a daemon: a Dockerfile in the supported subset, a
 * reference that is copied, an archive, or a command that makes one. The same inputs give the same digest, wherever
 * and whenever the build runs: files carry the commit's time, root's ownership and plain modes.
 *
 * What only some builds need (the sandbox, bases made from this machine) is imported when one does: most of the time of a
 * small build is the program's start.
 *
 * @example
 * const built = await buildImages({
 *   images: config.images, layout: await ImageLayout.open(".slipway/images"), registry: createRegistryClient(),
 *   root: config.root, commitTimeMs, revision, isLocal: true, allowHostBases: [],
 * });
 */
import { join, relative } from "node:path";
import { readTextIfExists, SlipwayError } from "@slipway/base";
import type { BinfmtMisc } from "@slipway/cluster/binfmt-misc";
import type { ImageSourceConfig } from "../config/types.ts";
import { importArchive } from "./archive.ts";
import { makeDocuments } from "./attest/attach.ts";
import { completeHistory, nameOf, plainConfig, refuseTriggers, scratch, toOci } from "./base-image.ts";
import {
  baseMissing,
  firstRun,
  foreignRun,
  noSuchStage,
  readDockerfile,
  refuseHostBase,
  runRefused,
} from "./build-faults.ts";
import { type SourceHistory, sourceDates } from "./dockerfile/dates.ts";
import { plannedStages, stagePlatforms, unusedArgs } from "./dockerfile/global-args.ts";
import {
  type Dockerfile,
  findStage,
  modernInstructions,
  parseDockerfile,
  refuseUnsupported,
  type Stage,
  sourcesOf,
} from "./dockerfile/parse.ts";
import { parseIgnore } from "./dockerfile/patterns.ts";
import type { RunPorts } from "./dockerfile/run.ts";
import { askTimes, buildStage, type StageImage } from "./dockerfile/stage.ts";
import { contextTree, imageTree, type SourceTree } from "./dockerfile/tree.ts";
import { buildWithEngine } from "./engine/build.ts";
import { askPrograms, type Builder, type Engine, findEngine } from "./engine/engine.ts";
import { imageOfCommand } from "./from-command.ts";
import { isHostBase } from "./host/host-base.ts";
import type { BuiltImage } from "./image.ts";
import { bare } from "./index-entries.ts";
import { ImageFiles } from "./layers.ts";
import type { ImageLayout } from "./layout.ts";
import {
  type Descriptor,
  encodeDocument,
  hostPlatform,
  type ImageConfigFile,
  type ImageIndex,
  type ImageManifest,
  MEDIA,
  type Platform,
} from "./oci.ts";
import { type PullPorts, pullImage } from "./pull.ts";
import type { RegistryClient } from "./registry/client.ts";
import type { RunSandbox } from "./run/sandbox.ts";
import { readSecrets } from "./run/secrets.ts";
import { readImageAt } from "./source.ts";
import { type StandIns, standInFor } from "./stand-in.ts";
import { wholeLines } from "./whole-lines.ts";
import { writeImage } from "./write-image.ts";

export interface BuildOptions {
  readonly images: readonly ImageSourceConfig[];
  /** Where the result goes; repository = the image's name, tag `latest`. */
  readonly layout: ImageLayout;
  /** For `FROM registry/…` and `{ ref }`. */
  readonly registry: RegistryClient;
  /** Folder of the config: where commands run, and what paths in messages are relative to. */
  readonly root: string;
  /** Milliseconds since the epoch; the time of what is copied, as far as `history` does not know better. */
  readonly commitTimeMs: number;
  /** Label org.opencontainers.image.revision; undefined leaves it out. */
  readonly revision?: string | undefined;
  /**
   * By image: the commit that last touched what it is made of. An image whose sources did not change then keeps its
   * digest, however many commits pass. Without an entry `commitTimeMs` and `revision` count.
   */
  readonly versions?: Readonly<Record<string, ImageVersion>>;
  /** When the sources changed: each COPY is as old as what it takes. Default: all are as old as the image. */
  readonly history?: SourceHistory;
  /** Label org.opencontainers.image.source. */
  readonly source?: string | undefined;
  readonly isLocal: boolean;
  readonly allowHostBases: readonly string[];
  /** What stands in for an image that a FROM line names. */
  readonly bases?: StandIns;
  /** What is built for; of several each image becomes an index. Default: this machine's. */
  readonly platforms?: readonly Platform[];
  /** Which programs of other architectures run here. Default: what this machine's kernel says. */
  readonly binfmtMisc?: () => Promise<BinfmtMisc>;
  /** Who builds Dockerfiles. Default: slipway. */
  readonly builder?: Builder;
  /** For commands of `{ command }`; default this process's. */
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: BuildEvent) => void;
  /** Called for each layer that an image has beside those of its base, as soon as it is in the layout. */
  readonly onLayer?: ((image: string, layer: Descriptor) => void) | undefined;
}

export interface ImageVersion {
  readonly commitTimeMs: number;
  readonly revision: string | undefined;
}

export type BuildEvent =
  | { readonly kind: "started"; readonly image: string }
  | { readonly kind: "output"; readonly image: string; readonly text: string }
  | { readonly kind: "note"; readonly image: string; readonly message: string }
  | { readonly kind: "warning"; readonly image: string; readonly message: string }
  | { readonly kind: "built"; readonly image: string; readonly digest: string; readonly layers: number };

/** All images, in the order of the config; the first that fails ends the build with its error. */
export async function buildImages(options: BuildOptions): Promise<readonly BuiltImage[]> {
  const { onProgress } = options;
  if (onProgress === undefined) return buildEach(options);
  const lines = wholeLines(onProgress);
  return buildEach({ ...options, onProgress: lines.emit }).finally(lines.end);
}

async function buildEach(options: BuildOptions): Promise<readonly BuiltImage[]> {
  const build = new ImageBuild(options);
  const built: BuiltImage[] = [];
  for (const image of options.images) {
    const descriptor = await build.image(image.name, []);
    built.push({
      name: image.name,
      digest: descriptor.digest,
      reference: undefined,
      layout: options.layout.directory,
    });
  }
  return built;
}

class ImageBuild {
  readonly #options: BuildOptions;
  readonly #platform: Platform;
  /** Which asked for the images of one platform: it knows all images. */
  readonly #whole: ImageBuild | undefined;
  readonly #done = new Map<string, Promise<Descriptor>>();
  /** Engines by the images that they built. */
  readonly #builtBy: Map<string, string>;
  #sandbox: Promise<RunSandbox> | undefined;
  #engine: Promise<Engine | undefined> | undefined;

  constructor(options: BuildOptions, whole?: ImageBuild, platform?: Platform) {
    this.#options = options;
    this.#whole = whole;
    this.#platform = platform ?? hostPlatform();
    this.#builtBy = whole === undefined ? new Map() : whole.#builtBy;
  }

  /** `path`: the images that wait for this one, to name a circle. */
  async image(name: string, path: readonly string[]): Promise<Descriptor> {
    if (this.#whole !== undefined) return this.#whole.image(name, path);
    const config = this.#options.images.find((image) => image.name === name) as ImageSourceConfig;
    if (path.includes(name)) {
      throw new SlipwayError({
        code: "IMAGES_CIRCULAR",
        where: `images/${name}`,
        message: `images build on each other in a circle: ${[...path, name].join(" → ")}`,
        hint: "Let one of them start from another base.",
        exitCode: 2,
      });
    }
    const known = this.#done.get(name);
    if (known !== undefined) return known;
    const making = this.#make(config, [...path, name]);
    this.#done.set(name, making);
    return making;
  }

  async #make(image: ImageSourceConfig, path: readonly string[]): Promise<Descriptor> {
    const { layout, onProgress } = this.#options;
    onProgress?.({ kind: "started", image: image.name });
    const manifests = await this.#manifests(image, path);
    const [first] = manifests as [Descriptor];
    const descriptor = manifests.length === 1 ? bare(first) : await this.#index(manifests);
    const manifest = await layout.readJson<ImageManifest>(first.digest);
    const documents: Descriptor[] = [];
    for (const one of manifests) documents.push(...((await this.#documents(image, one)) ?? []));
    const attached = documents.length === 0 ? undefined : documents;
    await layout.hold(image.name, descriptor, ["latest"], attached === undefined ? {} : { attached });
    onProgress?.({
      kind: "built",
      image: image.name,
      digest: descriptor.digest,
      layers: manifest.layers.length,
    });
    return descriptor;
  }

  /** One for each platform, each with its own. */
  async #manifests(image: ImageSourceConfig, path: readonly string[]): Promise<readonly Descriptor[]> {
    const { platforms } = this.#options;
    if (platforms === undefined) return [await this.#descriptor(image, path)];
    const made: Descriptor[] = [];
    for (const platform of platforms) {
      const build = new ImageBuild(this.#options, this, platform);
      made.push({ ...bare(await build.#descriptor(image, path)), platform });
    }
    return made;
  }

  async #index(manifests: readonly Descriptor[]): Promise<Descriptor> {
    const index: ImageIndex = { schemaVersion: 2, mediaType: MEDIA.index, manifests };
    return { mediaType: MEDIA.index, ...(await this.#options.layout.put(encodeDocument(index))) };
  }

  /** Documents about what was made here; an image that somebody else built has its own. */
  async #documents(
    image: ImageSourceConfig,
    descriptor: Descriptor,
  ): Promise<readonly Descriptor[] | undefined> {
    const { layout, root, source } = this.#options;
    if (image.from.kind === "ref" || image.from.kind === "archive") return undefined;
    const manifest = await layout.readJson<ImageManifest>(descriptor.digest);
    const { config } = await layout.readJson<ImageConfigFile>(manifest.config.digest);
    const name = config?.Labels?.["org.opencontainers.image.base.name"];
    const digest = config?.Labels?.["org.opencontainers.image.base.digest"];
    return makeDocuments(layout, descriptor, {
      image: image.name,
      from: image.from,
      root,
      source,
      revision: this.#versionOf(image.name).revision,
      base: name === undefined || digest === undefined ? undefined : { name, digest },
      builder: this.#builtBy.get(image.name) ?? (image.from.kind === "command" ? "command" : "slipway"),
    });
  }

  #descriptor(image: ImageSourceConfig, path: readonly string[]): Promise<Descriptor> {
    const { from } = image;
    switch (from.kind) {
      case "context":
        return this.#fromContext(image.name, from, path);
      case "node":
        return this.#fromNode(image.name, from, path);
      case "ref":
        refuseHostBase(from.ref, image.name);
        return pullImage(this.#pullPorts(image.name), from.ref, image.name, this.#platform);
      case "archive":
        return importArchive(from.archive, this.#options.layout, this.#platform);
      case "command":
        return this.#fromCommand(image.name, from.command);
    }
  }

  #pullPorts(image: string): PullPorts {
    const { layout, registry, onProgress } = this.#options;
    return {
      layout,
      registry,
      onWarning: (message) => onProgress?.({ kind: "warning", image, message }),
    };
  }

  #fromCommand(image: string, command: readonly string[]): Promise<Descriptor> {
    const { env = process.env, layout, onProgress, root, signal } = this.#options;
    return imageOfCommand({
      image,
      command,
      root,
      env,
      platform: this.#platform,
      layout,
      signal,
      onOutput: (text) => onProgress?.({ kind: "output", image, text }),
    });
  }

  // A Dockerfile

  async #fromContext(
    name: string,
    from: ImageSourceConfig["from"] & { readonly kind: "context" },
    path: readonly string[],
  ): Promise<Descriptor> {
    const where = relative(this.#options.root, from.dockerfile) || from.dockerfile;
    const dockerfile = parseDockerfile(await readDockerfile(from.dockerfile, name), where);
    const { globalArgs, fromOf, stages } = plannedStages(dockerfile, from, name, this.#platform);
    const engine = await this.#engineFor(name, dockerfile, stages, fromOf);
    if (engine === undefined) refuseUnsupported(dockerfile, stages, name);
    const unused = unusedArgs(dockerfile, from.args);
    if (unused.length > 0) {
      const message = `${where}: no ARG takes the build argument ${unused.join(", ")}`;
      this.#options.onProgress?.({ kind: "warning", image: name, message });
    }
    const runLine = engine === undefined ? firstRun(stages) : undefined;
    // Before anything is built: whether this machine lets commands run at all.
    if (runLine !== undefined) await this.#openSandbox(`${where}:${runLine}`);

    const ignoreText =
      (await readTextIfExists(`${from.dockerfile}.dockerignore`)) ??
      (await readTextIfExists(join(from.context, ".dockerignore"))) ??
      "";
    // The local world's state (keys, the registry's own content) never belongs to an image, whatever is written there.
    const ignore = parseIgnore(`${ignoreText}\n**/.slipway`);
    const context = contextTree(
      from.context,
      `the build context ${relative(this.#options.root, from.context) || "."}`,
      ignore,
      this.#options.layout.now(),
    );
    if (engine !== undefined) {
      const { onProgress, signal, env = process.env } = this.#options;
      onProgress?.({ kind: "note", image: name, message: `built by ${engine.name}` });
      this.#builtBy.set(name, engine.name);
      return buildWithEngine({
        engine,
        image: name,
        from,
        context,
        labels: this.#labels(name),
        platform: this.#platform,
        layout: this.#options.layout,
        env,
        signal,
        modern: modernInstructions(dockerfile, stages),
        onOutput: (text) => onProgress?.({ kind: "output", image: name, text }),
      });
    }
    const dates = sourceDates(this.#options.history, from, context);
    for (const stage of stages) askTimes(stage, dates); // git answers while the bases are looked for
    const results = new Map<Stage, StageImage>();
    const platforms = stagePlatforms(dockerfile, stages, fromOf, globalArgs, this.#platform);
    for (const [stage, platform] of platforms) await this.#refuseForeignRun(stage, platform, where);
    for (const [stage, platform] of platforms) {
      const base = findStage(dockerfile, fromOf(stage), stage.index);
      const treeOf = async (text: string, at: string): Promise<SourceTree> => {
        const source = findStage(dockerfile, text, stage.index);
        const image =
          source === undefined
            ? await this.#baseImage(text, at, name, path, this.#platform).catch((error: unknown) => {
                throw noSuchStage(error, text, dockerfile, stage);
              })
            : (results.get(source) as StageImage);
        const files = await ImageFiles.open(this.#options.layout, image);
        return imageTree(files, `the image ${text}`, image.newest);
      };
      const at = `${where}:${stage.line}`;
      results.set(
        stage,
        await buildStage({
          layout: this.#options.layout,
          dockerfile,
          stage,
          base:
            base === undefined
              ? await this.#baseImage(fromOf(stage), at, name, path, platform)
              : (results.get(base) as StageImage),
          context,
          run: await this.#runPorts(name, from, where, platform),
          treeOf,
          buildArgs: from.args,
          globalArgs,
          mtime: Math.floor(this.#versionOf(name).commitTimeMs / 1000),
          dates,
          // Of the stages before the last one most layers stay here.
          onLayer: stage === stages.at(-1) ? (layer) => this.#options.onLayer?.(name, layer) : undefined,
        }),
      );
    }
    const last = stages.at(-1) as Stage;
    return this.#write(name, results.get(last) as StageImage, platforms.get(last) as Platform);
  }

  async #fromNode(
    name: string,
    from: ImageSourceConfig["from"] & { readonly kind: "node" },
    path: readonly string[],
  ): Promise<Descriptor> {
    const { layout, isLocal, onProgress, root, signal, env = process.env } = this.#options;
    const base = from.base ?? (isLocal ? "slipway/node" : undefined);
    if (base === undefined) throw baseMissing(name);
    const { nodeImage } = await import("./node/image.ts");
    const image = await nodeImage({
      layout,
      base: await this.#baseImage(base, `images/${name}/base`, name, path, this.#platform),
      folder: from.folder,
      where: relative(root, from.folder) || ".",
      platform: this.#platform,
      command: from.command,
      variables: from.env,
      commitMtime: Math.floor(this.#versionOf(name).commitTimeMs / 1000),
      env,
      signal,
      onOutput: (text) => onProgress?.({ kind: "output", image: name, text }),
      onWarning: (message) => onProgress?.({ kind: "warning", image: name, message }),
    });
    return this.#write(name, image, this.#platform);
  }

  #openSandbox(where: string): Promise<RunSandbox> {
    const { layout, signal } = this.#options;
    this.#sandbox ??= import("./run/sandbox.ts")
      .then(({ RunSandbox }) => RunSandbox.open(layout, signal))
      .catch((error: unknown) => {
        throw error instanceof SlipwayError ? runRefused(error, where) : error;
      });
    return this.#sandbox;
  }

  async #runPorts(
    image: string,
    from: ImageSourceConfig["from"] & { readonly kind: "context" },
    where: string,
    platform: Platform,
  ): Promise<RunPorts> {
    const { layout, onProgress } = this.#options;
    return {
      layout,
      platform,
      sandbox: () => this.#openSandbox(where),
      secrets: await readSecrets(
        from.secrets ?? {},
        `images/${image}/secrets`,
        this.#options.env ?? process.env,
      ),
      network: from.network ?? "host",
      onOutput: (text) => onProgress?.({ kind: "output", image, text }),
    };
  }

  /** The engine that builds this Dockerfile; undefined for Slipway's own builder. */
  async #engineFor(
    image: string,
    dockerfile: Dockerfile,
    stages: readonly Stage[],
    fromOf: (stage: Stage) => string,
  ): Promise<Engine | undefined> {
    const { builder = "slipway", signal, env = process.env, onProgress } = this.#options;
    if (builder === "slipway") return undefined;
    this.#engine ??= findEngine(builder, askPrograms(env, signal));
    const engine = await this.#engine;
    if (engine === undefined) return undefined;
    const own = stages.flatMap((stage) => [fromOf(stage), ...stage.instructions.flatMap(sourcesOf)]);
    const known = own.find((base) => this.#isOwnBase(base, image));
    if (known === undefined) return engine;
    const standIn = standInFor(this.#options.bases, known);
    const name = standIn === undefined ? known : `${known}, here ${standIn}`;
    const message = `built by slipway, not ${engine.name}: ${dockerfile.where} names ${name}, which only slipway has`;
    onProgress?.({ kind: "note", image, message });
    return undefined;
  }

  /** A base that no engine can find: made from this machine, an image of the configuration, or a stand-in. */
  #isOwnBase(base: string, image: string): boolean {
    const { bases, images } = this.#options;
    return (
      isHostBase(base) ||
      standInFor(bases, base) !== undefined ||
      images.some(({ name }) => name === base && name !== image)
    );
  }

  #versionOf(image: string): ImageVersion {
    const { versions, commitTimeMs, revision } = this.#options;
    return versions?.[image] ?? { commitTimeMs, revision };
  }

  async #refuseForeignRun(stage: Stage, platform: Platform, where: string): Promise<void> {
    if (firstRun([stage]) === undefined) return;
    const { foreignHere } = await import("./run/binfmt-misc.ts");
    const foreign = await foreignHere(platform, this.#options.binfmtMisc);
    if (foreign !== undefined) throw foreignRun(stage, platform, foreign, where);
  }

  /** What FROM (or COPY --from) names when it is no stage of the file. */
  async #baseImage(
    wanted: string,
    where: string,
    image: string,
    path: readonly string[],
    platform: Platform,
  ): Promise<StageImage> {
    const from = standInFor(this.#options.bases, wanted) ?? wanted;
    if (from === "scratch") return scratch();
    const { layout, isLocal, allowHostBases, images } = this.#options;
    const descriptor = isHostBase(from)
      ? await import("./host/base.ts").then(({ buildHostBase }) =>
          buildHostBase(from, layout, { isLocal, allowHostBases }, where, platform),
        )
      : images.some((one) => one.name === from) && from !== image
        ? await this.image(from, path)
        : await pullImage(this.#pullPorts(image), from, image, platform, where);
    const { manifest, config } = await readImageAt(layout, descriptor, platform);
    refuseTriggers(config, from, where);
    const created = Math.max(0, Math.floor(Date.parse(config.created ?? "") / 1000) || 0);
    return {
      config: plainConfig(config.config ?? {}),
      layers: manifest.layers.map(toOci),
      diffIds: config.rootfs.diff_ids,
      contents: config.rootfs.diff_ids,
      runMtime: created,
      newest: created,
      history: completeHistory(config),
      args: {},
      base: { name: isHostBase(from) ? from : nameOf(from, images), digest: descriptor.digest },
    };
  }

  #created(image: string): string {
    return new Date(Math.floor(this.#versionOf(image).commitTimeMs / 1000) * 1000).toISOString();
  }

  /** What every image says of itself, whoever built it. */
  #labels(image: string): Readonly<Record<string, string>> {
    const { source } = this.#options;
    const { revision } = this.#versionOf(image);
    return {
      "org.opencontainers.image.created": this.#created(image),
      ...(revision === undefined ? {} : { "org.opencontainers.image.revision": revision }),
      ...(source === undefined ? {} : { "org.opencontainers.image.source": source }),
    };
  }

  #write(name: string, image: StageImage, platform: Platform): Promise<Descriptor> {
    const [created, labels] = [this.#created(name), this.#labels(name)];
    return writeImage(this.#options.layout, image, { platform, created, labels });
  }
}
