/** The short way says what the general reader says, of any line; and usual lines do take it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AccessBatch } from "./batch.ts";
import { ParseContext } from "./context.ts";
import { Dictionary } from "./dictionary.ts";
import type { TextFormat } from "./format.ts";
import { type ReadLines, type ReadOptions, readLines } from "./testing.ts";
import { Times } from "./time.ts";

const result = ({ rows, logs, quarantine }: ReadLines) => ({ rows, logs, quarantine });

const usually = <T>(usual: readonly T[], ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...usual) },
    { weight: 1, arbitrary: fc.constantFrom(...usual, ...others) },
  );

const segment = fc.oneof(
  fc.constantFrom("recipes", "v2", "42", "app.3f2a1b9c.js", "pasta-with-tomatoes-and-basil", "", "ä", "a b"),
  fc.string({ maxLength: 50 }),
);
const query = usually(
  ["", "?q=pasta&page=7", "?token=s3cret", "?page=1&x[password]=y"],
  "?",
  "?=",
  "?a=b?key=c",
  "?Key=",
);
const path = fc
  .tuple(fc.array(segment, { maxLength: 10 }), query)
  .map(([segments, after]) => `/${segments.join("/")}${after}`);
const request = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(
        usually(["GET", "POST", "HEAD"], "get", "PURGE", ""),
        path,
        usually(["HTTP/1.1", "HTTP/2.0"], "HTTP/1.0", "HTTP/1.11", ""),
      )
      .map((parts) => parts.join(" ")),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "",
      "-",
      "GET HTTP/1.1",
      "GET  HTTP/1.1",
      "\\x16\\x03",
      "CONNECT a:443 HTTP/1.1",
      "GET ? HTTP/1.1",
    ),
  },
);
const value = fc.oneof(
  usually(
    ["-", "curl/8.5.0", "https://example.com/?code=1&a=2", "abc", "abcd"],
    "",
    'a"b',
    "x".repeat(255),
    "x".repeat(257),
    "y".repeat(600),
  ),
  fc.string({ maxLength: 40 }),
);
const tail = usually(
  ["", " 0.012 0.011", ' "192.0.2.9"', " 0.001 -"],
  " 0.2 0.1, 0.1",
  " 0.2 0.1 : 0.1",
  " 0.2 0.1 : 0.1, 0.3 : 0.4",
  " 0.2 0.1, 0.1, 0.1, 0.1, 0.1",
  " 0.2 0.100 : ",
  " 0.2 0.100, ",
  " 0.2 0.100 :0.200",
  " 12 - : 0.003",
  " 0.001 0.0011",
  " 0.0:1 0./01",
  " 123456.001 1234567.001",
  " x",
  ' rt=0.1 uct="-" urt="0.2"',
  " 99999999999999 1",
);

/** Times as they follow each other, and what is none. */
const time = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .constantFrom("3:55:36", "3:55:37", "3:55:59", "3:56:00", "3:59:59", "4:00:00")
      .map((clock) => `05/Jan/2026:1${clock} +0100`),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat({ max: 25 }), fc.nat({ max: 69 }), fc.nat({ max: 69 }))
      .map((clock) => `05/Jan/2026:${clock.map((part) => String(part).padStart(2, "0")).join(":")} +0100`),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "05/Jan/2026:13:55:37 +0200",
      "05/Jab/2026:13:55:37 +0100",
      "05/Jan/2026:13:55:37 +01000",
      "05/Jan/2026:13:55:60 +0100",
      "05/Jan/2026:13:5/:37 +0100",
      "05/Jan/2026:13:55:3: +0100",
      "05/Jan/2026:13:55.37 +0100",
    ),
  },
);

const line = fc
  .tuple(
    usually(
      ["192.0.2.7", "2001:db8::7"],
      ...[
        "-",
        "",
        "a,b",
        ",",
        "unix:",
        "1".repeat(39),
        "1".repeat(40),
        "ü",
        "1.2.3~",
        "1.2.3\x7f",
        "1.2\x01",
      ],
    ),
    usually(["-"], "eve", "a b", "-x"),
    time,
    request,
    usually(["200", "404", "500"], "000", "999", "-", "1", "2000", "20x", "2/0", ":00", "20?", "@00"),
    usually(["512", "0"], "-", "", "1234567890123456", "5 "),
    fc.tuple(value, value),
    tail,
  )
  .map(
    ([address, user, time, asked, status, bytes, [referer, agent], rest]) =>
      `${address} - ${user} [${time}] "${asked}" ${status} ${bytes} "${referer}" "${agent}"${rest}`,
  );
