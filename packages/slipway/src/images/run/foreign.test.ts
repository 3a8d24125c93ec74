import assert from "node:assert/strict";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type BinfmtMisc, readBinfmtMisc } from "@slipway/cluster/binfmt-misc";
import { hostPlatform } from "../oci.ts";
import { foreignHere } from "./binfmt-misc.ts";
import { foreignTo } from "./foreign.ts";

/** As Linux 6.18 shows what Debian 12's qemu-user-static registers. */
const debian = (name: string, magic: string, mask: string): string =>
  `enabled\ninterpreter /usr/libexec/qemu-binfmt/${name}-binfmt-P\nflags: POF\noffset 0\nmagic ${magic}\nmask ${mask}\n`;
const ARM64 = debian(
  "aarch64",
  "7f454c460201010000000000000000000200b700",
  "ffffffffffffff00fffffffffffffffffeffffff",
);
const DEBIAN: Readonly<Record<string, string>> = {
  "qemu-aarch64": ARM64,
  "qemu-arm": debian(
    "arm",
    "7f454c4601010100000000000000000002002800",
    "ffffffffffffff00fffffffffffffffffeffffff",
  ),
  "qemu-armeb": debian(
    "armeb",
    "7f454c4601020100000000000000000000020028",
    "ffffffffffffff00fffffffffffffffffffeffff",
  ),
  "qemu-ppc64": debian(
    "ppc64",
    "7f454c4602020100000000000000000000020015",
    "fffffffffffffffcfffffffffffffffffffeffff",
  ),
  "qemu-ppc64le": debian(
    "ppc64le",
    "7f454c4602010100000000000000000002001500",
    "fffffffffffffffcfffffffffffffffffeffff00",
  ),
  "qemu-riscv64": debian(
    "riscv64",
    "7f454c460201010000000000000000000200f300",
    "ffffffffffffff00fffffffffffffffffeffffff",
  ),
  "qemu-s390x": debian(
    "s390x",
    "7f454c4602020100000000000000000000020016",
    "fffffffffffffffcfffffffffffffffffffeffff",
  ),
};
const PYTHON = "enabled\ninterpreter /usr/bin/python3.11\nflags: \noffset 0\nmagic a70d0d0a\n";
const JAR = "enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n";
const OTHERS = { "python3.11": PYTHON, jar: JAR };

const factOf = (
  architecture: string,
  misc: Readonly<Record<string, string>> | undefined,
): string | undefined =>
  foreignTo({ os: "linux", architecture }, misc && { status: "enabled\n", ...misc })?.fact;

test("what Debian registers runs each architecture that it is for, by its bytes", () => {
  const by: Readonly<Record<string, string>> = {
    arm64: "qemu-aarch64",
    arm: "qemu-arm",
    ppc64le: "qemu-ppc64le",
    riscv64: "qemu-riscv64",
    s390x: "qemu-s390x",
  };
  for (const architecture of ["386", "amd64", "arm", "arm64", "ppc64le", "riscv64", "s390x"]) {
    const runs = Object.keys(DEBIAN).filter(
      (name) => factOf(architecture, { ...OTHERS, "any name": DEBIAN[name] as string }) === undefined,
    );
    assert.deepEqual(runs, by[architecture] === undefined ? [] : [by[architecture]], architecture);
    const isThere = factOf(architecture, { ...DEBIAN, ...OTHERS }) === undefined;
    assert.equal(isThere, architecture in by, architecture);
  }
});

