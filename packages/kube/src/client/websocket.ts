/**
 * The client's half of WebSocket (RFC 6455) over a connection that was already upgraded: as much as `exec` needs.
 * Node's own WebSocket takes no certificate authority, and a library would be the only dependency of this package.
 */
import { createHash, randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { SlipwayError } from "@slipway/base";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CONTINUATION = 0x0;
const BINARY = 0x2;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;

export function upgradeHeaders(protocols: readonly string[]): {
  headers: Record<string, string>;
  accept: string;
} {
  const key = randomBytes(16).toString("base64");
  return {
    headers: {
      // A kubelet answers 406 to anything narrower: its routes name no type that they produce.
      accept: "*/*",
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": key,
      "sec-websocket-protocol": protocols.join(", "),
    },
    accept: createHash("sha1").update(`${key}${GUID}`).digest("base64"),
  };
}

/** Sends one message. Frames of a client are masked, as the RFC demands. */
export function sendMessage(socket: Duplex, payload: Uint8Array, opcode: number = BINARY): void {
  const length = payload.length;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const frame = Buffer.alloc(2 + extended + 4 + length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) frame.writeUInt16BE(length, 2);
  if (extended === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  const mask = randomBytes(4);
  mask.copy(frame, 2 + extended);
  for (let index = 0; index < length; index += 1) {
    frame[6 + extended + index] = (payload[index] as number) ^ (mask[index & 3] as number);
  }
  socket.write(frame);
}

export function sendClose(socket: Duplex): void {
  sendMessage(socket, Buffer.from([0x03, 0xe8]), CLOSE); // 1000: normal
}

/** Whole messages, until the server closes. Answers pings by itself. */
export async function* readMessages(socket: Duplex, head: Buffer): AsyncGenerator<Buffer> {
  let pending: Buffer = head;
  let parts: Buffer[] = [];
  const chunks = socket[Symbol.asyncIterator]();
  for (;;) {
    const frame = parseFrame(pending);
    if (frame === undefined) {
      const chunk = await chunks.next();
      if (chunk.done === true) return;
      pending = Buffer.concat([pending, chunk.value as Buffer]);
      continue;
    }
    pending = pending.subarray(frame.bytes);
    if (frame.opcode === CLOSE) return;
    if (frame.opcode === PING) sendMessage(socket, frame.payload, PONG);
    if (frame.opcode >= CLOSE) continue;
    if (frame.opcode === CONTINUATION && parts.length === 0) throw protocolError("a continuation of nothing");
    parts.push(frame.payload);
    if (!frame.isLast) continue;
    yield Buffer.concat(parts);
    parts = [];
  }
}

interface Frame {
  readonly isLast: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
  /** Length of the whole frame. */
  readonly bytes: number;
}

/** The first frame in `data`, undefined when more is needed. */
function parseFrame(data: Buffer): Frame | undefined {
  if (data.length < 2) return undefined;
  const first = data[0] as number;
  const second = data[1] as number;
  if ((second & 0x80) !== 0) throw protocolError("a server's frame is not masked");
  const short = second & 0x7f;
  const start = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (data.length < start) return undefined;
  const length =
    short === 126 ? data.readUInt16BE(2) : short === 127 ? Number(data.readBigUInt64BE(2)) : short;
  if (length > 64 * 1024 * 1024) throw protocolError(`a frame of ${length} bytes`);
  if (data.length < start + length) return undefined;
  const payload = data.subarray(start, start + length);
  return { isLast: (first & 0x80) !== 0, opcode: first & 0x0f, payload, bytes: start + length };
}

function protocolError(fact: string): SlipwayError {
  return new SlipwayError({ code: "WEBSOCKET_PROTOCOL", message: `websocket: ${fact}`, exitCode: 3 });
}
