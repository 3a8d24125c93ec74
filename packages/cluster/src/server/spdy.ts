/**
 * Just enough of SPDY/3.1 for Kubernetes' streams: kubectl up to 1.30 runs `exec` over it, and `port-forward` of
 * every version speaks nothing else (newer ones inside WebSocket messages). The server side only: the client opens
 * the streams, each named by its headers; both sides send data and close their half.
 *
 * There is no flow control, as in the library that Kubernetes uses: window updates are read and dropped. Instead a
 * stream whose reader is slow holds up reading from the connection.
 */
import { Duplex } from "node:stream";
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from "node:zlib";

const VERSION = 3;
const SYN_STREAM = 1;
const SYN_REPLY = 2;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
const FLAG_FIN = 1;
const RST_PROTOCOL_ERROR = 1;
/** kubectl sends far smaller frames; more is an attack or a mistake. */
const MAX_FRAME_BYTES = 1024 * 1024;

export class SpdyStream extends Duplex {
  readonly id: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly #send: (id: number, data: Uint8Array, flags: number, done: (error?: Error | null) => void) => void;
  #wake: (() => void) | undefined;

  constructor(
    id: number,
    headers: ReadonlyMap<string, string>,
    send: (id: number, data: Uint8Array, flags: number, done: (error?: Error | null) => void) => void,
  ) {
    super({ allowHalfOpen: true });
    this.id = id;
    this.headers = headers;
    this.#send = send;
    // A stream that is reset emits an error, which must not end the process when nobody listens.
    this.on("error", () => {});
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(this.id, chunk, 0, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#send(this.id, Buffer.alloc(0), FLAG_FIN, done);
  }

  override _read(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Resolves when there is room for more. */
  async receive(data: Buffer): Promise<void> {
    if (data.length === 0 || this.destroyed || this.readableEnded || this.push(data)) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#wake?.();
    done(error);
  }

  receiveEnd(): void {
    if (!this.destroyed) this.push(null);
  }
}

/**
 * Serves the connection until it closes. `onStream` is called for each stream the client opens, before any of its
 * data; what it throws resets that stream.
 */
export async function serveSpdy(connection: Duplex, onStream: (stream: SpdyStream) => void): Promise<void> {
  const streams = new Map<number, SpdyStream>();
  const inflate = createInflate({ dictionary: DICTIONARY, finishFlush: constants.Z_SYNC_FLUSH });
  const deflate = createDeflate({ dictionary: DICTIONARY, flush: constants.Z_SYNC_FLUSH });
  const write = (frame: Buffer, done: (error?: Error | null) => void = () => {}): void => {
    if (connection.destroyed || connection.writableEnded) done(new Error("the connection is closed"));
    else connection.write(frame, done);
  };
  const send = (id: number, data: Uint8Array, flags: number, done: (error?: Error | null) => void): void =>
    write(dataFrame(id, data, flags), done);

  const control = async (type: number, flags: number, payload: Buffer): Promise<void> => {
    switch (type) {
      case SYN_STREAM: {
        const id = payload.readUInt32BE(0) & 0x7fffffff;
        const headers = parseHeaders(await passThrough(inflate, payload.subarray(10)));
        const stream = new SpdyStream(id, headers, send);
        streams.set(id, stream);
        stream.once("close", () => streams.delete(id));
        const reply = await passThrough(deflate, Buffer.alloc(4)); // no headers
        write(controlFrame(SYN_REPLY, Buffer.concat([uint32(id), reply])));
        try {
          onStream(stream);
        } catch {
          write(controlFrame(RST_STREAM, Buffer.concat([uint32(id), uint32(RST_PROTOCOL_ERROR)])));
          stream.destroy();
        }
        if ((flags & FLAG_FIN) !== 0) stream.receiveEnd();
        return;
      }
      case RST_STREAM:
        streams.get(payload.readUInt32BE(0) & 0x7fffffff)?.destroy(new Error("the client reset the stream"));
        return;
      case PING:
        write(controlFrame(PING, payload));
        return;
      case GOAWAY:
        connection.end();
        return;
      default: // SETTINGS, HEADERS and WINDOW_UPDATE change nothing here
    }
  };

  try {
    for await (const frame of frames(connection)) {
      if (frame.kind === "control") await control(frame.type, frame.flags, frame.payload);
      else {
        const stream = streams.get(frame.id);
        await stream?.receive(frame.payload);
        if ((frame.flags & FLAG_FIN) !== 0) stream?.receiveEnd();
      }
    }
  } finally {
    for (const stream of streams.values()) stream.destroy();
    inflate.close();
    deflate.close();
    connection.destroy();
  }
}

type Frame =
  | { readonly kind: "control"; readonly type: number; readonly flags: number; readonly payload: Buffer }
  | { readonly kind: "data"; readonly id: number; readonly flags: number; readonly payload: Buffer };

/** Eight bytes of head: type or stream, one byte of flags, three of length. Ends with the connection, or with rubbish. */
async function* frames(connection: Duplex): AsyncGenerator<Frame> {
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of connection as AsyncIterable<Buffer>) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (rest.length >= 8) {
        const flags = rest[4] as number;
        const length = rest.readUIntBE(5, 3);
        if (length > MAX_FRAME_BYTES) return;
        if (rest.length < 8 + length) break;
        const payload = rest.subarray(8, 8 + length);
        const isControl = ((rest[0] as number) & 0x80) !== 0;
        const frame: Frame = isControl
          ? { kind: "control", type: rest.readUInt16BE(2), flags, payload }
          : { kind: "data", id: rest.readUInt32BE(0), flags, payload };
        rest = rest.subarray(8 + length);
        yield frame;
      }
    }
  } catch {
    // The connection broke: the same as its end.
  }
}

