import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import { compileFormat, NAMED_FORMATS } from "./format.ts";
import { readLines } from "./testing.ts";

const HEAD = '192.0.2.7 - - [05/Jan/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200 512 "-" "curl/8"';

const lines: Readonly<Record<string, string>> = {
  combined: HEAD,
  common: '192.0.2.7 - - [05/Jan/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200 512',
  main: `${HEAD} "203.0.113.9, 10.0.0.1"`,
  timed: `${HEAD} 0.012 0.010, 0.001`,
  "timed-request": `${HEAD} 0.012`,
  "timed-main": `${HEAD} "-" 0.012 0.010, 0.001`,
  "timed-keys": `${HEAD} rt=0.012 uct="0.000, 0.001" urt="0.010, 0.001"`,
  "timed-keys-header": `${HEAD} rt=0.012 uct="0.000" uht="0.001" urt="0.010, 0.001"`,
  "timed-keys-short": `${HEAD} rt=0.012 urt="0.010, 0.001"`,
  "timed-main-keys": `${HEAD} "-" rt=0.012 uct="0.000" uht="0.001" urt="0.010, 0.001"`,
  upstreaminfo: `${HEAD} 431 0.012 [default-web-80] [] 10.0.0.1:80, 10.0.0.2:80 0, 512 0.010, 0.001 502, 200 4f1f`,
};

for (const name of Object.keys(NAMED_FORMATS)) {
  test(`${name} is recognised by itself`, () => {
    const { rows, parser, quarantine } = readLines(`${lines[name]}\n`);
    assert.deepEqual(quarantine, []);
    assert.equal(parser.format, name);
    const [row] = rows;
    assert.equal(row?.path, "/a");
    assert.equal(row?.ip, "192.0.2.7");
    const hasUpstream = /upstream_response_time/.test(NAMED_FORMATS[name] as string);
    assert.equal(row?.upstreamMs, hasUpstream ? 11 : undefined);
    assert.equal(row?.attempts, hasUpstream ? 2 : 0);
    assert.equal(row?.ms, /request_time/.test(NAMED_FORMATS[name] as string) ? 12 : undefined);
  });
}

const written: readonly { readonly what: string; readonly format: string; readonly line: string }[] = [
  {
    what: "msec, method and URI apart, tabs",
    format:
      "$msec\t$http_x_forwarded_for\t$request_method\t$request_uri\t$server_protocol\t$status\t$request_time",
    line: "1767621336.250\t203.0.113.9, 10.0.0.1\tGET\t/a\tHTTP/1.1\t200\t0.012",
  },
  {
    what: "text before and behind, ISO time, query apart",
    format: "<$time_iso8601> $remote_addr $status $request_method $uri?$args ua=[$http_user_agent];",
    line: "<2026-01-05T14:55:36+01:00> 203.0.113.9 200 GET /a?b=1 ua=[curl];",
  },
  {
    what: "nginx's directive as it stands",
    format: `log_format mine escape=default '$remote_addr [$time_local] '\n  '"$request" $status';`,
    line: '203.0.113.9 [05/Jan/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200',
  },
  {
    what: "JSON with keys of one's own, some not quoted",
    format: `log_format j escape=json '{"t":"$time_iso8601","a":{"b":"$remote_addr"},"m":"$request_method","u":"$request_uri","s":$status,"rt":$upstream_response_time}';`,
    line: '{"t":"2026-01-05T13:55:36+00:00","a":{"b":"203.0.113.9"},"m":"GET","u":"/a","s":200,"rt":0.1, 0.2}',
  },
];

for (const { what, format, line } of written) {
  test(`a format of one's own: ${what}`, () => {
    const { rows } = readLines(`${line}\n`, { formats: { nginx: format } });
    assert.equal(rows.length, 1);
    assert.equal(rows[0]?.ip, "203.0.113.9");
    assert.equal(rows[0]?.ts.slice(0, 19), "2026-01-05T13:55:36");
    assert.equal(rows[0]?.method, "GET");
    assert.equal(rows[0]?.path.slice(0, 2), "/a");
    assert.equal(rows[0]?.status, 200);
  });
}

for (const [format, fact] of [
  ['$remote_addr "$request"', "$status"],
  ["$status $remote_addr", "neither"],
  ["$status$request_time $request", "no text between"],
  ["{$status $request", "not a JSON object"],
] as const) {
  test(`${format} is refused`, () => {
    assert.throws(
      () => compileFormat("web", format),
      (error) =>
        error instanceof SlipwayError &&
        error.code === "LOG_FORMAT_INVALID" &&
        error.where === "observe.formats.web" &&
        error.message.includes(fact),
    );
  });
}

test("after ten lines in a row that do not fit the format is looked for again", () => {
  const other = `${HEAD} 0.012`;
  const learnt = Array.from({ length: 101 }, () => [`${HEAD} "x`, HEAD]).flat();
  const { rows, quarantine, parser } = readLines([...learnt, ...Array(15).fill(other), ""].join("\n"));
  assert.equal(parser.format, "timed-request");
  assert.equal(quarantine.length, 101 + 9);
  assert.equal(rows.length, 101 + 6);
});
