import assert from "node:assert/strict";
import { test } from "node:test";
import { completeSecrets, newSecrets } from "./secrets.ts";

const [old, made] = await Promise.all([newSecrets(Date.now()), newSecrets(Date.now())]);

test("what is there is kept, and what a newer version needs is added", () => {
  assert.deepEqual(completeSecrets(old, made), old);
  const { "metrics-token": _, ...without } = old;
  assert.deepEqual(completeSecrets(without, made), { ...old, "metrics-token": made["metrics-token"] });
  assert.deepEqual(completeSecrets({}, made), made);
});

test("a certificate is not kept without its key", () => {
  const { "tls.key": _, ...without } = old;
  const completed = completeSecrets(without, made);
  assert.equal(completed["tls.crt"], made["tls.crt"]);
  assert.equal(completed["ca.crt"], made["ca.crt"]);
  assert.equal(completed["agent-token"], old["agent-token"]);
});

test("tokens are long, different, and readable in a file", () => {
  const tokens = ["agent-token", "read-token", "metrics-token"].map((key) => made[key as "read-token"]);
  assert.equal(new Set(tokens).size, 3);
  for (const token of tokens) assert.match(token, /^[\w-]{43}$/);
});
