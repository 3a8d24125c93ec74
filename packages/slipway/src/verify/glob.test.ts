import assert from "node:assert/strict";
import { test } from "node:test";
import { globExpression, globProblem } from "./glob.ts";

test("however a path is written, the same file matches", () => {
  const table: readonly [glob: string, path: string, boolean][] = [
    ...["etc/passwd", "/etc/passwd", "./etc/passwd", "/./etc/passwd", "/etc//passwd", "/etc/passwd/"].map(
      (glob): [string, string, boolean] => [glob, "/etc/passwd", true],
    ),
    ["{/etc/passwd,./etc/group}", "/etc/passwd", true],
    ["{/etc/passwd,./etc/group}", "/etc/group", true],
    ["/etc/{pass{wd,word},group}", "/etc/password", true],
    ["/etc/{pass{wd,word},group}", "/etc/shadow", false],
    ["**", "/etc/passwd", true],
    ["**/", "/etc", true],
    ["**/*.pem", "/a/b/c.pem", true],
    ["*.pem", "/a/c.pem", false],
    ["/etc/[op]asswd", "/etc/passwd", true],
    ["/etc/[!p]asswd", "/etc/passwd", false],
    ["/etc/[^p]asswd", "/etc/oasswd", true],
    ["/a\\{b", "/a{b", true],
    ["/a\\[b", "/a[b", true],
  ];
  for (const [glob, path, expected] of table) {
    assert.equal(globProblem(glob), undefined, glob);
    assert.equal(globExpression(glob).test(path), expected, `${glob} ${path}`);
  }
});

test("a glob that can match nothing says why", () => {
  const table: readonly [glob: string, why: RegExp][] = [
    ["/etc/{passwd,group", /"\{" without/],
    ["/etc/passwd,group}", /"\}" without/],
    ["/etc/[passwd", /"\[" without/],
    ["/etc/[]", /"\[" without/],
    ["/etc/[z-a]", /is not a glob/],
    ["/etc/../x", /goes through \.\./],
    ["", /names no file/],
    ["/", /names no file/],
    ["./", /names no file/],
  ];
  for (const [glob, why] of table) assert.match(globProblem(glob) ?? "none", why, glob);
});
