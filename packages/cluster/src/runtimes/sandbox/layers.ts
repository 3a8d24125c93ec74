/**
 * Unpacked layers on disk, shared by all clusters of a world: one folder per layer digest, made once, atomically,
 * never changed. Names are short (24 hex digits, 96 bits) because overlay's options must fit in one page.
 */
import { createHash, randomUUID } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { ContainerStartError, type ImageSource, type ResolvedImage } from "../runtime.ts";
import type { Request } from "./protocol.ts";
import { type Whiteouts, whiteoutsFile } from "./unpack.ts";

/** Work in progress by folder, so that two clusters that want one layer at the same time wait for each other. */
const inProgress = new Map<string, Promise<void>>();

export class LayerStore {
  readonly #directory: string;
  readonly #images: ImageSource;
  /** Runs a job inside the node agent's namespaces. */
  readonly #run: (job: Extract<Request, { do: "unpack" | "flatten" }>) => Promise<unknown>;

  constructor(
    directory: string,
    images: ImageSource,
    run: (job: Extract<Request, { do: "unpack" | "flatten" }>) => Promise<unknown>,
  ) {
    this.#directory = directory;
    this.#images = images;
    this.#run = run;
    mkdirSync(directory, { recursive: true });
  }

  has(image: ResolvedImage): boolean {
    return image.layers.every((layer) => existsSync(join(this.#directory, layerName(layer.digest))));
  }

  /** Folder names of the image's root filesystem, the topmost first. */
  async ensure(image: ResolvedImage): Promise<readonly string[]> {
    await Promise.all(image.layers.map((layer) => this.#layer(image, layer)));
    let stack: string[] = [];
    for (const layer of image.layers) {
      const name = layerName(layer.digest);
      const { deleted, opaque, linked = [] } = this.#whiteouts(name);
      const reachesBelow = deleted.length + opaque.length > 0 ? stack.length > 0 : linked.length > 0;
      stack = reachesBelow ? [await this.#flattened(stack, name)] : [...stack, name];
    }
    return stack.reverse();
  }

  async #layer(image: ResolvedImage, layer: ResolvedImage["layers"][number]): Promise<void> {
    const name = layerName(layer.digest);
    await this.#once(name, async () => {
      const archive = join(this.#directory, `.${name}.${randomUUID()}.download`);
      try {
        await this.#download(image, layer, archive);
        await this.#run({ do: "unpack", archive, mediaType: layer.mediaType, diffId: layer.diffId, name });
      } finally {
        await rm(archive, { force: true });
      }
    });
  }

  async #download(
    image: ResolvedImage,
    layer: ResolvedImage["layers"][number],
    archive: string,
  ): Promise<void> {
    const hash = createHash("sha256");
    const stream = await this.#images.openLayer(image, layer.digest);
    await pipeline(
      stream,
      async function* (source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          hash.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(archive, { mode: 0o644 }),
    );
    const digest = `sha256:${hash.digest("hex")}`;
    if (digest === layer.digest) return;
    throw new ContainerStartError(
      "ErrImagePull",
      `failed to pull image "${image.reference}": layer ${layer.digest} arrived as ${digest}`,
    );
  }

  #whiteouts(name: string): Whiteouts {
    return JSON.parse(readFileSync(whiteoutsFile(this.#directory, name), "utf8")) as Whiteouts;
  }

  async #flattened(lowers: readonly string[], layer: string): Promise<string> {
    const name = `f${createHash("sha256")
      .update([...lowers, layer].join(":"))
      .digest("hex")
      .slice(0, 24)}`;
    await this.#once(name, () => this.#run({ do: "flatten", lowers, layer, name }));
    return name;
  }

  async #once(name: string, make: () => Promise<unknown>): Promise<void> {
    const path = join(this.#directory, name);
    if (existsSync(path)) return;
    let running = inProgress.get(path);
    if (running === undefined) {
      running = make()
        .then(() => {})
        .finally(() => inProgress.delete(path));
      inProgress.set(path, running);
    }
    await running;
  }
}

/** Of layers that no image has any more. What belongs to other users, of an ordinary user's range, stays. */
export async function removeUnpacked(directory: string, digests: readonly string[]): Promise<void> {
  for (const name of digests.map(layerName)) {
    for (const path of [join(directory, name), whiteoutsFile(directory, name)])
      await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

function layerName(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1).slice(0, 24);
}
