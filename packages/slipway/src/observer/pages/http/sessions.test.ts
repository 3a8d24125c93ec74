import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "@slipway/base";
import fc from "fast-check";
import { createSessions, SESSION_MS, type Sessions } from "./sessions.ts";

const TOKEN = "0123456789abcdef0123";
const NOW = 1_700_000_000_000;
const made = (token = TOKEN, seed = 1): Sessions => createSessions(token, seededRandom(seed));

function cookieOf(sessions: Sessions, now = NOW): string {
  const admission = sessions.admit(TOKEN, "10.0.0.1", now);
  assert.ok(admission.kind === "admitted");
  return admission.cookie;
}

test("the token opens a session, which lives for its time", () => {
  const sessions = made();
  const cookie = cookieOf(sessions);
  const session = sessions.of(cookie, NOW + SESSION_MS - 1);
  assert.ok(session !== undefined);
  assert.ok(sessions.isCsrf(session, session.csrf));
  assert.equal(sessions.of(cookie, NOW + SESSION_MS), undefined);
});

test("a restart with the same token ends no session, another token ends all", () => {
  const cookie = cookieOf(made());
  assert.ok(made(TOKEN, 2).of(cookie, NOW) !== undefined);
  assert.equal(made(`${TOKEN}x`).of(cookie, NOW), undefined);
});

test("a cookie that was changed in any character is none", () => {
  const sessions = made();
  const cookie = cookieOf(sessions);
  fc.assert(
    fc.property(fc.nat(cookie.length - 1), fc.string({ minLength: 0, maxLength: 2 }), (at, put) => {
      const changed = cookie.slice(0, at) + put + cookie.slice(at + 1);
      assert.equal(sessions.of(changed, NOW) !== undefined, changed === cookie);
    }),
  );
});

test("no other time than the signed one counts", () => {
  const sessions = made();
  const [id, , signature] = cookieOf(sessions).split(".");
  assert.equal(sessions.of(`${id}.${NOW * 2}.${signature}`, NOW), undefined);
});

test("garbage is none, whatever it is", () => {
  const sessions = made();
  const session = sessions.of(cookieOf(sessions), NOW);
  assert.ok(session !== undefined);
  fc.assert(
    fc.property(fc.anything(), (value) => {
      assert.equal(
        sessions.confirm(value, fc.stringify(value).slice(0, 9), NOW) === "right",
        value === TOKEN,
      );
      assert.equal(sessions.isCsrf(session, value), false);
      if (typeof value === "string") assert.equal(sessions.of(value, NOW), undefined);
    }),
  );
});

test("the CSRF value of one session is not that of another", () => {
  const sessions = made();
  const [a, b] = [cookieOf(sessions), cookieOf(sessions)].map((cookie) => sessions.of(cookie, NOW));
  assert.ok(a !== undefined && b !== undefined);
  assert.equal(sessions.isCsrf(a, b.csrf), false);
});

test("ten wrong tokens within a minute, and the right one is not looked at either; others are not locked out", () => {
  const sessions = made();
  for (let time = 0; time < 10; time += 1)
    assert.equal(sessions.admit("wrong", "10.0.0.1", NOW + time).kind, "wrong");
  const limited = sessions.admit(TOKEN, "10.0.0.1", NOW + 10_000);
  assert.deepEqual(limited, { kind: "limited", retryAfterMs: 50_000 });
  assert.equal(sessions.confirm(TOKEN, "10.0.0.1", NOW + 10_000), "limited");
  assert.equal(sessions.admit(TOKEN, "10.0.0.2", NOW + 10_000).kind, "admitted");
  assert.equal(sessions.admit(TOKEN, "10.0.0.1", NOW + 60_010).kind, "admitted");
});

test("wrong tokens from ever more addresses do not fill the memory, and the newest stay counted", () => {
  const sessions = made();
  for (let index = 0; index < 5000; index += 1) sessions.admit("wrong", `address ${index}`, NOW);
  for (let time = 0; time < 9; time += 1) sessions.admit("wrong", "address 4999", NOW);
  assert.equal(sessions.admit(TOKEN, "address 4999", NOW).kind, "limited");
});

test("a short token is refused at the start", () => {
  assert.throws(() => made("short"), RangeError);
});
