import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { BinfmtMisc } from "./binfmt-misc.ts";
import { commandFault } from "./command.ts";
import { RootView } from "./root-view.ts";
import { elf } from "./testing-elf.ts";

const base = mkdtempSync(join(tmpdir(), "slipway-command-"));
after(() => rmSync(base, { recursive: true, force: true }));
const view = new RootView([base]);

const FORMAT = "exec format error";
const GONE = "no such file or directory";
const DENIED = "permission denied";
const LIBRARY = "accessing a corrupted shared library";

/** What is in the file, and why the kernel does not run it; measured with runc, but for what is mounted. */
const FILES: Readonly<Record<string, readonly [content: string | Buffer, refusal: string | undefined]>> = {
  program: [elf(), undefined],
  small: [elf({ machine: 3, bits: 32 }), undefined],
  "small-class": [Buffer.from(elf()).fill(1, 4, 5), undefined],
  loaded: [elf({ interpreter: "/usr/bin/program" }), undefined],
  relative: [elf({ interpreter: "bin/program" }), undefined],
  "mounted-loader": [elf({ interpreter: "/mnt/loader" }), undefined],
  "linked-loader": [elf({ interpreter: "/loader" }), undefined],
  magic: ["\u007fELF", FORMAT],
  short: [elf().subarray(0, 40), FORMAT],
  "no-parts": [elf().fill(0, 56, 58), FORMAT],
  "cut-parts": [elf().subarray(0, 90), FORMAT],
  "odd-parts": [elf().fill(32, 54, 55), FORMAT],
  object: [elf({ type: 1 }), FORMAT],
  foreign: [elf({ machine: 183 }), FORMAT],
  "cut-name": [elf({ interpreter: "/usr/bin/program" }).subarray(0, 130), "input/output error"],
  "open-name": [Buffer.from(elf({ interpreter: "/usr/bin/program" })).fill(65, 136, 137), FORMAT],
  unloaded: [elf({ interpreter: "/lib/nowhere.so" }), GONE],
  "below-file": [elf({ interpreter: "/usr/bin/plain/x" }), "not a directory"],
  "plain-loader": [elf({ interpreter: "/usr/bin/plain" }), DENIED],
  "folder-loader": [elf({ interpreter: "/usr" }), DENIED],
  "text-loader": [elf({ interpreter: "/usr/bin/lines" }), "input/output error"],
  "long-loader": [elf({ interpreter: "/usr/bin/long" }), LIBRARY],
  "foreign-loader": [elf({ interpreter: "/usr/bin/foreign" }), LIBRARY],
  "small-loader": [elf({ interpreter: "/usr/bin/small" }), LIBRARY],
  script: ["#! /usr/bin/program -e\n", undefined],
  "relative-script": ["#!bin/program\n", undefined],
  "of-script": ["#!/usr/bin/script\n", undefined],
  mounted: ["#!/mnt/tool\n", undefined],
  windows: ["#!/usr/bin/program\r\n", GONE],
  orphan: ["#!/nowhere\n", GONE],
  nameless: ["#!\n", FORMAT],
  endless: [`#!/${"x".repeat(300)}\n`, FORMAT],
  loop: ["#!/usr/bin/loop\n", "too many levels of symbolic links"],
  "of-plain": ["#!/usr/bin/plain\n", DENIED],
  "of-folder": ["#!/usr\n", DENIED],
  "of-lines": ["#!/usr/bin/lines\n", FORMAT],
  "of-unloaded": ["#!/usr/bin/unloaded\n", GONE],
  lines: ["echo ran\n", FORMAT],
  long: ["echo ran\n".repeat(20), FORMAT],
  empty: ["", FORMAT],
  "app.jar": ["PK\u0003\u0004", FORMAT],
  "app.exe": ["MZ", FORMAT],
};

before(() => {
  mkdirSync(join(base, "usr/bin"), { recursive: true });
  for (const [name, [content]] of Object.entries(FILES))
    writeFileSync(join(base, "usr/bin", name), content, { mode: 0o755 });
  writeFileSync(join(base, "usr/bin/plain"), "", { mode: 0o644 });
  symlinkSync("/mnt/loader", join(base, "loader"));
  symlinkSync("/usr", join(base, "link"));
});

