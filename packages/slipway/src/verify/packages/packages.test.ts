/** Package databases as text; what the corpus of broken images does not say about them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerFiles, FileFacts } from "../engines/engine.ts";
import { judgePackage } from "../judge/packages.ts";
import { rpmDatabase } from "../mutations/bases.ts";
import { parseInstalled } from "./apk.ts";
import { parseStatus } from "./dpkg.ts";

const FACTS: FileFacts = { kind: "file", mode: 0o644, uid: 0, gid: 0, size: 1, mtime: 0, link: "" };

function filesOf(contents: Readonly<Record<string, string | Uint8Array>>): ContainerFiles {
  return {
    lookup: (path) =>
      Promise.resolve(
        contents[path] === undefined
          ? { kind: "absent", why: `there is no ${path}` }
          : { kind: "found", path, file: FACTS },
      ),
    async *entries() {
      for (const path of Object.keys(contents).sort()) yield { path, file: FACTS };
    },
    read: (path) => Promise.resolve(Buffer.from(contents[path] ?? "")),
  };
}

const check = (name: string, matcher: "installed" | "absent", manager?: "rpm") =>
  [{ resource: { name, manager }, expectation: { matcher } }] as const;

test("a status file is read field by field; damage is told with its line", () => {
  const table: readonly [string, string, string | undefined][] = [
    ["Package: a\nStatus: install ok installed\nVersion: 1\n", "a 1", undefined],
    ["Package: a\nStatus: hold ok installed\nVersion: 1\nConffiles:\n /etc/a 1\n", "a 1", undefined],
    ["Package: a\nStatus: deinstall ok config-files\n", "", "x: it has no package"],
    ["Package: a\nVersion: 1\n", "", "x: a has no Status field"],
    [
      "Package: a\nStatus: install ok installed\nVersion: 1\n\nnonsense\n",
      "a 1",
      'x: "nonsense" is not a field',
    ],
    ["", "", "x: it has no package"],
  ];
  for (const [text, packages, damage] of table) {
    const read = parseStatus(text, "x", true);
    assert.equal(read.packages.map(({ name, version }) => `${name} ${version}`).join(), packages, text);
    assert.equal(read.damage, damage, text);
  }
  assert.equal(parseInstalled("P:a\nV:1\n\nP:b\n", "x").damage, "x: a package without name or version");
});

test("an RPM database in an older form is unknown, with the reason", async () => {
  for (const path of ["/var/lib/rpm/Packages", "/var/lib/rpm/Packages.db"]) {
    const files = filesOf({ [path]: "\0\0" });
    for (const matcher of ["installed", "absent"] as const) {
      const judged = await judgePackage(check("nginx", matcher)[0], files);
      assert.equal(judged.verdict, "unknown");
      assert.match(judged.evidence, /older form/);
    }
  }
});

test("an RPM database is found in both of its places", async () => {
  const database = rpmDatabase([{ name: "nginx", version: "1.20.1", release: "14.el9" }]);
  for (const folder of ["/usr/lib/sysimage/rpm", "/var/lib/rpm"]) {
    const judged = await judgePackage(
      check("nginx", "installed", "rpm")[0],
      filesOf({ [`${folder}/rpmdb.sqlite`]: database }),
    );
    assert.deepEqual([judged.verdict, judged.evidence], ["pass", "version 1.20.1-14.el9"]);
  }
});
