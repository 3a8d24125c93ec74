/** What holds for any bytes: nothing throws, every line is somewhere, and how the bytes were cut changes nothing. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { NAMED_FORMATS } from "./format.ts";
import { routeOf } from "./route.ts";
import { type ReadLines, type ReadOptions, readLines } from "./testing.ts";

const folder = join(import.meta.dirname, "testdata");
const corpus = readdirSync(folder)
  .filter((name) => name.endsWith(".lines"))
  .flatMap((name) => readFileSync(join(folder, name)).toString("latin1").split("\n"));

const line = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...corpus) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...corpus), fc.nat(), fc.integer({ min: 0, max: 255 }))
      .map(([text, at, byte]) => {
        const where = text === "" ? 0 : at % text.length;
        return text.slice(0, where) + String.fromCharCode(byte) + text.slice(where + 1);
      }),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...corpus), fc.nat())
      .map(([text, at]) => text.slice(0, at % (text.length + 1))),
  },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
  },
);

const stream = fc
  .tuple(fc.array(line, { maxLength: 40 }), fc.boolean())
  .map(([lines, isEnded]) => Buffer.from(lines.join("\n") + (isEnded ? "\n" : ""), "latin1"));

const options = fc.record({
  framing: fc.constantFrom("plain" as const, "cri" as const),
  truncateIp: fc.boolean(),
  formats: fc.constantFrom(
    {},
    { nginx: '$msec "$request" $status' },
    { nginx: '{"u":"$request","s":$status}' },
    { nginx: NAMED_FORMATS["upstreaminfo"] as string },
  ),
});

const cut = (bytes: Buffer, at: readonly number[]): Buffer[] => {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) => bytes.subarray(from, places[index] ?? bytes.length));
};

const result = ({ rows, logs, quarantine }: ReadLines) => ({ rows, logs, quarantine });

test("every line is a request, a log line or in quarantine", () => {
  fc.assert(
    fc.property(stream, options, (bytes, chosen) => {
      const { parser, rows, logs, quarantine } = readLines(bytes, chosen as ReadOptions);
      const { counts } = parser;
      assert.equal(counts.lines, counts.access + counts.logs + counts.quarantine);
      assert.deepEqual(
        [rows.length, logs.length, quarantine.length],
        [counts.access, counts.logs, counts.quarantine],
      );
      if (chosen.framing === "plain") {
        const text = bytes.toString("latin1");
        const lines = text.split("\n").length - (text === "" || text.endsWith("\n") ? 1 : 0);
        assert.equal(counts.lines, lines);
      }
      assert.deepEqual(parser.offsets(), [{ stream: "k", position: bytes.length }]);
    }),
    { numRuns: 500 },
  );
});

test("chunks and batches of any size give the same", () => {
  fc.assert(
    fc.property(stream, options, fc.array(fc.nat(), { maxLength: 30 }), (bytes, chosen, at) => {
      const whole = readLines(bytes, chosen as ReadOptions);
      assert.deepEqual(
        result(readLines(cut(bytes, at), { ...chosen, capacity: 128 } as ReadOptions)),
        result(whole),
      );
    }),
    { numRuns: 300 },
  );
  const all = Buffer.from(`${corpus.join("\n")}\n`, "latin1");
  const bytewise = Array.from(all.subarray(0, 60_000), (_, at) => all.subarray(at, at + 1));
  assert.deepEqual(result(readLines(bytewise)), result(readLines(all.subarray(0, 60_000))));
});

test("read again from any offset, nothing is missing and nothing is there twice", () => {
  fc.assert(
    fc.property(stream, fc.constantFrom("plain" as const, "cri" as const), fc.nat(), (bytes, framing, at) => {
      const options = { framing, formats: { nginx: NAMED_FORMATS["combined"] as string } };
      const place = at % (bytes.length + 1);
      const before = readLines(bytes.subarray(0, place), { ...options, isCut: true });
      const position = before.parser.offsets()[0]?.position as number;
      assert.ok(position <= place);
      const after = readLines(bytes.subarray(position), options);
      const { counts } = readLines(bytes, options).parser;
      assert.equal(before.parser.counts.lines + after.parser.counts.lines, counts.lines);
    }),
    { numRuns: 300 },
  );
});

test("no secret is in what is stored", () => {
  const secret = "s3cr3tv4lue";
  const name = fc.constantFrom(
    "token",
    "password",
    "code",
    "key",
    "access_token",
    "apiKey",
    "API-KEY",
    "x[token]",
    "Authorization",
    "sig",
    "X-Amz-Signature",
    "apikey",
  );
  fc.assert(
    fc.property(
      name,
      fc.constantFrom("?", "?a=1&", "?a&b=;"),
      fc.constantFrom(...corpus),
      (parameter, before, other) => {
        const url = `/a${before}${parameter}=${secret}&z=1`;
        const lines = [
          `192.0.2.7 - - [05/Jan/2026:13:55:36 +0000] "GET ${url} HTTP/1.1" 200 5 "https://e.com${url}" "x"`,
          `192.0.2.7 - - [05/Jan/2026:13:55:36 +0000] "GET ${url} HT`,
          JSON.stringify({
            status: 200,
            request: `GET ${url} HTTP/1.1`,
            http_referer: `https://e.com${url}`,
          }),
          JSON.stringify({ httpRequest: { status: [], requestUrl: url } }),
          JSON.stringify({ message: `failed: ${url}` }),
          `failed: ${url}`,
          `login with password=${secret}, Authorization: Bearer ${secret}`,
          JSON.stringify({ message: "login", password: secret, headers: { cookie: `sid=${secret}` } }),
          JSON.stringify({ message: `connects to postgres://web:${secret}@db` }),
          other,
        ];
        const text = JSON.stringify(result(readLines(Buffer.from(lines.join("\n"), "latin1"))));
        assert.ok(!text.includes(secret), text);
      },
    ),
  );
});

test("a route of a route is itself", () => {
  fc.assert(
    fc.property(fc.webPath(), (path) => {
      const route = routeOf(path === "" ? "/" : path);
      if (!route.includes(":") && !route.includes("…")) assert.equal(routeOf(route), route);
    }),
  );
});

test("lines that are too long are quarantined with their beginning, however they come", () => {
  const long = `GET /${"x".repeat(300_000)}`;
  const text = Buffer.from(`one\n${long}\ntwo\n`);
  for (const chunks of [[text], cut(text, [100, 100_000, 290_000])]) {
    const { logs, quarantine, parser } = readLines(chunks);
    assert.equal(logs.length, 2);
    assert.equal(quarantine[0]?.slice(0, 20), "4 too-long GET /xxxx");
    assert.equal(quarantine[0]?.length, "4 too-long ".length + 65_536);
    assert.deepEqual(parser.counts, { lines: 3, access: 0, logs: 2, quarantine: 1 });
  }
  const parts = Array.from({ length: 20 }, () => `2026-01-05T12:00:00Z stdout P ${"y".repeat(16_000)}\n`);
  const cri = readLines([...parts, "2026-01-05T12:00:00Z stdout F end\n"].join(""), { framing: "cri" });
  assert.match(cri.quarantine[0] as string, /^0 too-long yyyy/);
  assert.equal(cri.parser.counts.lines, 1);
});

test("a part whose end never comes does not hold the others back for ever", () => {
  const cri = (tag: string, stream: string, text: string): string =>
    `2026-01-05T12:00:00Z ${stream} ${tag} ${text}\n`;
  const text = cri("P", "stdout", "lost") + cri("F", "stderr", "x").repeat(100);
  const { logs, parser } = readLines(Buffer.from(text), { framing: "cri", isCut: true });
  assert.equal(parser.counts.lines, 101);
  assert.match(logs[0] as string, /lost$/);
});

test("long user agents and referers are cut, after their secrets are gone", () => {
  const line = (text: string): string =>
    `192.0.2.7 - - [05/Jan/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 5 "https://e.com/?token=secret&x=${text}" "${text}"`;
  const [row] = readLines(`${line("x".repeat(8000))}\n`).rows;
  assert.equal(row?.userAgent, `${"x".repeat(500)}…`);
  assert.equal(row?.referer.length, 501);
  assert.match(row?.referer ?? "", /^https:\/\/e\.com\/\?token=REDACTED&x=xxx/);
});
