/** What goes on: watches and logs. */
import type { KubeObject, Status } from "../resources/meta.ts";
import type { ClientWatchEvent, LogOptions, TypeRef, WatchOptions } from "./client.ts";
import { listQuery, query } from "./queries.ts";
import type { ResourcePaths } from "./resource-paths.ts";
import { StatusError } from "./status-error.ts";
import type { Transport } from "./transport.ts";

/**
 * A watch whose connection died without a word (a NAT that forgot it, a machine that slept) looks like one where
 * nothing happens. So the server is asked to end every watch after a while, and when it does not, we do.
 */
const WATCH_SECONDS = 300;
const WATCH_GRACE_MS = 30_000;
/** A log that is not followed is read to its end; a server that stops in the middle is given up on. */
const LOG_SILENCE_MS = 30_000;

export async function* watchStream<T extends KubeObject>(
  transport: Transport,
  paths: ResourcePaths,
  type: TypeRef,
  options: WatchOptions,
  where: string,
): AsyncGenerator<ClientWatchEvent<T>> {
  if (options.signal?.aborted) return;
  const parameters = listQuery(options);
  parameters.set("watch", "true");
  if (options.allowBookmarks === true) parameters.set("allowWatchBookmarks", "true");
  const lastsSeconds = options.timeoutSeconds ?? WATCH_SECONDS;
  parameters.set("timeoutSeconds", String(lastsSeconds));
  const path = await paths.listPath(type, options.namespace);
  const chunks = transport.stream(
    { method: "GET", path, query: parameters, signal: options.signal, repeatable: "idempotent" },
    { lastsAtMostMs: lastsSeconds * 1000 + WATCH_GRACE_MS },
  );
  try {
    for await (const line of linesOf(chunks)) {
      const event = JSON.parse(line) as ClientWatchEvent<T> | { type: "ERROR"; object: Status };
      if (event.type === "ERROR") throw new StatusError(event.object, where);
      if (options.signal?.aborted) return;
      yield event;
    }
  } catch (error) {
    // To be told to stop before the first byte came is no failure either.
    if (options.signal?.aborted) return;
    throw error;
  }
}

async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  // Bytes are split, not text: a character may be cut in two by a chunk's end, a line feed never is part of one.
  let parts: Buffer[] = [];
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      parts.push(chunk.subarray(start, end));
      const line = Buffer.concat(parts).toString("utf8");
      parts = [];
      start = end + 1;
      if (line !== "") yield line;
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
  }
}

export function logStream(
  transport: Transport,
  pod: { readonly namespace: string; readonly name: string },
  options: LogOptions,
): AsyncIterable<Uint8Array> {
  const { signal, ...parameters } = options;
  const path = `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}/log`;
  return transport.stream(
    { method: "GET", path, query: query(parameters), signal, repeatable: "idempotent" },
    options.follow === true ? {} : { silentAtMostMs: LOG_SILENCE_MS },
  );
}
