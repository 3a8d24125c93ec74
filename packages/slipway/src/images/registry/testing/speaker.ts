/** The requests of the OCI distribution specification, for one repository of a registry under test. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { MEDIA } from "../../oci.ts";

export type Call = (path: string, init?: RequestInit) => Promise<Response>;

/** The requests of the specification, for one repository. */
export class Speaker {
  readonly call: Call;
  readonly repository: string;

  constructor(call: Call, repository: string) {
    this.call = call;
    this.repository = repository;
  }

  at(rest: string): string {
    return `/v2/${this.repository}/${rest}`;
  }

  /** A request that must be answered with one of `statuses`. */
  async expect(statuses: number | readonly number[], path: string, init?: RequestInit): Promise<Response> {
    const response = await this.call(path, init);
    const wanted = [statuses].flat();
    if (!wanted.includes(response.status)) {
      const text = await response.text();
      assert.fail(
        `${init?.method ?? "GET"} ${path}: ${response.status}, not ${wanted.join(" or ")}: ${text}`,
      );
    }
    return response;
  }

  /** The same, for an error: checks its body too. */
  async refused(
    statuses: number | readonly number[],
    code: string | readonly string[],
    path: string,
    init?: RequestInit,
  ): Promise<Response> {
    const response = await this.expect(statuses, path, init);
    const body = (await response.json()) as { errors?: { code?: string; message?: string }[] };
    assert.ok([code].flat().includes(body.errors?.[0]?.code ?? ""), `${path}: ${JSON.stringify(body)}`);
    assert.equal(typeof body.errors?.[0]?.message, "string");
    return response;
  }

  async startUpload(): Promise<string> {
    return locationOf(await this.expect(202, this.at("blobs/uploads/"), { method: "POST" }));
  }

  async putBlob(data: Uint8Array | string): Promise<string> {
    const digest = sha256(data);
    const location = withDigest(await this.startUpload(), digest);
    await this.expect(201, location, { method: "PUT", body: bytes(data), headers: OCTETS });
    return digest;
  }

  patch(location: string, data: Uint8Array, start?: number): Promise<Response> {
    const range = start === undefined ? {} : { "content-range": `${start}-${start + data.length - 1}` };
    return this.call(location, { method: "PATCH", body: bytes(data), headers: { ...OCTETS, ...range } });
  }

  /** A manifest whose blobs are there. */
  async manifest(text: string, extra: object = {}): Promise<string> {
    const config = await this.putBlob(`{"of":${JSON.stringify(text)}}`);
    const layer = await this.putBlob(`layer of ${text}`);
    return JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: {
        mediaType: MEDIA.config,
        digest: config,
        size: Buffer.byteLength(`{"of":${JSON.stringify(text)}}`),
      },
      layers: [{ mediaType: MEDIA.layer, digest: layer, size: Buffer.byteLength(`layer of ${text}`) }],
      ...extra,
    });
  }

  putManifest(reference: string, body: string, type: string = MEDIA.manifest): Promise<Response> {
    return this.call(this.at(`manifests/${reference}`), {
      method: "PUT",
      body,
      headers: { "content-type": type },
    });
  }

  async stored(reference: string, body: string, type?: string): Promise<Response> {
    const response = await this.putManifest(reference, body, type);
    assert.equal(response.status, 201, response.status === 201 ? "" : await response.text());
    return response;
  }

  getManifest(reference: string, method = "GET"): Promise<Response> {
    return this.call(this.at(`manifests/${reference}`), { method, headers: { accept: ACCEPT } });
  }
}

export const OCTETS = { "content-type": "application/octet-stream" };
const ACCEPT = [MEDIA.manifest, MEDIA.index, MEDIA.dockerManifest, MEDIA.dockerList].join(", ");
export const bytes = (data: Uint8Array | string): Buffer<ArrayBuffer> => Buffer.from(data as string);
export const digestBy = (algorithm: string, data: Uint8Array | string): string =>
  `${algorithm}:${createHash(algorithm).update(data).digest("hex")}`;
export const sha256 = (data: Uint8Array | string): string => digestBy("sha256", data);
export const withDigest = (location: string, digest: string): string =>
  `${location}${location.includes("?") ? "&" : "?"}digest=${digest}`;

export function locationOf(response: Response): string {
  const location = response.headers.get("location");
  assert.ok(location !== null, "no Location");
  return location;
}

export const range = (response: Response): string | null => response.headers.get("range");
/** Content of blobs. */
export const data = Buffer.from(Array.from({ length: 3000 }, (_, at) => (at * 7) % 251));

/** Cases by name: what a registry must do. */
export type Cases = Readonly<Record<string, (speak: Speaker) => Promise<void>>>;
