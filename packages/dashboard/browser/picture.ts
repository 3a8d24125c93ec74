/**
 * A PNG of the browser made small: 256 colours are enough for text on flat grounds, and a third of the bytes. Reads what Chromium
 * writes (8 bits, RGB or RGBA, not interlaced); PNG is ISO/IEC 15948.
 */
import { crc32, deflateSync, inflateSync } from "node:zlib";

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export function small(png: Buffer): Buffer {
  const { width, height, channels, data } = pixels(png);
  const indices = Buffer.alloc((width + 1) * height);
  const { palette, indexOf } = colours(data, channels);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = (y * width + x) * channels;
      // Each row begins with its filter: none, which is best for few colours.
      indices[y * (width + 1) + 1 + x] = indexOf(rgb(data, at));
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("PLTE", palette),
    chunk("IDAT", deflateSync(indices, { level: 9, memLevel: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** The most used colours, none closer than a step that an eye would not see; the others become the nearest of them. */
function colours(data: Buffer, channels: number): { palette: Buffer; indexOf: (colour: number) => number } {
  const uses = new Map<number, number>();
  for (let at = 0; at < data.length; at += channels) {
    const colour = rgb(data, at);
    uses.set(colour, (uses.get(colour) ?? 0) + 1);
  }
  const chosen: number[] = [];
  const least = uses.size <= 256 ? 0 : 48;
  for (const [colour] of [...uses].sort((a, b) => b[1] - a[1])) {
    if (chosen.length === 256) break;
    if (chosen.every((other) => distance(other, colour) > least)) chosen.push(colour);
  }
  const known = new Map<number, number>();
  return {
    palette: Buffer.from(chosen.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255])),
    indexOf(colour) {
      const found = known.get(colour);
      if (found !== undefined) return found;
      let best = 0;
      for (let index = 1; index < chosen.length; index += 1) {
        if (distance(chosen[index] as number, colour) < distance(chosen[best] as number, colour))
          best = index;
      }
      known.set(colour, best);
      return best;
    },
  };
}

function distance(a: number, b: number): number {
  return (
    ((a >> 16) - (b >> 16)) ** 2 + (((a >> 8) & 255) - ((b >> 8) & 255)) ** 2 + ((a & 255) - (b & 255)) ** 2
  );
}

function rgb(data: Buffer, at: number): number {
  return ((data[at] as number) << 16) | ((data[at + 1] as number) << 8) | (data[at + 2] as number);
}

function pixels(png: Buffer): { width: number; height: number; channels: number; data: Buffer } {
  const width = png.readUInt32BE(16);
  const height = png.readUInt32BE(20);
  const channels = png[25] === 6 ? 4 : 3;
  const parts: Buffer[] = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString("latin1", at + 4, at + 8) === "IDAT")
      parts.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  const raw = inflateSync(Buffer.concat(parts));
  const row = width * channels;
  const data = Buffer.alloc(row * height);
  for (let y = 0; y < height; y += 1) {
    const filter = raw[y * (row + 1)] as number;
    for (let x = 0; x < row; x += 1) {
      const left = x >= channels ? (data[y * row + x - channels] as number) : 0;
      const up = y > 0 ? (data[(y - 1) * row + x] as number) : 0;
      const corner = x >= channels && y > 0 ? (data[(y - 1) * row + x - channels] as number) : 0;
      data[y * row + x] =
        ((raw[y * (row + 1) + 1 + x] as number) + predicted(filter, left, up, corner)) & 255;
    }
  }
  return { width, height, channels, data };
}

/** Filter types 0 to 4: none, sub, up, average, Paeth. */
function predicted(filter: number, left: number, up: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

function chunk(name: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, "latin1"), content]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}
