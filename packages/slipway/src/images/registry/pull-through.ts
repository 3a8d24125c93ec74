/**
 * Repositories whose first part names an upstream are mirrors: `hub/library/nginx` is `library/nginx` of the registry that
 * is called `hub`. What is asked for the first time is fetched, checked against its digest and kept; from then on it is
 * there without the upstream. A tag is compared with the upstream's at each question, and answered from what is kept when
 * the upstream does not answer. Mirrors cannot be pushed to.
 */
import { type Clock, SlipwayError } from "@slipway/base";
import type { ImageLayout } from "../layout.ts";
import { type Descriptor, parseDigest } from "../oci.ts";
import { RegistryError } from "./response.ts";

/** A registry to fetch from; `createRegistryClient` makes one. References are `host/repository:tag` or `…@sha256:…`. */
export interface UpstreamClient {
  head(reference: string, signal?: AbortSignal): Promise<Descriptor | undefined>;
  manifest(reference: string): Promise<{ readonly descriptor: Descriptor; readonly body: Uint8Array }>;
  /** Copies a blob into the layout; rejects when its content is not its digest. */
  blob(reference: string, digest: string, layout: ImageLayout): Promise<void>;
}

export interface Upstreams {
  /** First part of the repositories' names → host of the registry: `{ hub: "docker.io" }`. */
  readonly hosts: Readonly<Record<string, string>>;
  readonly client: UpstreamClient;
}

/** How long the upstream is waited for when what is kept can be given instead. */
const PATIENCE_MS = 3000;
/** An upstream that did not answer is not asked about what is kept for so long. */
const REST_MS = 30_000;

export interface Mirror {
  readonly host: string;
  /** `docker.io/library/nginx` */
  readonly source: string;
}

/** Whose mirror a repository is: its first part is one of the names of `hosts`. */
export function mirrorOf(hosts: Readonly<Record<string, string>>, repository: string): Mirror | undefined {
  const slash = repository.indexOf("/");
  const name = repository.slice(0, Math.max(0, slash));
  const host = Object.hasOwn(hosts, name) ? hosts[name] : undefined;
  return host === undefined ? undefined : { host, source: `${host}/${repository.slice(slash + 1)}` };
}

export class PullThrough {
  readonly #layout: ImageLayout;
  readonly #upstreams: Upstreams;
  readonly #clock: Clock;
  readonly #restsUntil = new Map<string, number>();
  /** Fetches that are going on: whoever asks for the same waits for them. */
  readonly #fetches = new Map<string, Promise<void>>();

  constructor(layout: ImageLayout, upstreams: Upstreams, clock: Clock) {
    this.#layout = layout;
    this.#upstreams = upstreams;
    this.#clock = clock;
  }

  isMirror(repository: string): boolean {
    return this.#mirrorOf(repository) !== undefined;
  }

  /** Sees to it that the layout has the manifest that the upstream has by this name, if it can be had. */
  async bringManifest(repository: string, tagOrDigest: string): Promise<void> {
    const mirror = this.#mirrorOf(repository);
    if (mirror === undefined) return;
    const kept = await this.#layout.resolve(repository, tagOrDigest);
    if (parseDigest(tagOrDigest) !== undefined) {
      if (kept !== undefined) return;
      return this.#once(`${repository}@${tagOrDigest}`, () =>
        this.#fetchManifest(repository, `${mirror.source}@${tagOrDigest}`, []),
      );
    }
    const reference = `${mirror.source}:${tagOrDigest}`;
    if (kept !== undefined && (await this.#isCurrent(mirror, reference, kept))) return;
    await this.#once(`${repository}:${tagOrDigest}`, () =>
      this.#fetchManifest(repository, reference, [tagOrDigest]),
    );
  }

  async bringBlob(repository: string, digest: string): Promise<void> {
    const mirror = this.#mirrorOf(repository);
    if (mirror === undefined || parseDigest(digest) === undefined) return;
    if ((await this.#layout.size(digest)) !== undefined) return;
    await this.#once(digest, () => this.#upstreams.client.blob(mirror.source, digest, this.#layout));
  }

  #mirrorOf(repository: string): Mirror | undefined {
    return mirrorOf(this.#upstreams.hosts, repository);
  }

  /** True as well when the upstream cannot be asked. */
  async #isCurrent(mirror: Mirror, reference: string, kept: Descriptor): Promise<boolean> {
    if ((this.#restsUntil.get(mirror.host) ?? 0) > this.#clock.monotonic()) return true;
    const asked = new AbortController();
    const answered = new AbortController();
    void this.#clock.sleep(PATIENCE_MS, answered.signal).then(
      () => asked.abort(),
      () => {},
    );
    try {
      const there = await this.#upstreams.client.head(reference, asked.signal);
      if (there === undefined) throw notThere(reference);
      return there.digest === kept.digest;
    } catch (error) {
      if (error instanceof RegistryError || isRefusal(error)) throw asAnswer(reference, error);
      this.#restsUntil.set(mirror.host, this.#clock.monotonic() + REST_MS);
      return true;
    } finally {
      answered.abort();
    }
  }

  async #fetchManifest(repository: string, reference: string, tags: readonly string[]): Promise<void> {
    const { descriptor, body } = await this.#upstreams.client.manifest(reference);
    await this.#layout.put(body, descriptor.digest);
    await this.#layout.hold(repository, descriptor, tags);
  }

  #once(key: string, fetch: () => Promise<void>): Promise<void> {
    const running = this.#fetches.get(key);
    if (running !== undefined) return running;
    const started = fetch()
      .catch((error: unknown) => {
        throw asAnswer(key, error);
      })
      .finally(() => this.#fetches.delete(key));
    this.#fetches.set(key, started);
    return started;
  }
}

const REFUSALS: ReadonlySet<string> = new Set(["REGISTRY_DENIED", "REGISTRY_NOT_FOUND", "REGISTRY_REFUSED"]);

const isRefusal = (error: unknown): boolean => error instanceof SlipwayError && REFUSALS.has(error.code);

const notThere = (what: string): RegistryError =>
  new RegistryError(404, "MANIFEST_UNKNOWN", `the upstream has no ${what}`);

function asAnswer(what: string, error: unknown): unknown {
  if (!(error instanceof SlipwayError)) return error;
  switch (error.code) {
    case "REGISTRY_NOT_FOUND":
      return notThere(what);
    case "REGISTRY_DENIED":
      return new RegistryError(403, "DENIED", `the upstream refused ${what}: ${error.message}`);
    default:
      return new RegistryError(502, "UNKNOWN", `the upstream did not give ${what}: ${error.message}`);
  }
}
