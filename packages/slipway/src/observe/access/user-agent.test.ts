import assert from "node:assert/strict";
import { test } from "node:test";
import { readLines } from "./testing.ts";

const cases: readonly (readonly [string, string])[] = [
  ["ShopApp/2.1 token=abc123 (iOS 18)", "ShopApp/2.1 token=REDACTED (iOS 18)"],
  ["sync/1 api_key=k&user=7", "sync/1 api_key=REDACTED&user=7"],
  [
    "Bot/1.0 (+https://example.com/?access_token=abc)",
    "Bot/1.0 (+https://example.com/?access_token=REDACTED",
  ],
  ["app Authorization=Bearer abc.def", "app Authorization=Bearer REDACTED"],
  // Whom to write to, and what only looks like it.
  ...[
    "Bot/1.0 (+https://example.com/bot; bot@example.com)",
    "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
    "Crawler/3 (contact=crawl@example.com; q=1)",
    "-",
  ].map((text) => [text, text] as const),
];

/** The usual line is read by its bytes, that of a user with a name by its characters. */
for (const user of ["-", "bob"])
  test(`secrets in a user agent are not stored, addresses are; the user is ${user}`, () => {
    const line = (agent: string): string =>
      `192.0.2.7 - ${user} [05/Jan/2026:13:55:36 +0000] "GET /a HTTP/1.1" 200 512 "-" "${agent}"\n`;
    // Each twice: the second time it is known.
    const { rows } = readLines(cases.flatMap(([agent]) => [line(agent), line(agent)]).join(""));
    assert.deepEqual(
      rows.map(({ userAgent }) => userAgent),
      cases.flatMap(([, stored]) => [stored, stored]),
    );
  });
