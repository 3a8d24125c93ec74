/** The part of RFC 1035 that a cluster's name server needs: one question in, A and SRV records out. */

export const TYPE = { A: 1, PTR: 12, AAAA: 28, SRV: 33, ANY: 255 } as const;
export const CODE = { ok: 0, formatError: 1, nameError: 3, notImplemented: 4 } as const;

export interface Question {
  readonly id: number;
  readonly recursionDesired: boolean;
  /** Lower case, without the dot at the end. */
  readonly name: string;
  readonly type: number;
  /** The question's own bytes, echoed in the response (clients compare its case, 0x20 randomisation). */
  readonly raw: Buffer;
}

export type Answer =
  | { readonly type: "A"; readonly ip: string }
  | { readonly type: "SRV"; readonly port: number; readonly target: string };

/** Undefined when this is not a query with exactly one question. */
export function parseQuery(message: Buffer): Question | undefined {
  if (message.length < 17) return undefined;
  const flags = message.readUInt16BE(2);
  const isQuery = (flags & 0x8000) === 0 && (flags & 0x7800) === 0;
  if (!isQuery || message.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = 12;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return undefined; // compression has no place in a question
    at += 1;
    if (length === 0) break;
    if (at + length > message.length) return undefined;
    labels.push(message.toString("latin1", at, at + length));
    at += length;
  }
  if (at + 4 > message.length) return undefined;
  return {
    id: message.readUInt16BE(0),
    recursionDesired: (flags & 0x0100) !== 0,
    name: labels.join(".").toLowerCase(),
    type: message.readUInt16BE(at),
    raw: message.subarray(12, at + 4),
  };
}

/** `maxBytes` (512 over UDP) cuts the answers and sets the truncated bit, so that the client asks again over TCP. */
export function renderResponse(
  question: Question,
  code: number,
  answers: readonly Answer[],
  ttlSeconds: number,
  maxBytes = 65_535,
): Buffer {
  const records = answers.map((answer) => renderRecord(answer, ttlSeconds));
  let size = 12 + question.raw.length;
  let fitting = 0;
  for (const record of records) {
    if (size + record.length > maxBytes) break;
    size += record.length;
    fitting += 1;
  }
  const truncated = fitting < records.length;
  const header = Buffer.alloc(12);
  header.writeUInt16BE(question.id, 0);
  // Response, authoritative, truncated when cut, recursion desired as asked, recursion available, code.
  header.writeUInt16BE(
    0x8400 | (truncated ? 0x0200 : 0) | (question.recursionDesired ? 0x0100 : 0) | 0x0080 | code,
    2,
  );
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(fitting, 6);
  return Buffer.concat([header, question.raw, ...records.slice(0, fitting)]);
}

function renderRecord(answer: Answer, ttlSeconds: number): Buffer {
  const data =
    answer.type === "A"
      ? Buffer.from(answer.ip.split(".").map(Number))
      : Buffer.concat([uint16(0), uint16(100), uint16(answer.port), renderName(answer.target)]);
  const fixed = Buffer.alloc(12);
  fixed.writeUInt16BE(0xc00c, 0); // the name of the question
  fixed.writeUInt16BE(TYPE[answer.type], 2);
  fixed.writeUInt16BE(1, 4);
  fixed.writeUInt32BE(ttlSeconds, 6);
  fixed.writeUInt16BE(data.length, 10);
  return Buffer.concat([fixed, data]);
}

export function renderName(name: string): Buffer {
  const labels = name.split(".").filter((label) => label !== "");
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")])),
    Buffer.from([0]),
  ]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
