import assert from "node:assert/strict";
import { test } from "node:test";
import { globToRegExp, parseIgnore } from "./patterns.ts";

/** Rules, path, whether it is left out. */
const IGNORES: readonly [string, string, boolean][] = [
  ["node_modules", "node_modules/a/b.js", true],
  ["node_modules", "web/node_modules/a.js", false],
  ["**/node_modules", "web/node_modules/a.js", true],
  ["**/node_modules", "node_modules", true],
  ["*.md", "README.md", true],
  ["*.md", "docs/README.md", false],
  ["**/*.md", "docs/deep/README.md", true],
  ["*/temp*", "a/temporary.txt", true],
  ["*/temp*", "a/b/temporary.txt", false],
  ["*/*/temp*", "a/b/temporary.txt", true],
  ["temp?", "tempa", true],
  ["temp?", "temp", false],
  ["*.md\n!README.md", "README.md", false],
  ["*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true],
  ["*.md\n!README*.md\nREADME-secret.md", "README-public.md", false],
  ["!README.md\n*.md", "README.md", true],
  ["/build/", "build/out.js", true],
  ["./build", "build/out.js", true],
  ["build/../dist", "dist/x", true],
  ["# secret.txt", "secret.txt", false],
  ["  secret.txt  ", "secret.txt", true],
  ["", "anything", false],
  ["*", "a/b", true],
  ["*\n!src", "src/a.js", false],
  ["*\n!src\nsrc/*.test.js", "src/a.test.js", true],
  ["**", "a/b/c", true],
  ["a/**/z", "a/z", true],
  ["a/**/z", "a/b/c/z", true],
  ["a/**", "a/b/c", true],
  ["[ab].txt", "b.txt", true],
  ["[^ab].txt", "b.txt", false],
  ["[a-c]*", "cat", true],
  ["a\\*b", "a*b", true],
  ["a\\*b", "axb", false],
  ["file.txt", "fileXtxt", false],
  [".env*", ".env.local", true],
  ["src/", "srcs/a", false],
];

test("a .dockerignore leaves out what Docker would leave out", () => {
  for (const [rules, path, expected] of IGNORES) {
    assert.equal(parseIgnore(rules).isIgnored(path), expected, `${JSON.stringify(rules)} for ${path}`);
  }
});

test("COPY's patterns do not cross folders", () => {
  const table: [string, string, boolean][] = [
    ["*.js", "a.js", true],
    ["*.js", "a/b.js", false],
    ["**.js", "a/b.js", false],
    ["a?c", "abc", true],
    ["[0-9].txt", "7.txt", true],
    ["(a)+.txt", "(a)+.txt", true],
    ["(a)+.txt", "aa.txt", false],
  ];
  for (const [glob, path, expected] of table) {
    assert.equal(globToRegExp(glob, { isDeep: false }).test(path), expected, `${glob} for ${path}`);
  }
});
