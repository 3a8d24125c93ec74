/**
 * Blob uploads: POST starts one (or mounts, or takes the whole blob), PATCH appends, GET tells how far it is, PUT
 * ends it with a digest. Requests on one upload are served one after the other, so that the status asked after a
 * cut connection counts every byte that the cut request still delivered.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "@slipway/base";
import type { BlobWriter, ImageLayout } from "../layout.ts";
import { parseDigest } from "../oci.ts";
import type { Exchange } from "./exchange.ts";
import { RegistryError } from "./response.ts";

const EXPIRY_MS = 60 * 60 * 1000;
const IDLE_MS = 60_000;

export interface UploadLimits {
  /** An upload that nobody continued for this long is dropped. Default 1 h. */
  readonly expiryMs?: number | undefined;
  /** A body of which nothing arrived for this long is cut off, so that the upload can go on. Default 60 s. */
  readonly idleMs?: number | undefined;
}

interface Upload {
  readonly id: string;
  readonly repository: string;
  readonly writer: BlobWriter;
  lastUsedMs: number;
  queue: Promise<unknown>;
}

export class Uploads {
  readonly #layout: ImageLayout;
  readonly #clock: Clock;
  readonly #expiryMs: number;
  readonly #idleMs: number;
  readonly #uploads = new Map<string, Upload>();

  constructor(layout: ImageLayout, clock: Clock, limits: UploadLimits = {}) {
    this.#layout = layout;
    this.#clock = clock;
    this.#expiryMs = limits.expiryMs ?? EXPIRY_MS;
    this.#idleMs = limits.idleMs ?? IDLE_MS;
  }

  async start(exchange: Exchange): Promise<void> {
    const { query, response, repository } = exchange;
    await this.#expire();
    const mounted = query.get("mount");
    if (mounted !== null && parseDigest(mounted) === undefined) throw badDigest(mounted);
    if (mounted !== null && (await this.#layout.size(mounted)) !== undefined) {
      await this.#layout.touch(mounted);
      return created(exchange, mounted);
    }
    const digest = query.get("digest");
    if (digest !== null && parseDigest(digest) === undefined) throw badDigest(digest);
    const upload: Upload = {
      id: randomUUID(),
      repository,
      writer: await this.#layout.startBlob(),
      lastUsedMs: this.#clock.monotonic(),
      queue: Promise.resolve(),
    };
    this.#uploads.set(upload.id, upload);
    if (digest !== null && mounted === null) {
      return this.#inTurn(upload, () => this.#complete(exchange, upload, digest));
    }
    response
      .writeHead(202, { ...this.#place(upload), "Content-Length": 0, "OCI-Chunk-Min-Length": "1" })
      .end();
  }

  async append(exchange: Exchange, id: string): Promise<void> {
    const upload = await this.#known(exchange, id);
    return this.#inTurn(upload, async () => {
      this.#checkStart(exchange, upload);
      await this.#receive(exchange, upload);
      exchange.response.writeHead(202, { ...this.#place(upload), "Content-Length": 0 }).end();
    });
  }

  async finish(exchange: Exchange, id: string): Promise<void> {
    const upload = await this.#known(exchange, id);
    const digest = exchange.query.get("digest") ?? "";
    if (parseDigest(digest) === undefined) throw badDigest(digest);
    return this.#inTurn(upload, async () => {
      this.#checkStart(exchange, upload);
      await this.#complete(exchange, upload, digest);
    });
  }

  async status(exchange: Exchange, id: string): Promise<void> {
    const upload = await this.#known(exchange, id);
    return this.#inTurn(upload, async () => {
      exchange.response.writeHead(204, this.#place(upload)).end();
    });
  }

