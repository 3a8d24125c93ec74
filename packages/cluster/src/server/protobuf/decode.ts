/**
 * Reads the protobuf bodies that clients send: kubectl from 1.32 on does so for `create namespace`, `create
 * deployment` and `auth can-i`, Kubernetes' own controllers for nearly everything, and none of them tries JSON when
 * it is refused. Nothing is ever answered in protobuf, because every client that asks for it also takes JSON.
 *
 * A body is the magic bytes `k8s\0` and an envelope (runtime.Unknown: apiVersion, kind, the message). The result is
 * what the same object would be as JSON: what Go leaves out when empty is left out, so that defaulting works.
 * The fields come from `fields.json`, which `scripts/protobuf/generate.ts` makes.
 */
import { badRequest } from "@slipway/kube";
import table from "./fields.json" with { type: "json" };

type Json = Record<string, unknown>;

interface Field {
  readonly number: number;
  /** Empty for a message that JSON inlines into its parent. */
  readonly name: string;
  /** A scalar (`string`, `int`, `bool`, `double`, `bytes`), a well-known type (`time`, `quantity`, …) or a message. */
  readonly type: string;
  readonly shape: "one" | "list" | "map";
  /** An empty scalar is information (a pointer in Go, or never left out), not absence. */
  readonly keepsEmpty: boolean;
}

const roots: Readonly<Record<string, string>> = table.roots;
const messages = new Map<string, ReadonlyMap<number, Field>>(
  Object.entries(table.messages).map(([name, lines]) => [
    name,
    new Map(lines.map((line) => [Number.parseInt(line, 10), parseField(line)])),
  ]),
);

function parseField(line: string): Field {
  const [number, name, rawType] = line.split(" ") as [string, string, string];
  const keepsEmpty = rawType.endsWith("!");
  const type = rawType.replace(/(?:!|\[\]|\{\})+$/, "");
  const shape = rawType.includes("[]") ? "list" : rawType.includes("{}") ? "map" : "one";
  return { number: Number(number), name, type, shape, keepsEmpty };
}

const MAGIC = Buffer.from("k8s\0", "latin1");

/** Throws a StatusError 400 when the bytes are not what they claim to be, or hold what this server would lose. */
export function decodeProtobuf(body: Uint8Array): Json {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (!bytes.subarray(0, 4).equals(MAGIC)) {
    throw badRequest("provided data does not appear to be a protobuf message, expected prefix k8s\\x00");
  }
  let apiVersion = "";
  let kind = "";
  let raw: Buffer = bytes.subarray(0, 0);
  for (const { number, value } of records(bytes.subarray(4))) {
    if (number === 1 && Buffer.isBuffer(value)) {
      for (const part of records(value)) {
        if (part.number === 1) apiVersion = String(part.value);
        if (part.number === 2) kind = String(part.value);
      }
    } else if (number === 2 && Buffer.isBuffer(value)) {
      raw = value;
    }
  }
  const message = roots[`${apiVersion} ${kind}`];
  if (message === undefined) {
    throw badRequest(
      `no kind "${kind}" is registered for version "${apiVersion}" in protobuf; send JSON instead`,
    );
  }
  return { apiVersion, kind, ...decodeMessage(message, raw) };
}

function decodeMessage(messageName: string, bytes: Buffer): Json {
  const fields = messages.get(messageName) as ReadonlyMap<number, Field>;
  const result: Json = {};
  for (const { number, value } of records(bytes)) {
    const field = fields.get(number);
    if (field === undefined) {
      // Go writes empty structs of newer versions as empty fields; anything else would be lost in silence.
      if (isEmpty(value)) continue;
      throw badRequest(
        `protobuf field ${number} of ${messageName} is newer than this server understands; send JSON instead`,
      );
    }
    put(result, field, value);
  }
  return result;
}

function put(result: Json, field: Field, value: Value): void {
  switch (field.shape) {
    case "list": {
      result[field.name] ??= [];
      const list = result[field.name] as unknown[];
      const isPacked = Buffer.isBuffer(value) && (field.type === "int" || field.type === "bool");
      if (isPacked) list.push(...varints(value).map((each) => convert(field, each)));
      else list.push(convert(field, value));
      return;
    }
    case "map": {
      result[field.name] ??= {};
      const map = result[field.name] as Json;
      let key = "";
      let held: Value = Buffer.alloc(0);
      for (const part of records(asBytes(value))) {
        if (part.number === 1) key = String(part.value);
        if (part.number === 2) held = part.value;
      }
      map[key] = convert(field, held);
      return;
    }
    case "one": {
      if (field.name === "") {
        Object.assign(result, decodeMessage(field.type, asBytes(value)));
        return;
      }
      const converted = convert(field, value);
      if (converted === undefined) return;
      if (!field.keepsEmpty && (converted === "" || converted === 0 || converted === false)) return;
      result[field.name] = converted;
    }
  }
}

