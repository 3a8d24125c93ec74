import assert from "node:assert/strict";
import { test } from "node:test";
import { createAccountTokens } from "./account-tokens.ts";

const tokens = createAccountTokens("secret");
const token = tokens.tokenOf("shop", "web");

test("a token names its account, in the form that Kubernetes gives it, and is the same after a restart", () => {
  assert.deepEqual(tokens.accountOf(token), { namespace: "shop", name: "web" });
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
  assert.equal(claims.sub, "system:serviceaccount:shop:web");
  assert.equal(createAccountTokens("secret").tokenOf("shop", "web"), token);
  assert.ok(!token.includes("secret"));
});

test("what this cluster has not signed is nobody's", () => {
  const [header, claims, signature] = token.split(".");
  const other = tokens.tokenOf("shop", "admin").split(".")[1];
  const none = Buffer.from('{"alg":"none"}').toString("base64url");
  const forged = [
    "",
    "x",
    "a.b.c",
    `${header}.${claims}.`,
    `${header}.${other}.${signature}`,
    `${none}.${claims}.`,
    createAccountTokens("another").tokenOf("shop", "web"),
  ];
  for (const one of forged) assert.equal(tokens.accountOf(one), undefined, one);
});
