/**
 * The embedded registry: the OCI distribution API (1.1) over one image layout, on node:http. Docker, skopeo, crane
 * and the sandbox can push to it and pull from it. It listens on this machine only unless told otherwise, and has
 * users only when told so (`access.ts`).
 *
 * Bodies are hashed as they arrive and never held in memory; manifests are kept byte for byte. An upload that was
 * cut off can be continued: what arrived is counted, GET on the upload says how much, PATCH goes on from there.
 * Upload sessions live in memory: after a restart the client starts that blob again (404 BLOB_UPLOAD_UNKNOWN).
 *
 * Source: OCI distribution specification 1.1, the table of end points and its error codes.
 */
import { rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, SlipwayError, systemClock, systemCode } from "@slipway/base";
import { ImageLayout } from "../layout.ts";
import { isRepositoryName, isTag } from "../reference.ts";
import { Gate, type RegistryAccess } from "./access.ts";
import { deleteBlob, getBlob } from "./blobs.ts";
import type { Exchange } from "./exchange.ts";
import { listReferrers, listRepositories, listTags } from "./lists.ts";
import { deleteManifest, getManifest, putManifest } from "./manifests.ts";
import { PullThrough, type Upstreams } from "./pull-through.ts";
import { RegistryError, sendError } from "./response.ts";
import { type UploadLimits, Uploads } from "./uploads.ts";

export interface RegistryOptions {
  /** Folder of the image layout; created when missing. */
  readonly directory: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly clock?: Clock;
  /** Users; without it everybody may do everything. */
  readonly access?: RegistryAccess;
  /** Refuses every change (405 UNSUPPORTED). */
  readonly isReadOnly?: boolean;
  /** A tag that exists names its manifest for good: a push that would move it is refused (403 DENIED). */
  readonly hasImmutableTags?: boolean;
  /** Other registries that are mirrored here on demand. */
  readonly upstreams?: Upstreams;
  readonly uploads?: UploadLimits;
}

export interface Registry {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** `127.0.0.1:PORT`, as image references name it. */
  readonly host: string;
  readonly port: number;
  readonly layout: ImageLayout;
  close(): Promise<void>;
}

/** What every request meets. */
interface Parts {
  readonly layout: ImageLayout;
  readonly uploads: Uploads;
  readonly gate: Gate | undefined;
  readonly pullThrough: PullThrough | undefined;
  readonly isReadOnly: boolean;
  readonly hasImmutableTags: boolean;
}

/** Rejects with REGISTRY_PORT_TAKEN when another program listens there. */
export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const clock = options.clock ?? systemClock;
  const layout = await ImageLayout.open(options.directory, { clock });
  const uploads = new Uploads(layout, clock, options.uploads);
  const parts: Parts = {
    layout,
    uploads,
    gate: options.access === undefined ? undefined : new Gate(options.access, clock),
    pullThrough:
      options.upstreams === undefined ? undefined : new PullThrough(layout, options.upstreams, clock),
    isReadOnly: options.isReadOnly ?? false,
    hasImmutableTags: options.hasImmutableTags ?? false,
  };
  const server = createServer((request, response) => {
    void answer(parts, request, response);
  });
  server.requestTimeout = 0; // a big layer over a slow line is not an attack
  const host = options.host ?? "127.0.0.1";
  // Only who has the port owns the folder, and may be sent something new from then on.
  const left = await layout.leftIncoming();
  const port = await listen(server, host, options.port);
  for (const path of left) await rm(path, { force: true });
  return {
    url: `http://${host}:${port}`,
    host: `${host}:${port}`,
    port,
    layout,
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await uploads.close();
    },
  };
}

async function answer(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.setHeader("Docker-Distribution-API-Version", "registry/2.0");
  try {
    await route(parts, request, response);
  } catch (error) {
    if (request.destroyed && !request.complete) return void response.destroy(); // the client went away
    await sendError(request, response, error);
  }
}

async function route(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { layout, uploads, gate, pullThrough } = parts;
  const url = new URL(request.url ?? "/", "http://registry");
  const path = decodePath(url.pathname);
  if (gate !== undefined && path === "/token") return gate.giveToken(request, response);
  const match = /^\/v2\/(.+)\/(blobs\/uploads|blobs|manifests|tags|referrers)\/([^/]*)$/.exec(path);
  gate?.check(request, match?.[1]);
  const method = request.method ?? "GET";
  const isRead = method === "GET" || method === "HEAD";
  if (isRead && (path === "/v2/" || path === "/v2"))
    return void response.writeHead(200, { "Content-Type": "application/json" }).end("{}");
  if (isRead && path === "/v2/_catalog") return listRepositories(layout, url.searchParams, response);

  if (match === null) throw new RegistryError(404, "NAME_UNKNOWN", `no such page: ${path}`);
  const [, repository, section, last] = match as unknown as [string, string, string, string];
  if (!isRepositoryName(repository)) {
    throw new RegistryError(400, "NAME_INVALID", `"${repository}" is not a repository name`);
  }
  if (parts.isReadOnly && !isRead) throw new RegistryError(405, "UNSUPPORTED", "this registry is read-only");
  if (!isRead && pullThrough?.isMirror(repository) === true)
    throw new RegistryError(405, "UNSUPPORTED", `${repository} mirrors another registry; push it there`);
  const exchange: Exchange = {
    layout,
    request,
    response,
    query: url.searchParams,
    repository,
    hasImmutableTags: parts.hasImmutableTags,
  };
  switch (`${method === "HEAD" ? "GET" : method} ${section}`) {
    case "GET blobs":
      await pullThrough?.bringBlob(repository, last);
      return getBlob(exchange, last);
    case "DELETE blobs":
      return deleteBlob(exchange, last);
    case "POST blobs/uploads":
      return uploads.start(exchange);
    case "PATCH blobs/uploads":
      return uploads.append(exchange, last);
    case "PUT blobs/uploads":
      return uploads.finish(exchange, last);
    case "GET blobs/uploads":
      return uploads.status(exchange, last);
    case "DELETE blobs/uploads":
      return uploads.cancel(exchange, last);
    case "GET manifests":
      await pullThrough?.bringManifest(repository, checkedReference(last));
      return getManifest(exchange, checkedReference(last));
    case "PUT manifests":
      return putManifest(exchange, checkedReference(last));
    case "DELETE manifests":
      return deleteManifest(exchange, checkedReference(last));
    case "GET tags":
      if (last === "list") return listTags(exchange);
      break;
    case "GET referrers":
      return listReferrers(exchange, last);
  }
  throw new RegistryError(405, "UNSUPPORTED", `${method} is not supported for ${section}`);
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new RegistryError(400, "NAME_INVALID", "the path is not valid percent-encoding");
  }
}

/** A tag or digest; both are checked before any of it may become part of a path. */
function checkedReference(text: string): string {
  if (text.includes(":") || isTag(text)) return text;
  throw new RegistryError(400, "MANIFEST_INVALID", `"${text}" is not a tag`);
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      if (systemCode(cause) !== "EADDRINUSE") return reject(cause);
      reject(
        new SlipwayError({
          code: "REGISTRY_PORT_TAKEN",
          where: `${host}:${port}`,
          message: "another program listens on the registry's port",
          hint: "Stop it, or choose another port (0 takes a free one).",
          cause,
          exitCode: 3,
        }),
      );
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}