function dataFrame(id: number, data: Uint8Array, flags: number): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(id, 0);
  head[4] = flags;
  head.writeUIntBE(data.length, 5, 3);
  return Buffer.concat([head, data]);
}

function controlFrame(type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(0x8000 | VERSION, 0);
  head.writeUInt16BE(type, 2);
  head.writeUIntBE(payload.length, 5, 3);
  return Buffer.concat([head, payload]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** All header blocks of one direction are one compressed stream, flushed after each block. */
function passThrough(codec: Inflate | Deflate, block: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    codec.once("error", reject);
    codec.write(block, () => {
      codec.removeListener("error", reject);
      const parts: Buffer[] = [];
      for (let part = codec.read(); part !== null; part = codec.read()) parts.push(part as Buffer);
      resolve(Buffer.concat(parts));
    });
  });
}

/** A count, then names and values, each with its length before it; all numbers have four bytes. */
function parseHeaders(block: Buffer): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  let at = 4;
  const next = (): string => {
    const length = block.readUInt32BE(at);
    const text = block.toString("utf8", at + 4, at + 4 + length);
    at += 4 + length;
    return text;
  };
  for (let left = block.length < 4 ? 0 : block.readUInt32BE(0); left > 0; left -= 1) {
    const name = next().toLowerCase();
    headers.set(name, next());
  }
  return headers;
}

/** The words that the specification (SPDY/3, 2.6.10.1) gives both sides to begin with, each after its length. */
const WORDS =
  "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow " +
  "authorization cache-control connection content-base content-encoding content-language content-length " +
  "content-location content-md5 content-range content-type date etag expect expires from host if-match " +
  "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma " +
  "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade " +
  "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie " +
  "keep-alive origin";
/** And what follows them without lengths. */
const PHRASES =
  "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative " +
  "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 " +
  "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec " +
  "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml," +
  "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=" +
  "iso-8859-1,utf-,*,enq=0.";

const DICTIONARY: Buffer = Buffer.concat([
  ...WORDS.split(" ").flatMap((word) => {
    const text = Buffer.from(word.replace("_", " "));
    return [uint32(text.length), text];
  }),
  Buffer.from(PHRASES),
]);
