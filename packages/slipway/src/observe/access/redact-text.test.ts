import assert from "node:assert/strict";
import { test } from "node:test";
import { redactText } from "./redact-text.ts";

const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP";

const cases: readonly (readonly [string, string])[] = [
  ["login failed token=abc user=7", "login failed token=REDACTED user=7"],
  ["DB_PASSWORD=hunter2 DB_HOST=db", "DB_PASSWORD=REDACTED DB_HOST=db"],
  ["password: hunter2", "password: REDACTED"],
  [
    '{"user":"a","password":"hun ter","apiKey":"k","n":1}',
    '{"user":"a","password":"REDACTED","apiKey":"REDACTED","n":1}',
  ],
  ['body {\\"client_secret\\":\\"abc\\",\\"n\\":1}', 'body {\\"client_secret\\":\\"REDACTED\\",\\"n\\":1}'],
  ["{ token: 'abc', n: 1 }", "{ token: 'REDACTED', n: 1 }"],
  ["Authorization: Bearer abc.def", "Authorization: Bearer REDACTED"],
  ['"authorization":"Basic dXNlcjpwYXNz","n":1', '"authorization":"Basic REDACTED","n":1'],
  ["Proxy-Authorization: Basic dXNlcjpwYXNz", "Proxy-Authorization: Basic REDACTED"],
  ["Cookie: session=abc; theme=dark", "Cookie: REDACTED"],
  ['"set-cookie":"sid=abc; HttpOnly","n":1', '"set-cookie":"REDACTED","n":1'],
  ["sent bearer 0123456789abcdef0", "sent bearer REDACTED"],
  ["postgres://web:pa55@db:5432/shop", "postgres://web:REDACTED@db:5432/shop"],
  ["redis://:pa55@cache", "redis://:REDACTED@cache"],
  [`expired: ${jwt}`, "expired: REDACTED"],
  ["ssn=123 at 9", "ssn=REDACTED at 9"],
  // What only looks like it.
  ...[
    "exit code: 1, error code=ECONNREFUSED",
    "primary_key=id, cache key: user:7, public_key=abc",
    "SyntaxError: Unexpected token: in JSON at position 4",
    "the token: expired",
    '{"token":null,"password":""}',
    "tokens=512 max_token_count=5",
    "http://web:8080/a@b",
    "bearer of bad news",
    "monkey=1 keyboard: qwerty123",
  ].map((text) => [text, text] as const),
];

for (const [text, redacted] of cases) {
  test(text, () => {
    assert.equal(redactText(text, ["ssn"]), redacted);
    assert.equal(redactText(redacted, ["ssn"]), redacted, "once more changes nothing");
  });
}

test("a line that was written to take for ever does not", { timeout: 30_000 }, () => {
  const parts = [
    ...["a", "eyJ", "-eyJ", "token", "token=", "://", ":// @", "://a:b", "password:'", "bearer ", "cookie:"],
    ...['\\"', "a.", "=:", "a =", 'x="', "eyJaaaaaaaa."],
  ];
  for (const part of parts) {
    const line = `secret ${part.repeat(Math.ceil(250_000 / part.length))}`;
    assert.ok(redactText(line, []).length > 0);
  }
});
