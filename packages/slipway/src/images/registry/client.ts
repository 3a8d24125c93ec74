/**
 * Push to and pull from any OCI registry. Content goes between a registry and an image layout, blobs four at a
 * time, always in the order blobs → manifests → tag, so that a tag never names what is not there.
 *
 * An upload that breaks is continued where the server says it stands; at most one chunk is sent twice. Bodies on
 * their way in are checked against their digest before they become visible in the layout.
 *
 * @example
 * const client = createRegistryClient({ clock, random, credentials: dockerCredentials(process.env) });
 * const base = await client.pull("registry.example/base:1", layout);
 * await client.push(layout, descriptor, "127.0.0.1:5000/shop/web:v1", { mountFrom: ["shop/base"] });
 */
import { type Clock, type Random, systemClock, systemRandom } from "@slipway/base";
import type { ImageLayout } from "../layout.ts";
import {
  choosePlatform,
  type Descriptor,
  hostPlatform,
  type ImageIndex,
  isIndexType,
  type Platform,
} from "../oci.ts";
import { formatReference, type ImageReference, parseReference } from "../reference.ts";
import { type FindCredentials, noCredentials } from "./credentials.ts";
import { RegistryHttp } from "./http.ts";
import { getManifest, head, platforms, pullBlob, pullManifest } from "./pull.ts";
import { type PushResult, pushImage } from "./push.ts";
import { type UploadOutcome, uploadBlob } from "./upload.ts";

/** A blob up to this size is sent in one PUT, a bigger one in parts of it. */
const CHUNK_BYTES = 8 * 1024 * 1024;

export interface RegistryClientOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly credentials?: FindCredentials;
  /** Bytes per PATCH; a server may ask for more (OCI-Chunk-Min-Length). */
  readonly chunkBytes?: number;
  /** Ends whatever the client does: it rejects with the signal's reason. What a registry has taken by then, the next push finds there. */
  readonly signal?: AbortSignal | undefined;
}

export interface RegistryClient {
  /** What a reference names now; undefined when the registry has no such tag or digest. The signal ends the question. */
  head(reference: string, signal?: AbortSignal): Promise<Descriptor | undefined>;
  /** What an image can run on: the entries of an index, or what a single image's own config says. */
  platforms(reference: string): Promise<readonly Platform[]>;
  /** The descriptor of the image for one platform: an index is resolved to its entry. Rejects when there is none. */
  resolve(reference: string, platform?: Platform): Promise<Descriptor>;
  /** The manifest or index that a reference names, as its bytes. Rejects with REGISTRY_NOT_FOUND when there is none. */
  manifest(reference: string): Promise<{ readonly descriptor: Descriptor; readonly body: Buffer }>;
  /** Copies one blob of a repository into the layout. */
  blob(repository: string, digest: string, layout: ImageLayout): Promise<void>;
  /** Copies the image for one platform into the layout and returns its manifest's descriptor. */
  pull(
    reference: string,
    layout: ImageLayout,
    options?: { readonly platform?: Platform },
  ): Promise<Descriptor>;
  /**
   * `mountFrom`: repositories of the same registry that may already hold some of the blobs. `attached`: manifests about the
   * image, for the same repository.
   */
  push(
    layout: ImageLayout,
    image: Descriptor,
    reference: string,
    options?: { readonly mountFrom?: readonly string[]; readonly attached?: readonly Descriptor[] },
  ): Promise<PushResult>;
  /**
   * Begins to send a blob of an image that will be pushed to this repository; the push does not send it again, and
   * tells when it failed.
   */
  sendAhead(layout: ImageLayout, blob: Descriptor, reference: string): void;
  /**
   * Loads what requests need, and asks what these references name, for the first `pull` of each: while something else is
   * waited for, that costs nothing.
   */
  prepare(references?: readonly string[]): void;
  close(): Promise<void>;
}

export function createRegistryClient(options: RegistryClientOptions = {}): RegistryClient {
  const http = new RegistryHttp({
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom(),
    credentials: options.credentials ?? noCredentials,
    signal: options.signal,
  });
  const chunkBytes = options.chunkBytes ?? CHUNK_BYTES;
  const ahead: {
    readonly reference: ImageReference;
    readonly digest: string;
    readonly outcome: Promise<UploadOutcome>;
  }[] = [];
  const asked = new Map<string, ReturnType<typeof getManifest>>();
  const answerTo = (reference: ImageReference): ReturnType<typeof getManifest> => {
    const name = formatReference(reference);
    const answer = asked.get(name) ?? getManifest(http, reference);
    asked.delete(name); // another time is another question
    return answer;
  };
  const resolve = async (
    { descriptor, body }: Awaited<ReturnType<typeof getManifest>>,
    reference: ImageReference,
    platform: Platform,
  ): Promise<Descriptor> => {
    if (!isIndexType(descriptor.mediaType)) return descriptor;
    const index = JSON.parse(body.toString("utf8")) as ImageIndex;
    return choosePlatform(index, platform, formatReference(reference));
  };
  return {
    head: (text, signal) => head(http, parseReference(text), signal),
    platforms: (text) => platforms(http, parseReference(text)),
    resolve: async (text, platform = hostPlatform()) => {
      const reference = parseReference(text);
      return resolve(await getManifest(http, reference), reference, platform);
    },
    manifest: (text) => getManifest(http, parseReference(text)),
    blob: (text, digest, layout) => pullBlob(http, parseReference(text), { digest }, layout),
    pull: async (text, layout, { platform = hostPlatform() } = {}) => {
      const reference = parseReference(text);
      const descriptor = await resolve(await answerTo(reference), reference, platform);
      await pullManifest(http, reference, descriptor, layout);
      return descriptor;
    },
    push: (layout, image, text, { mountFrom = [], attached = [] } = {}) => {
      const reference = parseReference(text);
      const begun = ({ digest }: Descriptor): Promise<UploadOutcome> | undefined =>
        ahead.find((one) => one.digest === digest && isSameRepository(one.reference, reference))?.outcome;
      return pushImage({ http, layout, reference, mountFrom, chunkBytes, begun }, image, attached);
    },
    sendAhead: (layout, blob, text) => {
      const reference = parseReference(text);
      const same = ahead.filter(
        (one) => one.digest === blob.digest && one.reference.registry === reference.registry,
      );
      if (same.some((one) => isSameRepository(one.reference, reference))) return;
      const mountFrom = same.map((one) => one.reference.repository);
      const target = { http, layout, reference, mountFrom, chunkBytes };
      const outcome = Promise.allSettled(same.map((one) => one.outcome)).then(() => uploadBlob(target, blob));
      outcome.catch(() => {}); // told by the push
      ahead.push({ reference, digest: blob.digest, outcome });
    },
    prepare: (references = []) => {
      http.prepare();
      for (const reference of references.map((text) => parseReference(text))) {
        const name = formatReference(reference);
        const answer = getManifest(http, reference);
        asked.set(name, answer);
        // Told by the pull that waits for it; one that comes later asks itself.
        answer.catch(() => asked.get(name) === answer && asked.delete(name));
      }
    },
    close: () => http.close(),
  };
}

const isSameRepository = (a: ImageReference, b: ImageReference): boolean =>
  a.registry === b.registry && a.repository === b.repository;
