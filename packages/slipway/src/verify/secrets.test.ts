import assert from "node:assert/strict";
import { test } from "node:test";
import { redact, secretInFile, secretInHistory, secretInVariable } from "./secrets.ts";

const NPM = `npm_${"a1B2".repeat(9)}`;
const GITLAB = `glpat-${"x1".repeat(10)}`;
const STRIPE = `sk_${"live"}_${"4eC3".repeat(6)}`;

test("a variable is a secret by its name or by the form of its value", () => {
  const secret: readonly [string, string][] = [
    ["DB_PASSWORD", "x"],
    ["GITHUB_TOKEN", "abc"],
    ["STRIPE_API_KEY", "sk_x"],
    ["DATABASE_URL", "postgres://user:pass@db/x"],
    ["ANYTHING", "AKIAABCDEFGHIJKLMNOP"],
    ["CERT", "-----BEGIN RSA PRIVATE KEY-----"],
    ["DB_PASS", "hunter2"],
    ["MYSQL_PWD", "hunter2"],
    ["PASS", "hunter2"],
    ["dbPassword", "hunter2"],
    ["dbPass", "hunter2"],
    ["apiKey", "abc"],
    ["awsSecretAccessKey", "abc"],
    ["PGPASSWORD", "hunter2"],
    ["_authToken", "abc"],
    ["ANYTHING", NPM],
    ["ANYTHING", GITLAB],
    ["ANYTHING", STRIPE],
    ["ANYTHING", `github_pat_${"a1B2_".repeat(10)}`],
    ["ANYTHING", `dckr_pat_${"a1B2".repeat(7)}`],
  ];
  for (const [name, value] of secret)
    assert.notEqual(secretInVariable(name, value), undefined, `${name}=${value}`);
  const none: readonly [string, string][] = [
    ["DB_PASSWORD", ""],
    ["DB_PASSWORD_FILE", "/run/secrets/db"],
    ["dbPasswordFile", "db.txt"],
    ["TOKEN", "/var/run/token"],
    ["KEYBOARD", "qwerty"],
    ["TOKENIZER", "fast"],
    ["DATABASE_URL", "postgres://db/x"],
    ["PWD", "/app"],
    ["PWD", "app"],
    ["OLDPWD", "app"],
    ["INIT_PWD", "/app"],
    ["PASSENGER", "5"],
    ["PASSENGER_APP_ENV", "production"],
    ["PASSWORDLESS", "true"],
    ["PASS_THROUGH", "all"],
    ["BYPASS", "all"],
    ["FIRST_PASS", "1"],
    ["TWO_PASS", "true"],
    ["COMPASS", "north"],
    ["npm_config_registry", "https://registry.example/"],
    ["npm_package_name", "shop"],
    ["STRIPE", "sk_live_"],
    ["PREFIX", "glpat-"],
  ];
  for (const [name, value] of none)
    assert.equal(secretInVariable(name, value), undefined, `${name}=${value}`);
});

test("a line of history is a secret by what it sets, not by what it refers to", () => {
  for (const line of [
    'RUN TOKEN="abc" npm ci',
    `RUN echo "//registry.example/:_authToken=${NPM}" > .npmrc`,
    'RUN echo "//registry.example/:_authToken=abc" > .npmrc',
    `RUN curl -H "PRIVATE-TOKEN: ${GITLAB}" https://x.example`,
    "ENV DB_PASS=hunter2",
    "ENV dbPassword=hunter2",
    "ENV MYSQL_PWD=hunter2",
  ]) {
    assert.notEqual(secretInHistory(line), undefined, line);
  }
  for (const line of [
    "RUN npm ci # TOKEN",
    'RUN echo "//registry.example/:_authToken=$NPM_TOKEN" > .npmrc',
    "RUN TOKEN=$(cat /run/secrets/token) npm ci",
    "RUN PWD=/app make",
    "RUN --mount=type=secret,id=npm npm ci",
    "ENV PASSENGER=5",
  ]) {
    assert.equal(secretInHistory(line), undefined, line);
  }
});

test("a file of any name is looked through for known forms, and what is found is blotted out", () => {
  for (const value of [NPM, GITLAB, STRIPE]) {
    const content = JSON.stringify({ registry: { auth: value } });
    assert.notEqual(secretInFile("/app/config.json", content), undefined, value);
    assert.doesNotMatch(redact(content, []), new RegExp(value));
  }
  assert.equal(secretInFile("/app/config.json", '{"npm_config_cache":"/tmp","sk":"live"}'), undefined);
  assert.notEqual(secretInFile("/app/.env", "dbPass=hunter2\n"), undefined);
  assert.equal(secretInFile("/app/.env", "PASSENGER=5\nPWD=/app\n"), undefined);
});