const broken = fc
  .tuple(line, fc.nat(), fc.constantFrom("", "\r", '"', " ", "\0", "\xe9", "9"), fc.boolean())
  .map(([text, at, byte, isCut]) => {
    const place = at % (text.length + 1);
    return text.slice(0, place) + byte + (isCut ? "" : text.slice(place + 1));
  });
const lines = fc.array(fc.oneof({ weight: 4, arbitrary: line }, { weight: 1, arbitrary: broken }), {
  minLength: 1,
  maxLength: 60,
});

test("what the short way reads is what the general reader reads", () => {
  fc.assert(
    fc.property(
      lines,
      fc.boolean(),
      fc.constantFrom("plain" as const, "cri" as const),
      (texts, truncateIp, framing) => {
        const before = framing === "cri" ? "2026-01-05T12:00:00Z stdout F " : "";
        const options: ReadOptions = { truncateIp, framing };
        const each = texts.map((text) => Buffer.from(`${before}${text}\n`, "latin1"));
        // A line that stands alone has nothing behind it, and is left to the general reader.
        const general = readLines(each, options);
        assert.deepEqual(result(readLines(Buffer.concat([...each, ...each]), options)), {
          ...result(readLines([...each, ...each], options)),
        });
        assert.deepEqual(result(readLines(Buffer.concat(each), options)), result(general));
      },
    ),
    { numRuns: 1000 },
  );
});

test("where a window ends makes no difference", () => {
  // A window is 64 kB; lines of up to 9 kB begin in it and end behind it, or too far behind it.
  const long = fc
    .tuple(line, fc.constantFrom(0, 0, 300, 3000, 9000))
    .map(([text, more]) => text.replace("GET /", `GET /${"x".repeat(more)}`));
  fc.assert(
    fc.property(fc.array(long, { minLength: 5, maxLength: 30 }), fc.nat({ max: 200 }), (texts, shift) => {
      const each = texts.map((text) => Buffer.from(`${text}\n`, "latin1"));
      const block = Buffer.concat(each);
      const times = Math.ceil(150_000 / block.length);
      const first = Buffer.from(`${"y".repeat(shift)}\n`);
      const whole = Buffer.concat([first, ...Array.from({ length: times }, () => block)]);
      const general = [first, ...Array.from({ length: times }, () => each).flat()];
      assert.deepEqual(result(readLines(whole)), result(readLines(general)));
    }),
    { numRuns: 15 },
  );
});

function shortWay(text: string): boolean {
  const dictionaries = {
    referer: new Dictionary("referer", 10),
    userAgent: new Dictionary("userAgent", 10),
    route: new Dictionary("route", 10),
  };
  const context = new ParseContext({ sourceOf: () => 1, dictionaries, now: () => 0 });
  const timed = context.named.find(({ name }) => name === "timed") as TextFormat;
  const bytes = new TextEncoder().encode(`${text}\n${" ".repeat(64)}`);
  const batch = new AccessBatch(1);
  const routes = context.routesOf("web");
  const view = new DataView(bytes.buffer);
  const end = context.combined.read(timed, new Times(), view, 0, 1, routes, batch);
  assert.ok(end === -1 || end === text.length);
  assert.equal(batch.length, end === -1 ? 0 : 1);
  return end !== -1;
}

const usual =
  '192.0.2.7 - - [05/Jan/2026:13:55:36 +0100] "GET /recipes/42?token=x HTTP/1.1" 200 512 "https://e.com/" "curl/8.5.0" 0.012 0.011';

for (const text of [
  usual,
  usual.replace("192.0.2.7", "2001:db8::7"),
  usual.replace("GET", "DELETE").replace("HTTP/1.1", "HTTP/3.0"),
  usual.replace(/"GET.*1"/, '"\\x16\\x03"'),
  usual.replace("https://e.com/", "-"),
  usual.replace("0.011", "-"),
  usual.replace("0.011", "0.001, 0.010"),
  usual.replace("0.011", "0.001 : 0.010, 0.003"),
]) {
  test(`takes the short way: ${text}`, () => assert.ok(shortWay(text)));
}

test("what is cut off anywhere does not", () => {
  for (let length = 0; length < usual.length; length += 1) assert.ok(!shortWay(usual.slice(0, length)));
});
