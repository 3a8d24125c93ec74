import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { packRecording, parseRecording, readRecording } from "./recording.ts";

const header =
  '{"case":"x","kubernetes":"v1.20.2","recordedAt":"2026-11-28T10:00:00.000Z","place":"real","appliedAt":0,"namespace":"corpus"}';
const pod = (name: string, version = 1): string =>
  `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"${name}","uid":"uid-${name}","resourceVersion":"${version}"}}`;

test("a recording survives being stored", async () => {
  const text = [
    header,
    `{"at":-20,"type":"ADDED","object":${pod("a")}}`,
    '{"at":1,"applied":{"kind":"Deployment","name":"web","generation":2}}',
    '{"at":2,"refused":{"kind":"Service","name":"web","status":{"kind":"Status","code":422,"message":"no"}}}',
    '{"at":9,"log":{"pod":"a","container":"web","previous":true,"text":"bye"}}',
    `{"at":9,"type":"DELETED","object":${pod("a", 2)}}`,
  ].join("\n");
  const recording = parseRecording(text, "x");
  assert.equal(recording.header.case, "x");
  assert.equal(recording.lines.length, 5);
  const folder = await mkdtemp(join(tmpdir(), "slipway-recording-"));
  const path = join(folder, "recording.jsonl.gz");
  await writeFile(path, packRecording(recording));
  assert.deepEqual(await readRecording(path), recording);
  await assert.rejects(readRecording(join(folder, "none.gz")), /there is no recording/);
  await writeFile(path, "plain text");
  await assert.rejects(readRecording(path), /is not gzip, or is cut off/);
  await rm(folder, { recursive: true });
});

test("what cannot have been recorded is refused with its line", () => {
  const table: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["nothing", [], /^x: is empty/],
    ["no JSON", [header, "{"], /^x:2: is not JSON/],
    ["an unknown header key", [header.replace('"case"', '"cases"')], /^x:1: .*cases/s],
    ["a line of no kind", [header, '{"at":1}'], /^x:2: /],
    [
      "an object without uid",
      [header, '{"at":1,"type":"ADDED","object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}}'],
      /^x:2: /,
    ],
    [
      "time that goes back",
      [
        header,
        `{"at":2,"type":"ADDED","object":${pod("a")}}`,
        `{"at":1,"type":"ADDED","object":${pod("b")}}`,
      ],
      /^x:3: goes back in time, from 2 to 1/,
    ],
    [
      "a change of nothing",
      [header, `{"at":2,"type":"MODIFIED","object":${pod("a")}}`],
      /^x:2: Pod a .* is MODIFIED before it is added/,
    ],
    [
      "the same object added twice",
      [
        header,
        `{"at":2,"type":"ADDED","object":${pod("a")}}`,
        `{"at":3,"type":"ADDED","object":${pod("a")}}`,
      ],
      /^x:3: Pod a .* is added twice/,
    ],
  ];
  for (const [name, lines, message] of table) {
    assert.throws(
      () => parseRecording(lines.join("\n"), "x"),
      (error: Error & { where?: string }) => message.test(`${error.where}: ${error.message}`),
      name,
    );
  }
});