  async cancel(exchange: Exchange, id: string): Promise<void> {
    const upload = await this.#known(exchange, id);
    return this.#inTurn(upload, async () => {
      await this.#drop(upload);
      exchange.response.writeHead(204).end();
    });
  }

  async close(): Promise<void> {
    for (const upload of [...this.#uploads.values()]) await this.#drop(upload);
  }

  async #complete(exchange: Exchange, upload: Upload, digest: string): Promise<void> {
    await this.#receive(exchange, upload);
    try {
      await upload.writer.commit(digest);
    } catch (error) {
      await this.#drop(upload); // the bytes are wrong; continuing could never make them right
      throw error;
    }
    this.#uploads.delete(upload.id);
    created(exchange, digest);
  }

  async #known(exchange: Exchange, id: string): Promise<Upload> {
    await this.#expire();
    const upload = this.#uploads.get(id);
    if (upload === undefined || upload.repository !== exchange.repository) {
      throw new RegistryError(404, "BLOB_UPLOAD_UNKNOWN", "no such upload; start it again");
    }
    return upload;
  }

  /**
   * Content-Range of an upload is `<start>-<end>` without a unit; a start that is not the end so far is 416, and a
   * length that is not the body's is 400.
   */
  #checkStart(exchange: Exchange, upload: Upload): void {
    const { "content-range": header, "content-length": length } = exchange.request.headers;
    if (header === undefined) return;
    const match = /^(?:bytes )?(\d+)-(\d+)$/.exec(header);
    if (match !== null && Number(match[1]) === upload.writer.size) {
      const announced = Number(match[2]) - Number(match[1]) + 1;
      if (length === undefined || Number(length) === announced) return;
      throw new RegistryError(
        400,
        "SIZE_INVALID",
        `Content-Range ${header} has ${announced} bytes, the body ${length}`,
        this.#place(upload),
      );
    }
    throw new RegistryError(
      416,
      "BLOB_UPLOAD_INVALID",
      `the upload stands at byte ${upload.writer.size}`,
      this.#place(upload),
    );
  }

  /** `Range: 0-0` also stands for nothing received: the specification has no way to say so. */
  #place(upload: Upload): Record<string, string> {
    return {
      Location: `/v2/${upload.repository}/blobs/uploads/${upload.id}`,
      Range: `0-${Math.max(0, upload.writer.size - 1)}`,
      "Docker-Upload-UUID": upload.id,
    };
  }

  #inTurn(upload: Upload, body: () => Promise<void>): Promise<void> {
    upload.lastUsedMs = this.#clock.monotonic();
    const result = upload.queue.then(() => {
      // An earlier request in the queue may have finished or dropped it.
      if (!this.#uploads.has(upload.id)) {
        throw new RegistryError(404, "BLOB_UPLOAD_UNKNOWN", "the upload has ended; start it again");
      }
      return body();
    });
    upload.queue = result.catch(() => {});
    return result;
  }

  /**
   * A client whose line went dead leaves its request open, and everything on this upload would wait behind it. Its silence
   * counts only while it is listened to: what the disk takes is not the client's, which may have said all it has to say.
   */
  async #receive({ request }: Exchange, upload: Upload): Promise<void> {
    request.on("timeout", () => request.destroy());
    request.setTimeout(this.#idleMs);
    try {
      for await (const chunk of request) {
        request.setTimeout(0);
        await upload.writer.write(chunk as Uint8Array);
        request.setTimeout(this.#idleMs);
      }
    } finally {
      request.setTimeout(0);
    }
  }

  async #drop(upload: Upload): Promise<void> {
    this.#uploads.delete(upload.id);
    await upload.writer.abort();
  }

  async #expire(): Promise<void> {
    const oldest = this.#clock.monotonic() - this.#expiryMs;
    for (const upload of [...this.#uploads.values()]) {
      if (upload.lastUsedMs < oldest) await this.#drop(upload);
    }
  }
}

function created(exchange: Exchange, digest: string): void {
  exchange.response
    .writeHead(201, {
      Location: `/v2/${exchange.repository}/blobs/${digest}`,
      "Docker-Content-Digest": digest,
      "Content-Length": 0,
    })
    .end();
}

function badDigest(digest: string): RegistryError {
  return new RegistryError(400, "DIGEST_INVALID", `"${digest}" is not a digest`);
}