function fault(command: string, misc?: BinfmtMisc): string {
  const kernel = { architecture: "x64", misc };
  const found = commandFault(view, [command], "/usr", ["PATH=/sbin:/usr/bin"], kernel, [{ path: "/mnt" }]);
  return found === undefined ? "runs" : `${found.exitCode} ${found.message}`;
}

test("what the kernel does not take ends with 1, in the words of runc: table", () => {
  for (const [name, [, refusal]] of Object.entries(FILES))
    assert.equal(fault(name), refusal === undefined ? "runs" : `1 exec /usr/bin/${name}: ${refusal}`, name);
  assert.equal(fault("bin/lines"), `1 exec /usr/bin/lines: ${FORMAT}`);
});

test("what runc does not start at all says so with its own codes", () => {
  assert.deepEqual(
    ["plain", "/usr/bin/plain", "/usr/bin", "/gone", "/mnt/gone", "/loader"].map((one) => fault(one)),
    [
      '127 exec: "plain": executable file not found in $PATH',
      '126 exec: "/usr/bin/plain": permission denied',
      '126 exec: "/usr/bin": is a directory',
      '127 exec: "/gone": stat /gone: no such file or directory',
      "runs",
      "runs",
    ],
  );
});

test("what lies in a volume nobody can know, however its folder is written", () => {
  const kernel = { architecture: "x64", misc: undefined };
  for (const path of ["/usr/tools", "/usr/tools/", "/usr/./tools", "/link/tools", "usr/tools"])
    for (const command of ["/usr/tools/gone", "/link/tools/gone"])
      assert.equal(
        commandFault(view, [command], "/", [], kernel, [{ path }]),
        undefined,
        `${command} ${path}`,
      );
  const found = commandFault(view, ["/usr/toolsets"], "/", [], kernel, [{ path: "/usr/tools" }]);
  assert.equal(found?.exitCode, 127);
});

test("what binfmt_misc has an interpreter for is run, when the image has that interpreter or it is fixed", () => {
  const entry = (by: string, over: { interpreter?: string; flags?: string; state?: string } = {}): string =>
    `${over.state ?? "enabled"}\ninterpreter ${over.interpreter ?? "/usr/bin/program"}\nflags: ${over.flags ?? ""}\n${by}\n`;
  const jar = "extension .jar";
  const exe = "offset 0\nmagic 4d5a";
  const arm64 = "offset 18\nmagic b700\nmask ffff";
  const table: readonly (readonly [file: string, own: Readonly<Record<string, string>>, refusal?: string])[] =
    [
      ["app.jar", { jar: entry(jar) }],
      ["app.exe", { wine: entry(exe) }],
      ["app.exe", { wine: entry(exe, { interpreter: "/nowhere", flags: "F" }) }],
      ["foreign", { qemu: entry(arm64, { interpreter: "/nowhere", flags: "POCF" }) }],
      ["of-lines", { lines: entry("offset 0\nmagic 6563686f") }],
      ["app.jar", { jar: entry(jar, { interpreter: "/nowhere" }) }, GONE],
      ["app.jar", { a: entry(jar, { interpreter: "/nowhere" }), b: entry(jar) }],
      ["app.jar", { jar: entry(jar, { state: "disabled" }) }, FORMAT],
      ["app.jar", { jar: entry(jar), status: "disabled\n" }, FORMAT],
      ["app.exe", { jar: entry(jar), qemu: entry(arm64) }, FORMAT],
      ["foreign-loader", { qemu: entry(arm64, { flags: "F" }) }, LIBRARY],
      ["program", { amd64: entry("offset 18\nmagic 3e00", { interpreter: "/nowhere" }) }],
    ];
  for (const [file, own, refusal] of table) {
    const misc = { status: "enabled\n", ...own };
    const expected = refusal === undefined ? "runs" : `1 exec /usr/bin/${file}: ${refusal}`;
    assert.equal(fault(file, misc), expected, `${file} ${JSON.stringify(own)}`);
  }
});
