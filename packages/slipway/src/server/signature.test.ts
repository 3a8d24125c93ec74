import assert from "node:assert/strict";
import { test } from "node:test";
import { reasonAgainst, signatureOf } from "./signature.ts";

// The worked example of Slack's page "Verifying requests from Slack".
const secret = "8f742231b10e8888abcd99yyyzzz85a5";
const timestamp = "1531420618";
const body = Buffer.from(
  "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
);
const signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
const now = 1531420618_000;

test("the example of Slack's own page has the signature that the page says", () => {
  assert.equal(signatureOf(timestamp, body, secret), signature);
  assert.equal(reasonAgainst({ timestamp, signature, body }, secret, now), undefined);
});

const changed = Buffer.from(body.toString().replace("roadrunner", "coyote"));
const refused: readonly (readonly [
  name: string,
  request: Parameters<typeof reasonAgainst>[0],
  now: number,
  reason: RegExp,
])[] = [
  ["another body", { timestamp, signature, body: changed }, now, /signature is wrong/],
  ["another time", { timestamp: "1531420619", signature, body }, now, /signature is wrong/],
  ["no signature", { timestamp, signature: undefined, body }, now, /not signed/],
  ["no timestamp", { timestamp: undefined, signature, body }, now, /not signed/],
  ["an empty signature", { timestamp, signature: "", body }, now, /signature is wrong/],
  [
    "a signature that is too short",
    { timestamp, signature: signature.slice(0, -2), body },
    now,
    /signature is wrong/,
  ],
  [
    "a signature with something after it",
    { timestamp, signature: `${signature}00`, body },
    now,
    /signature is wrong/,
  ],
  [
    "another version",
    { timestamp, signature: signature.replace("v0", "v1"), body },
    now,
    /signature is wrong/,
  ],
  ["five minutes and a second later", { timestamp, signature, body }, now + 301_000, /301 s old/],
  ["from the future", { timestamp, signature, body }, now - 301_000, /301 s ahead/],
  ["a timestamp in words", { timestamp: "now", signature, body }, now, /not a number/],
  ["a timestamp with a sign", { timestamp: "-1531420618", signature, body }, now, /not a number/],
];
for (const [name, request, at, reason] of refused) {
  test(`refused: ${name}`, () => assert.match(reasonAgainst(request, secret, at) ?? "", reason));
}

test("refused: another secret; taken: up to five minutes to either side", () => {
  assert.match(reasonAgainst({ timestamp, signature, body }, "other", now) ?? "", /signature is wrong/);
  for (const at of [now - 300_000, now + 300_000]) {
    assert.equal(reasonAgainst({ timestamp, signature, body }, secret, at), undefined);
  }
});
