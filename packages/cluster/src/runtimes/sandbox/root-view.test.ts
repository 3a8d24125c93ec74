import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { RootView } from "./root-view.ts";
import { resolveIdentity } from "./users.ts";

const base = mkdtempSync(join(tmpdir(), "slipway-view-"));
after(() => rmSync(base, { recursive: true, force: true }));
const [upper, top, bottom] = ["upper", "top", "bottom"].map((name) => join(base, name)) as [
  string,
  string,
  string,
];
let view: RootView;

beforeEach(() => {
  rmSync(base, { recursive: true, force: true });
  for (const path of [upper, join(top, "etc"), join(bottom, "etc"), join(bottom, "usr/bin")])
    mkdirSync(path, { recursive: true });
  view = new RootView([upper, top, bottom]);
});

test("the topmost layer that has a file wins", () => {
  writeFileSync(join(bottom, "etc/a"), "old");
  writeFileSync(join(bottom, "etc/b"), "below");
  writeFileSync(join(top, "etc/a"), "new");
  assert.deepEqual(
    [view.readText("/etc/a"), view.readText("etc/../etc/b"), view.readText("/etc/c")],
    ["new", "below", undefined],
  );
});

test("a file in an upper layer hides a folder below", () => {
  mkdirSync(join(bottom, "opt"));
  writeFileSync(join(bottom, "opt/x"), "hidden");
  writeFileSync(join(top, "opt"), "a file");
  assert.equal(view.find("/opt/x"), undefined);
});

test("links are followed across layers and never leave the root", () => {
  symlinkSync("usr/bin", join(bottom, "bin"));
  writeFileSync(join(top, "etc/tool"), "t");
  mkdirSync(join(top, "usr/bin"), { recursive: true });
  symlinkSync("../../../../../../etc/tool", join(top, "usr/bin/tool"));
  symlinkSync("/etc/passwd", join(top, "etc/outside"));
  symlinkSync("loop", join(top, "loop"));
  assert.equal(view.find("/bin/tool")?.path, "/etc/tool");
  assert.equal(view.find("/etc/outside"), undefined, "the machine's own /etc/passwd is not in the image");
  assert.equal(view.find("/loop"), undefined);
});

test("targets are made in the topmost layer, with the modes of what is below", () => {
  mkdirSync(join(bottom, "srv"), { mode: 0o711 });
  assert.equal(view.makeTarget("/srv/data/deep", "directory"), "/srv/data/deep");
  assert.equal(statSync(join(upper, "srv")).mode & 0o777, 0o711);
  symlinkSync("../run/resolv.conf", join(bottom, "etc/resolv.conf"));
  assert.equal(view.makeTarget("/etc/resolv.conf", "file"), "/run/resolv.conf");
  writeFileSync(join(top, "etc/file"), "");
  assert.equal(view.makeTarget("/etc/file", "directory"), undefined);
  assert.equal(view.makeTarget("/etc/file/below", "directory"), undefined);
});

test("who a container runs as: table", () => {
  writeFileSync(
    join(bottom, "etc/passwd"),
    "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n",
  );
  writeFileSync(join(bottom, "etc/group"), "root:x:0:\napp:x:1001:\nextra:x:44:other,app\nweb:x:33:\n");
  const who = (imageUser: string, user?: number, group?: number): string => {
    try {
      const { uid, gid, groups, home } = resolveIdentity(view, {
        imageUser,
        user,
        group,
        runAsNonRoot: false,
      });
      return `${uid}:${gid} [${groups.join()}] ${home}`;
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.deepEqual(
    [
      who(""),
      who("app"),
      who("1000"),
      who("app:web"),
      who("4242"),
      who("4242:7"),
      who("app", 0),
      who("app", 5, 6),
      who("ghost"),
      who("0:ghosts"),
    ],
    [
      "0:0 [] /root",
      "1000:1001 [44] /home/app",
      "1000:1001 [44] /home/app",
      "1000:33 [44] /home/app",
      "4242:0 [] /",
      "4242:7 [] /",
      "0:0 [] /root",
      "5:6 [] /",
      "unable to find user ghost: no matching entries in passwd file",
      "unable to find group ghosts: no matching entries in group file",
    ],
  );
});
