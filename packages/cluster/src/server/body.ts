/** Request bodies: read whole, unpacked, and decoded from JSON, YAML or protobuf by their Content-Type. */
import type { IncomingMessage } from "node:http";
import { gunzipSync } from "node:zlib";
import { badRequest, duplicateFields, statusError } from "@slipway/kube";
import { parseDocument } from "yaml";
import { decodeProtobuf } from "./protobuf/decode.ts";

/** The API server's own limit for a request (etcd takes 1.5 MiB of it). */
const MAX_BYTES = 3 * 1024 * 1024;

export type JsonObject = Readonly<Record<string, unknown>>;

export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (request.headers["content-encoding"] !== "gzip") return body;
  try {
    return gunzipSync(body, { maxOutputLength: MAX_BYTES });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge();
    throw badRequest("the body is not what its Content-Encoding gzip says");
  }
}

function tooLarge(): Error {
  return statusError(413, "RequestEntityTooLarge", `limit is ${MAX_BYTES}`);
}

/** Without parameters, in lower case; `application/json` when the client names none, as Kubernetes takes it. */
export function contentType(request: IncomingMessage): string {
  const type = (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return type === "" ? "application/json" : type;
}

/** A body as it was parsed, and what its text gave twice (`duplicate field "spec.replicas"`): the last one counts. */
export interface Parsed<T> {
  readonly value: T;
  readonly duplicateFields: readonly string[];
}

const OBJECT_TYPES = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

export function decodeObject(body: Buffer, type: string): Parsed<JsonObject> {
  switch (type) {
    case "application/json":
      return requireObject(parseJson(body));
    case "application/yaml":
    case "application/x-yaml":
      return requireObject(parseYaml(body));
    case "application/vnd.kubernetes.protobuf":
      return { value: decodeProtobuf(body), duplicateFields: [] };
    default:
      throw unsupported(OBJECT_TYPES);
  }
}

export function unsupported(accepted: readonly string[]): Error {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`;
  return statusError(415, "UnsupportedMediaType", message);
}

export function parseJson(body: Buffer): Parsed<unknown> {
  const text = body.toString("utf8");
  try {
    return { value: JSON.parse(text), duplicateFields: duplicateFields(text) };
  } catch (error) {
    throw badRequest(`json parse error: ${(error as Error).message}`);
  }
}

/** JSON is YAML, so this also reads the JSON that kubectl sends as `application/apply-patch+yaml`. */
export function parseYaml(body: Buffer): Parsed<unknown> {
  const text = body.toString("utf8");
  if (text.trimStart().startsWith("{")) {
    try {
      return { value: JSON.parse(text), duplicateFields: duplicateFields(text) };
    } catch {
      // Flow-style YAML begins with a brace too; the YAML parser words the error otherwise.
    }
  }
  const document = parseDocument(text, { uniqueKeys: true });
  const duplicates: string[] = [];
  for (const { code, message, pos } of document.errors) {
    if (code !== "DUPLICATE_KEY") throw badRequest(`error parsing YAML: ${message.split("\n", 1)[0]}`);
    const key = /^[^\s:]+/.exec(text.slice(pos[0]))?.[0] ?? "";
    const line = text.slice(0, pos[0]).split("\n").length;
    duplicates.push(
      `line ${line}: key ${JSON.stringify(key.replace(/^["']|["']$/g, ""))} already set in map`,
    );
  }
  return { value: document.toJS(), duplicateFields: duplicates };
}

export function requireObject({ value, duplicateFields }: Parsed<unknown>): Parsed<JsonObject> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return { value: value as JsonObject, duplicateFields };
  }
  throw badRequest("the body must be an object");
}