function convert(field: Field, value: Value): unknown {
  switch (field.type) {
    case "string":
      return asBytes(value).toString("utf8");
    case "bytes":
      return asBytes(value).toString("base64");
    case "int":
      return toInteger(value);
    case "bool":
      return value !== 0n;
    case "double":
      return asBytes(value).readDoubleLE(0);
    case "time":
    case "micro-time":
      return timestamp(asBytes(value), field.type);
    case "quantity":
      return textOf(asBytes(value), 1) || "0";
    case "int-or-string":
      return intOrString(asBytes(value));
    case "json": {
      const text = textOf(asBytes(value), 1);
      return text === "" ? undefined : JSON.parse(text);
    }
    default:
      return decodeMessage(field.type, asBytes(value));
  }
}

function timestamp(bytes: Buffer, type: "time" | "micro-time"): string | undefined {
  let seconds = 0;
  let nanos = 0;
  for (const { number, value } of records(bytes)) {
    if (number === 1) seconds = toInteger(value);
    if (number === 2) nanos = toInteger(value);
  }
  if (seconds === 0 && nanos === 0) return undefined;
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  if (type === "time") return `${whole}Z`;
  return `${whole}.${String(Math.floor(nanos / 1000)).padStart(6, "0")}Z`;
}

function intOrString(bytes: Buffer): number | string {
  let isString = false;
  let number = 0;
  let text = "";
  for (const part of records(bytes)) {
    if (part.number === 1) isString = part.value === 1n;
    if (part.number === 2) number = toInteger(part.value);
    if (part.number === 3) text = String(part.value);
  }
  return isString ? text : number;
}

function textOf(bytes: Buffer, wanted: number): string {
  for (const { number, value } of records(bytes)) if (number === wanted) return String(value);
  return "";
}

/** A varint is a bigint; everything with a length, and the fixed-size numbers, are their bytes. */
type Value = bigint | Buffer;

function isEmpty(value: Value): boolean {
  return typeof value === "bigint" ? value === 0n : value.length === 0;
}

function asBytes(value: Value): Buffer {
  if (typeof value === "bigint") throw malformed("a number where bytes were expected");
  return value;
}

/** Negative numbers are written as 64-bit two's complement, whatever their declared size. */
function toInteger(value: Value): number {
  if (typeof value !== "bigint") throw malformed("bytes where a number was expected");
  return Number(BigInt.asIntN(64, value));
}

function* records(bytes: Buffer): Generator<{ number: number; value: Value }> {
  let at = 0;
  while (at < bytes.length) {
    const tag = readVarint(bytes, at);
    at = tag.next;
    const number = Number(tag.value >> 3n);
    const wireType = Number(tag.value & 7n);
    switch (wireType) {
      case 0: {
        const { value, next } = readVarint(bytes, at);
        at = next;
        yield { number, value };
        break;
      }
      case 1:
      case 2:
      case 5: {
        const head = wireType === 2 ? readVarint(bytes, at) : { value: wireType === 1 ? 8n : 4n, next: at };
        const end = head.next + Number(head.value);
        if (end > bytes.length) throw malformed("unexpected end of data");
        yield { number, value: bytes.subarray(head.next, end) };
        at = end;
        break;
      }
      default:
        throw malformed(`wire type ${wireType}`);
    }
  }
}

function varints(bytes: Buffer): bigint[] {
  const values: bigint[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { value, next } = readVarint(bytes, at);
    values.push(value);
    at = next;
  }
  return values;
}

function readVarint(bytes: Buffer, from: number): { value: bigint; next: number } {
  let value = 0n;
  for (let at = from, shift = 0n; shift < 70n; at += 1, shift += 7n) {
    const byte = bytes[at];
    if (byte === undefined) throw malformed("unexpected end of data");
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return { value, next: at + 1 };
  }
  throw malformed("a number of more than ten bytes");
}

function malformed(what: string): Error {
  return badRequest(`proto: cannot parse the body: ${what}`);
}
