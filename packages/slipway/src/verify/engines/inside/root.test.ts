import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { entriesIn, filesIn, lookupIn, readIn } from "./root.ts";

const outside = mkdtempSync(join(tmpdir(), "slipway-root-"));
const root = join(outside, "root");
after(() => rmSync(outside, { recursive: true, force: true }));

for (const folder of ["etc", "proc", "var/log", "a", "loop"])
  mkdirSync(join(root, folder), { recursive: true });
writeFileSync(join(outside, "secret"), "of the machine");
writeFileSync(join(root, "secret"), "of the image");
writeFileSync(join(root, "etc/app.conf"), "listen 80\n");
chmodSync(join(root, "etc/app.conf"), 0o640); // whatever the umask is
writeFileSync(join(root, "proc/version"), "the kernel's");
writeFileSync(join(root, "a/b"), "");
writeFileSync(join(root, "a.b"), "");
symlinkSync("/etc/app.conf", join(root, "absolute"));
symlinkSync("../../secret", join(root, "var/log/up"));
symlinkSync("../../../../../../secret", join(root, "var/log/far-up"));
symlinkSync("/etc", join(root, "config"));
symlinkSync("nowhere", join(root, "dangling"));
symlinkSync("two", join(root, "loop/one"));
symlinkSync("one", join(root, "loop/two"));

describe("a path in a container", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["/etc/app.conf", "/etc/app.conf"],
    ["etc//./app.conf", "/etc/app.conf"],
    ["/absolute", "/etc/app.conf"],
    ["/config/app.conf", "/etc/app.conf"],
    ["/config/../secret", "/secret"],
    ["/var/log/up", "/secret"],
    ["/var/log/far-up", "/secret"],
    ["/../../secret", "/secret"],
    ["/", "/"],
    ["/dangling", "absent: /nowhere does not exist"],
    ["/etc/none", "absent: /etc/none does not exist"],
    ["/secret/below", "absent: /secret is not a directory"],
    ["/loop/one", "unknown: /loop/one goes through more than 40 links"],
  ];
  for (const [path, expected] of cases) {
    test(`${path} is ${expected}`, () => {
      const found = lookupIn(root, path);
      assert.equal(found.kind === "found" ? found.path : `${found.kind}: ${found.why}`, expected);
    });
  }

  test("a link is shown as it is when asked", async () => {
    const found = await filesIn(root).lookup("/absolute", { isLinkKept: true });
    assert.ok(found.kind === "found");
    assert.deepEqual([found.file.kind, found.file.link], ["symlink", "/etc/app.conf"]);
  });

  test("what is read is the image's file, never the machine's", async () => {
    assert.equal((await readIn(root, "/var/log/far-up")).toString(), "of the image");
    assert.equal((await readIn(root, "/absolute", 6)).toString(), "listen");
    await assert.rejects(readIn(root, "/etc"), /\/etc is a directory, not a file/);
  });

  test("a file has its own mode and size", () => {
    const found = lookupIn(root, "/etc/app.conf");
    assert.ok(found.kind === "found");
    assert.deepEqual([found.file.kind, found.file.mode, found.file.size], ["file", 0o640, 10]);
  });

  test("a root that is gone is unknown, not absent", () => {
    const found = lookupIn(join(outside, "never"), "/etc/app.conf");
    assert.equal(found.kind, "unknown");
  });

  test("all entries come sorted by bytes, without the kernel's", () => {
    const paths = entriesIn(root).map(({ path }) => path);
    assert.deepEqual(paths.slice(0, 4), ["/a", "/a.b", "/a/b", "/absolute"]);
    assert.equal(paths.includes("/proc/version"), false);
    assert.equal(paths.includes("/var/log/up"), true);
  });
});
