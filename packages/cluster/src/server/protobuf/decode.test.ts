import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusError } from "@slipway/kube";
import { decodeProtobuf } from "./decode.ts";
import recorded from "./testdata/recorded.json" with { type: "json" };

/** In JSON, Go writes an unset time as null; in a request body that means the same as nothing. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== null)
      .map(([key, each]) => [key, withoutNulls(each)]),
  );
}

for (const { path, protobuf, json } of recorded) {
  test(`${path} of a real API server means the same in protobuf and in JSON`, () => {
    assert.deepEqual(decodeProtobuf(Buffer.from(protobuf, "base64")), withoutNulls(json));
  });
}

/** Writes fields with wire type 2 (bytes) and 0 (varint). */
function message(...fields: readonly (readonly [number, Buffer | string | number])[]): Buffer {
  const parts = fields.map(([number, value]) => {
    if (typeof value === "number") return Buffer.from([number << 3, value]);
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
  });
  return Buffer.concat(parts);
}

function envelope(apiVersion: string, kind: string, raw: Buffer): Buffer {
  const type = message([1, apiVersion], [2, kind]);
  return Buffer.concat([Buffer.from("k8s\0", "latin1"), message([1, type], [2, raw])]);
}

test("a zero that means something is kept, an empty string that means nothing is not", () => {
  const spec = message([1, 0], [5, 0]); // replicas (a pointer in Go) and minReadySeconds (not one)
  const metadata = message([1, "web"], [3, ""]);
  const deployment = envelope("apps/v1", "Deployment", message([1, metadata], [2, spec]));
  assert.deepEqual(decodeProtobuf(deployment), {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: { replicas: 0 },
  });
});

test("options of a deletion are read", () => {
  const options = envelope("v1", "DeleteOptions", message([1, 0], [4, "Background"]));
  assert.deepEqual(decodeProtobuf(options), {
    apiVersion: "v1",
    kind: "DeleteOptions",
    gracePeriodSeconds: 0,
    propagationPolicy: "Background",
  });
});

const refusals: readonly (readonly [string, Buffer, RegExp])[] = [
  ["bytes that are no protobuf", Buffer.from("{}"), /expected prefix k8s/],
  ["a kind that is not served", envelope("batch/v1", "CronJob", Buffer.alloc(0)), /no kind "CronJob"/],
  [
    "a field that is not known, and would be lost",
    envelope("v1", "Namespace", message([9, "x"])),
    /field 9 of core\.Namespace/,
  ],
  ["a message that is cut off", envelope("v1", "Namespace", Buffer.from([0x0a, 0x20, 1])), /unexpected end/],
  ["a number that never ends", envelope("v1", "Namespace", Buffer.alloc(12, 0xff)), /more than ten bytes/],
];

for (const [what, body, message_] of refusals) {
  test(`${what} is refused with 400`, () => {
    assert.throws(
      () => decodeProtobuf(body),
      (error) => error instanceof StatusError && error.httpCode === 400 && message_.test(error.message),
    );
  });
}

test("an unknown field that is empty is passed over: newer clients write empty structs", () => {
  const namespace = envelope("v1", "Namespace", message([1, message([1, "x"])], [14, ""]));
  assert.deepEqual(decodeProtobuf(namespace)["metadata"], { name: "x" });
});
