import assert from "node:assert/strict";
import { test } from "node:test";
import { type AfterPart, afterPart, rangeEnd } from "./upload-position.ts";

/** 100 bytes were sent from byte 200 of a blob of 1000. */
const table: readonly [what: string, status: number, range: string | undefined, next: AfterPart][] = [
  ["all was taken", 202, "0-299", { kind: "go-on", offset: 300 }],
  ["all was taken, in the form with a unit", 202, "bytes=0-299", { kind: "go-on", offset: 300 }],
  ["less was taken than was sent", 202, "0-249", { kind: "go-on", offset: 250 }],
  ["no position was told", 202, undefined, { kind: "go-on", offset: 300 }],
  ["0-0 tells nothing", 202, "0-0", { kind: "go-on", offset: 300 }],
  ["more than was sent is not believed", 202, "0-999", { kind: "go-on", offset: 300 }],
  ["the blob is there", 201, undefined, { kind: "stored" }],
  ["the registry stands behind", 416, "0-149", { kind: "go-on", offset: 150 }],
  ["the registry stands ahead", 416, "0-249", { kind: "go-on", offset: 250 }],
  ["refused without a position", 416, undefined, { kind: "ask" }],
  ["refused with a position that may be none", 416, "0-0", { kind: "ask" }],
  ["refused with our own position", 416, "0-199", { kind: "ask" }],
  ["a position beyond the blob", 416, "0-1000", { kind: "ask" }],
  ["the session is gone", 404, undefined, { kind: "start-again" }],
  ["a continued session is refused", 400, undefined, { kind: "start-again" }],
];

test("what an answer says of where the upload stands", () => {
  for (const [what, status, range, next] of table) {
    assert.deepEqual(afterPart({ offset: 200, length: 100, size: 1000 }, status, range), next, what);
  }
  assert.equal(rangeEnd("0-0"), 1);
  assert.equal(rangeEnd("5-9"), undefined);
});