test("what an entry must be to run programs inside an image", () => {
  const changed = (from: string | RegExp, to: string): string => {
    const text = ARM64.replace(from, to);
    assert.notEqual(text, ARM64);
    return text;
  };
  const none = "binfmt_misc has no interpreter for arm64";
  const loose =
    "own, which binfmt_misc has for arm64, was registered without the flag F, so it is not found inside an image";
  const disabled = "own, which binfmt_misc has for arm64, is disabled";
  const table: readonly (readonly [what: string, text: string, fact: string | undefined])[] = [
    ["Debian's", ARM64, undefined],
    ["F alone", changed("POF", "F"), undefined],
    ["no F", changed("POF", "POC"), loose],
    ["no flags", changed("POF", ""), loose],
    ["disabled", changed("enabled", "disabled"), disabled],
    ["disabled, and no F", changed("enabled", "disabled").replace("POF", "PO"), disabled],
    ["programs at a fixed address only", changed("fffeffffff", "ffffffffff"), none],
    ["programs at any address only", changed("0200b7", "0300b7").replace("fffeffffff", "ffffffffff"), none],
    ["every bit counts", changed(/mask .*\n/, ""), none],
    ["another machine", changed("b700", "b600"), none],
    ["32 bits", changed("4c460201", "4c460101"), none],
    ["big-endian", changed("460201", "460202"), none],
    ["the machine alone", changed(/offset 0\n.*\n.*\n/, "offset 18\nmagic b700\n"), undefined],
    ["the machine at a wrong place", changed(/offset 0\n.*\n.*\n/, "offset 17\nmagic b700\n"), none],
    ["any program", changed(/magic .*\nmask .*\n/, "magic 7f454c46\n"), undefined],
    [
      "what lies behind the head",
      changed(/offset 0\n.*\n.*\n/, "offset 18\nmagic b7000100000000\nmask ffffffffffffff\n"),
      none,
    ],
    [
      "nothing of what lies behind the head",
      changed(/offset 0\n.*\n.*\n/, "offset 18\nmagic b7000100000000\nmask ffffffffffff00\n"),
      undefined,
    ],
    ["other files", PYTHON, none],
    ["names that end so", JAR, none],
  ];
  for (const [what, own, fact] of table) assert.equal(factOf("arm64", { own }), fact, what);
});

test("one entry that works is enough, whatever others there are", () => {
  const loose = ARM64.replace("POF", "PO");
  const disabled = ARM64.replace("enabled", "disabled");
  assert.equal(factOf("arm64", { a: loose, b: disabled, c: ARM64 }), undefined);
  assert.match(factOf("arm64", { a: disabled, b: loose }) ?? "", /^b, .* without the flag F/);
});

test("each reason has its own remedy", () => {
  const remedyOf = (misc: BinfmtMisc, architecture = "arm64", os = "linux") =>
    foreignTo({ os, architecture }, misc)?.remedy;
  const status = "enabled\n";
  assert.equal(remedyOf(undefined), "mount it (mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc)");
  assert.equal(
    remedyOf({ status: "disabled\n", a: ARM64 }),
    "switch it on (echo 1 >/proc/sys/fs/binfmt_misc/status)",
  );
  assert.match(remedyOf({ status }) ?? "", /^install one \(apt-get install qemu-user-static;/);
  assert.match(remedyOf({ status, a: ARM64.replace("POF", "") }) ?? "", /^register one with F/);
  assert.equal(
    remedyOf({ status, a: ARM64.replace("enabled", "disabled") }),
    "enable it (echo 1 >/proc/sys/fs/binfmt_misc/a)",
  );
  for (const [os, architecture] of [
    ["linux", "vax"],
    ["windows", "arm64"],
  ] as const) {
    const foreign = foreignTo({ os, architecture }, { status, a: ARM64 });
    assert.deepEqual(foreign, {
      fact: `no interpreter is known for ${os}/${architecture}`,
      remedy: undefined,
    });
  }
});

test("the kernel is asked about other architectures only, and an entry may go while it is read", async () => {
  const unasked = () => Promise.reject(new Error("asked"));
  assert.equal(await foreignHere(hostPlatform(), unasked), undefined);
  assert.equal(await foreignHere({ ...hostPlatform(), variant: "v2" }, unasked), undefined);
  await assert.rejects(foreignHere({ os: "linux", architecture: "vax" }, unasked), /asked/);
  const i386 = foreignHere({ os: "linux", architecture: "386" }, unasked);
  if (["amd64", "386"].includes(hostPlatform().architecture)) assert.equal(await i386, undefined);
  else await assert.rejects(i386, /asked/);

  const folder = await mkdtemp(join(tmpdir(), "slipway-binfmt-"));
  try {
    assert.equal(await readBinfmtMisc(folder), undefined);
    for (const [name, text] of Object.entries({ status: "enabled\n", register: "no", a: ARM64 }))
      await writeFile(join(folder, name), text);
    await symlink("/gone", join(folder, "b"));
    assert.deepEqual(await readBinfmtMisc(folder), { status: "enabled\n", a: ARM64, b: "" });
    assert.equal(await readBinfmtMisc(join(folder, "a")), undefined);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
