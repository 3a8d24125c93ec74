import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { ContainerMount } from "../runtime.ts";
import { planMounts } from "./mounts.ts";
import { RootView } from "./root-view.ts";

const folder = mkdtempSync(join(tmpdir(), "slipway-mounts-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Where each volume is mounted in a container whose image has /var/run as a link to /run, in order. */
function targetsOf(name: string, volumes: readonly ContainerMount[]): readonly string[] {
  const at = (path: string): string => join(folder, name, path);
  for (const path of ["upper", "work", "pod", "image/run", "image/var"])
    mkdirSync(at(path), { recursive: true });
  for (const path of ["hosts", "hostname", "resolv.conf", "message"]) writeFileSync(at(`pod/${path}`), "");
  symlinkSync("/run", at("image/var/run"));
  const table = planMounts({
    ...{ root: "/root", layers: [], upper: at("upper"), work: at("work"), rootfs: "copy" },
    ...{ userxattr: false, readOnlyRoot: false, protectProc: false },
    ...{ view: new RootView([at("upper"), at("image")]), lowers: [at("image")] },
    ...{ workspace: at("work"), podDirectory: at("pod"), volumes },
    ...{ terminationMessage: { path: "/message", file: at("pod/message") }, owner: { uid: 0, gid: 0 } },
  });
  const lines = table.split("\n").map((line) => line.split(" "));
  return lines.flatMap(([source = "", target = ""]) =>
    /\/pod\/(volumes|files)\//.test(source) ? [target.replace("/root", "")] : [],
  );
}

const empty = (volume: string, path: string): ContainerMount => ({
  kind: "empty",
  volume,
  path,
  readOnly: false,
});

test("a volume behind a link of the image lies in the volume that the link leads into", () => {
  const inner = empty("inner", "/var/run/secrets/web");
  assert.deepEqual(targetsOf("link", [inner, empty("outer", "/run")]), ["/run", "/run/secrets/web"]);
  // Made there, and not in the root file system, where the outer volume hides it.
  assert.ok(existsSync(join(folder, "link/pod/volumes/outer/secrets/web")));
  assert.deepEqual(targetsOf("plain", [empty("inner", "/data/in"), empty("outer", "/data")]), [
    "/data",
    "/data/in",
  ]);
});

test("of two volumes at the same folder by two names the later one counts", () => {
  assert.deepEqual(targetsOf("twice", [empty("a", "/var/run"), empty("b", "/run")]), ["/run"]);
});
