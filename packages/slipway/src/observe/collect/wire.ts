/**
 * What agents and collectors say to each other, over HTTPS with a token:
 *
 *   POST /v1/offsets   { streams: […] }      → 200 { offsets: { STREAM: n } }
 *   POST /v1/passages  a message, see below  → 200 { offsets } stored as far as these say; 409 { offsets } when bytes
 *                                              before were missing: send from there
 *
 * Besides: 400 not understood, 401 token, 413 too large, 503 with Retry-After when the collector has too much to do or
 * nowhere to write. Only after 200 are bytes stored; everything else is to be sent again. So a batch that comes twice, in
 * another order, or whose answer was lost, changes nothing: the collector takes of it what is not stored.
 *
 * A message is zstd of: length of the head in bytes (32 bits, big-endian), the head as JSON, then the bytes of all pieces
 * in its order.
 */
import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress } from "node:zlib";
import { SlipwayError } from "@slipway/base";
import * as z from "zod";
import type { Offsets, Passage } from "./passage.ts";

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

export const PASSAGES_PATH = "/v1/passages";
export const OFFSETS_PATH = "/v1/offsets";
/** Of a message as it is sent. */
export const MESSAGE_BYTES = 16 * 1024 * 1024;
/** Of what it holds: a reader's round, with its head. A small message that unpacks to more is an attack. */
export const UNPACKED_BYTES = 32 * 1024 * 1024;
export const STREAMS_AT_ONCE = 20_000;

const position = z.int().min(0);
const name = z.string().max(1024);

const headSchema = z.object({
  version: z.literal(1),
  passages: z
    .array(
      z.object({
        log: z.object({
          origin: z.literal("pod"),
          cluster: name,
          node: name,
          namespace: name,
          pod: name,
          podUid: name.min(1),
          container: name.min(1),
          attempt: position,
          framing: z.enum(["cri", "plain"]),
        }),
        pieces: z.array(z.object({ stream: name.min(1), start: position, length: position })).max(64),
        isEnd: z.boolean(),
        gap: z.object({ stream: name.min(1), from: position, to: position }).optional(),
      }),
    )
    .max(10_000),
});

export const streamsSchema = z.object({ streams: z.array(name).max(STREAMS_AT_ONCE) });

export const offsetsSchema = z.object({ offsets: z.record(z.string(), position) });

export async function writeMessage(passages: readonly Passage[]): Promise<Buffer> {
  const head = Buffer.from(
    JSON.stringify({
      version: 1,
      passages: passages.map(({ pieces, ...passage }) => ({
        ...passage,
        pieces: pieces.map(({ stream, start, bytes }) => ({ stream, start, length: bytes.length })),
      })),
    }),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  const bytes = passages.flatMap(({ pieces }) => pieces.map((piece) => piece.bytes));
  // Log lines shrink to an eighth at the fastest level; a higher one costs the node more than it saves the network.
  return compress(Buffer.concat([length, head, ...bytes]), {
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
  });
}

/** Rejects with WIRE_MESSAGE when it is not one. */
export async function readMessage(message: Uint8Array): Promise<readonly Passage[]> {
  const unpacked = await decompress(message, { maxOutputLength: UNPACKED_BYTES }).catch((cause: unknown) => {
    throw notUnderstood("cannot be unpacked", cause);
  });
  if (unpacked.length < 4) throw notUnderstood("has no head");
  const end = 4 + unpacked.readUInt32BE(0);
  if (end > unpacked.length) throw notUnderstood("has a head that is cut off");
  const { passages } = headOf(unpacked.subarray(4, end));
  let at = end;
  const read = passages.map(({ pieces, ...passage }) => ({
    ...passage,
    pieces: pieces.map(({ stream, start, length }) => {
      const bytes = unpacked.subarray(at, at + length);
      at += length;
      return { stream, start, bytes };
    }),
  }));
  if (at !== unpacked.length) throw notUnderstood("has not the bytes that its head names");
  return read;
}

function headOf(json: Buffer): z.output<typeof headSchema> {
  try {
    return headSchema.parse(JSON.parse(json.toString("utf8")));
  } catch (cause) {
    throw notUnderstood("has a head that is not understood", cause);
  }
}

function notUnderstood(message: string, cause?: unknown): SlipwayError {
  return new SlipwayError({ code: "WIRE_MESSAGE", where: "message of an agent", message, cause });
}

export function offsetsObject(offsets: Offsets): { readonly offsets: Readonly<Record<string, number>> } {
  return { offsets: Object.fromEntries(offsets) };
}
