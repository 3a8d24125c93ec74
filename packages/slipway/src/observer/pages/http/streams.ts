/**
 * Server-sent events. What cannot be sent is not kept: of each thing only the newest state waits, at most one event of a
 * kind goes out each second, and a reader that does not take what it gets is cut off (its browser connects again and asks for
 * everything anew), so that a sleeping laptop costs this process nothing.
 */
import type { ServerResponse } from "node:http";
import type { Clock } from "@slipway/base";
import { SECURITY_HEADERS } from "./security.ts";

export const HEARTBEAT_MS = 15_000;
/** Bytes that may wait for one reader. */
export const MOST_WAITING_BYTES = 1024 * 1024;
const EACH_MS = 1000;
/** Different things of one kind (incidents) that wait for their second; the oldest goes when there are more. */
const MOST_PENDING = 200;

export interface Stream {
  /** False when the reader is gone. */
  send(data: unknown): boolean;
  readonly closed: AbortSignal;
  close(): void;
}

/** Begins the answer. The reader is told to come back after 2 s when the connection breaks. */
export function openStream(response: ServerResponse, clock: Clock): Stream {
  const closing = new AbortController();
  response.writeHead(200, {
    ...SECURITY_HEADERS,
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  const cut = (): void => {
    if (closing.signal.aborted) return;
    closing.abort();
    response.destroy();
  };
  response.once("close", cut);
  const write = (text: string): boolean => {
    if (closing.signal.aborted) return false;
    response.write(text);
    if (response.writableLength > MOST_WAITING_BYTES) cut();
    return !closing.signal.aborted;
  };
  write("retry: 2000\n\n");
  void (async () => {
    while (!closing.signal.aborted) {
      await clock.sleep(HEARTBEAT_MS, closing.signal).catch(() => undefined);
      write(": still here\n\n");
    }
  })();
  return {
    // JSON has no line breaks outside of strings, and none unescaped inside.
    send: (data) => write(`data: ${JSON.stringify(data)}\n\n`),
    closed: closing.signal,
    close: cut,
  };
}

/** Sends to many readers at a pace. */
export interface Hub<E extends { readonly kind: string }> {
  /** `about`: what the event is the state of; a newer state of the same takes its place while it waits. */
  publish(event: E, about?: string): void;
  add(stream: Stream): void;
  readonly size: number;
  close(): void;
}

export function createHub<E extends { readonly kind: string }>(clock: Clock): Hub<E> {
  const streams = new Set<Stream>();
  const waiting = new Map<string, Map<string, E>>();
  const busy = new Set<string>();
  const closing = new AbortController();

  const pump = async (kind: string): Promise<void> => {
    if (busy.has(kind)) return;
    busy.add(kind);
    for (;;) {
      const next = waiting.get(kind)?.entries().next().value;
      if (next === undefined || closing.signal.aborted) break;
      waiting.get(kind)?.delete(next[0]);
      for (const stream of streams) stream.send(next[1]);
      await clock.sleep(EACH_MS, closing.signal).catch(() => undefined);
    }
    busy.delete(kind);
  };

  return {
    publish(event, about = "") {
      if (streams.size === 0 || closing.signal.aborted) return;
      const ofKind = waiting.get(event.kind) ?? new Map<string, E>();
      waiting.set(event.kind, ofKind);
      ofKind.set(about, event);
      if (ofKind.size > MOST_PENDING) ofKind.delete(ofKind.keys().next().value as string);
      void pump(event.kind);
    },
    add(stream) {
      streams.add(stream);
      stream.closed.addEventListener("abort", () => streams.delete(stream), { once: true });
      if (stream.closed.aborted) streams.delete(stream);
    },
    get size() {
      return streams.size;
    },
    close() {
      closing.abort();
      for (const stream of streams) stream.close();
    },
  };
}
