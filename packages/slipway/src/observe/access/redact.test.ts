import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Redactor } from "./redact.ts";

const redactor = new Redactor(["Session"]);

const cases: readonly (readonly [string, string])[] = [
  ["/a?x=1", "/a?x=1"],
  ["/a?token=abc", "/a?token=REDACTED"],
  ["/a?x=1&token=abc&y=2", "/a?x=1&token=REDACTED&y=2"],
  ["/a?TOKEN=abc#part", "/a?TOKEN=REDACTED#part"],
  ["/a?access_token=abc&api-key=d;apiKey=e", "/a?access_token=REDACTED&api-key=REDACTED;apiKey=REDACTED"],
  ["/a?user[password]=abc", "/a?user[password]=REDACTED"],
  ["/a?user%5Bpassword%5D=abc", "/a?user%5Bpassword%5D=REDACTED"],
  ["/a?to%6ben=abc", "/a?to%6ben=REDACTED"],
  ["/a?toke%6E=abc", "/a?toke%6E=REDACTED"],
  ["/a?code=abc&country_code=de", "/a?code=REDACTED&country_code=de"],
  ["/a?session=abc&token_type=bearer", "/a?session=REDACTED&token_type=bearer"],
  ["/a?token=a=b=c&x=1", "/a?token=REDACTED&x=1"],
  ["/a?token=&x=1", "/a?token=&x=1"],
  ["/a?monkey=1", "/a?monkey=1"],
  ["/a?apikey=abc&AccessToken=d&barcode=4", "/a?apikey=REDACTED&AccessToken=REDACTED&barcode=4"],
  ["/a?Authorization=Bearer%20abc&x=1", "/a?Authorization=REDACTED&x=1"],
  ["/blob?sv=2&sig=a%2Bb&se=3", "/blob?sv=2&sig=REDACTED&se=3"],
  [
    "/s3?X-Amz-Credential=AKIA&X-Amz-Security-Token=t&X-Amz-Signature=ff",
    "/s3?X-Amz-Credential=AKIA&X-Amz-Security-Token=REDACTED&X-Amz-Signature=REDACTED",
  ],
  ["/a?client_secret=abc&pwd=d&jwt=e.f.g", "/a?client_secret=REDACTED&pwd=REDACTED&jwt=REDACTED"],
  ["/a?design=1&version=2&action=3", "/a?design=1&version=2&action=3"],
  ["/a?=abc&&token=x", "/a?=abc&&token=REDACTED"],
  ["/a?b?token=x", "/a?b?token=REDACTED"],
  ["/a?%ZZtoken=x", "/a?%ZZtoken=REDACTED"],
  ['request: "GET /x?key=abc HTTP/1.1", host: "a"', 'request: "GET /x?key=REDACTED HTTP/1.1", host: "a"'],
  ["https://example.com/?q=1&password=p", "https://example.com/?q=1&password=REDACTED"],
];

for (const [text, redacted] of cases) test(text, () => assert.equal(redactor.apply(text), redacted));

test("bytes that cannot hold a secret are told without a string", () => {
  const part = fc.constantFrom(
    "token",
    "k",
    "pw",
    "pwd",
    "si",
    "g",
    "api",
    "Key",
    "%6b",
    "e",
    "n",
    "[",
    "]",
    "_",
    "=",
    "&",
    "y",
    "%",
    "5",
    "x",
  );
  const names = fc.constantFrom([], ["k"], ["pw", "x5"]);
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), names, (parts, further) => {
      const redactor = new Redactor(further);
      const text = `/?${parts.join("")}=v`;
      const view = new DataView(new TextEncoder().encode(text).buffer);
      if (redactor.apply(text) !== text) assert.ok(redactor.mayChange(view, 1, text.length));
    }),
    { numRuns: 3000 },
  );
  const usual = "/search?q=pasta&page=7&lang=en&fields=a";
  assert.ok(!new Redactor().mayChange(new DataView(new TextEncoder().encode(usual).buffer), 7, usual.length));
});
