/**
 * A watch over HTTP: one JSON frame per line, written in the very step in which the store commits.
 *
 * The headers are flushed before the first event. Clients block on them: kubectl's `wait` and `rollout status` would
 * otherwise hang past their own timeout on an object that does not change.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "@slipway/base";
import {
  type Api,
  type ClientWatchEvent,
  type KubeObject,
  tooLargeResourceVersion,
  watchSelected,
} from "@slipway/kube";
import type { ResourcePath, WatchRequest } from "./request.ts";

const BOOKMARK_EVERY_MS = 60_000;

/** A client that reads this much slower than events come is cut off; it lists again and goes on from there. */
const MAX_UNREAD_BYTES = 32 * 1024 * 1024;

const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

export interface WatchContext {
  readonly api: Api;
  readonly clock: Clock;
  /** Ends every watch when the server closes. */
  readonly closing: AbortSignal;
  readonly json: (object: KubeObject) => string;
}

/**
 * JSON.stringify that remembers its last result. A commit is told to all watches one after another, so the object
 * that hundreds of them send is written out once; stored objects are immutable, so the text stays true.
 */
export function rememberingJson(): (object: KubeObject) => string {
  let last: { readonly object: KubeObject; readonly text: string } | undefined;
  return (object) => {
    if (last?.object !== object) last = { object, text: JSON.stringify(object) };
    return last.text;
  };
}

/** `encode` turns an object into the form the client asked for; `isFirst` on the first frame only. */
export function serveWatch(
  context: WatchContext,
  request: IncomingMessage,
  response: ServerResponse,
  path: ResourcePath,
  options: WatchRequest,
  encode: (object: KubeObject, isFirst: boolean) => unknown,
): void {
  const { api, clock } = context;
  const { store } = api;
  const selection = {
    ...(path.namespace === undefined ? {} : { namespace: path.namespace }),
    ...(options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector }),
    // A watch on one name, as old clients do: the same as a field selector.
    ...(path.name === undefined
      ? options.fieldSelector === undefined
        ? {}
        : { fieldSelector: options.fieldSelector }
      : { fieldSelector: `metadata.name=${path.name}` }),
  };
  // Listed before anything is answered, so that a bad selector or version is a plain HTTP error.
  const initial = options.initialEvents === "none" ? [] : api.list(path.ref, selection).items;
  const from = options.from ?? store.resourceVersion;
  if (from > store.resourceVersion) throw tooLargeResourceVersion(from, store.resourceVersion);

  let isFirst = true;
  const send = (type: ClientWatchEvent["type"], object: KubeObject): void => {
    if (response.writableEnded || response.destroyed) return;
    const encoded = encode(object, isFirst);
    const text = encoded === object ? context.json(object) : JSON.stringify(encoded);
    response.write(`{"type":"${type}","object":${text}}\n`);
    isFirst = false;
    if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
  };
  const bookmark = (annotations?: Readonly<Record<string, string>>): void => {
    const metadata = {
      resourceVersion: String(store.resourceVersion),
      creationTimestamp: null,
      ...(annotations === undefined ? {} : { annotations }),
    };
    send("BOOKMARK", { ...path.ref, metadata } as unknown as KubeObject);
  };

  // What is in the replay window is delivered while the watch is made, that is before the headers: held back.
  const early: ClientWatchEvent[] = [];
  let isOpen = false;
  const watch = watchSelected(store, path.ref.kind, { ...selection, from }, (event) => {
    if (isOpen) send(event.type, event.object);
    else early.push(event);
  });
  response.writeHead(200, {
    "Cache-Control": "no-cache, private",
    "Content-Type": "application/json",
    "Transfer-Encoding": "chunked",
  });
  response.flushHeaders();
  for (const object of initial) send("ADDED", object);
  if (options.initialEvents === "marked" && options.allowBookmarks) {
    bookmark({ [INITIAL_EVENTS_END]: "true" });
  }
  for (const event of early) send(event.type, event.object);
  isOpen = true;

  const ended = new AbortController();
  const end = (): void => {
    if (ended.signal.aborted) return;
    ended.abort();
    watch.close();
    context.closing.removeEventListener("abort", end);
    response.end();
  };
  response.once("close", end);
  request.once("error", end);
  context.closing.addEventListener("abort", end, { once: true });
  if (context.closing.aborted) end();

  if (options.timeoutSeconds !== undefined && options.timeoutSeconds > 0) {
    clock.sleep(options.timeoutSeconds * 1000, ended.signal).then(
      () => {
        if (options.allowBookmarks) bookmark();
        end();
      },
      () => {},
    );
  }
  if (options.allowBookmarks) void sendBookmarks(clock, bookmark, ended.signal);
}

async function sendBookmarks(clock: Clock, bookmark: () => void, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await clock.sleep(BOOKMARK_EVERY_MS, signal);
    } catch {
      return; // the watch is over
    }
    bookmark();
  }
}
