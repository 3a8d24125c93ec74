/**
 * RUN for another architecture for real: a program of it in an empty image, which only the kernel's interpreter can run. Where
 * this machine lets no interpreter be registered, the same builds are refused with what would let them.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec, SlipwayError, systemClock } from "@slipway/base";
import { BINFMT_MISC } from "@slipway/cluster/binfmt-misc";
import { findTool } from "@slipway/cluster/sandbox";
import { collect } from "../../verify/collect.ts";
import { createSandboxEngine } from "../../verify/engines/sandbox/engine.ts";
import { withoutImplied } from "../../verify/plan.ts";
import { decideChecks } from "../../verify/run.ts";
import { describeImage } from "../../verify/verify.ts";
import { type BuildEvent, buildImages } from "../build.ts";
import type { BuiltImage } from "../image.ts";
import { ImageLayout } from "../layout.ts";
import { hostPlatform, type ImageIndex, type Platform } from "../oci.ts";
import type { RegistryClient } from "../registry/client.ts";
import { readImage } from "../source.ts";
import { foreignHere } from "./binfmt-misc.ts";
import type { Foreign } from "./foreign.ts";

const TEXT = "hello from another machine\n";

/** Programs that write what follows them and exit: `e_machine`, and their instructions. */
const PROGRAMS: Readonly<Record<string, readonly [machine: number, code: string]>> = {
  amd64: [
    62,
    [
      "b801000000", //       mov eax, 1         (write)
      "bf01000000", //       mov edi, 1
      "488d3510000000", //   lea rsi, [rip+16]
      "ba1b000000", //       mov edx, 27
      "0f05", //             syscall
      "b83c000000", //       mov eax, 60        (exit)
      "31ff", //             xor edi, edi
      "0f05", //             syscall
    ].join(""),
  ],
  arm64: [
    183,
    [
      "200080d2", // mov x0, 1
      "e1000010", // adr x1, . + 28
      "620380d2", // mov x2, 27
      "080880d2", // mov x8, 64         (write)
      "010000d4", // svc 0
      "000080d2", // mov x0, 0
      "a80b80d2", // mov x8, 93         (exit)
      "010000d4", // svc 0
    ].join(""),
  ],
};

/** A static ELF of one segment: the header, its only program header, the code and the text. */
function programFor(architecture: string): Buffer {
  const [machine, code] = PROGRAMS[architecture] as readonly [number, string];
  const body = Buffer.concat([Buffer.from(code, "hex"), Buffer.from(TEXT)]);
  const base = 0x400000n;
  const start = 64 + 56;
  const head = Buffer.alloc(start);
  head.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  head.writeUInt16LE(2, 16); // ET_EXEC
  head.writeUInt16LE(machine, 18);
  head.writeUInt32LE(1, 20);
  head.writeBigUInt64LE(base + BigInt(start), 24); // where it begins
  head.writeBigUInt64LE(64n, 32); // the program header, and the sizes of both
  head.writeUInt16LE(64, 52);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(1, 56);
  head.writeUInt32LE(1, 64); // PT_LOAD
  head.writeUInt32LE(5, 68); // to be read and executed
  head.writeBigUInt64LE(base, 80);
  head.writeBigUInt64LE(base, 88);
  head.writeBigUInt64LE(BigInt(start + body.length), 96);
  head.writeBigUInt64LE(BigInt(start + body.length), 104);
  head.writeBigUInt64LE(4096n, 112);
  return Buffer.concat([head, body]);
}

const own = hostPlatform();
const other: Platform = { os: "linux", architecture: own.architecture === "arm64" ? "amd64" : "arm64" };

/** As Debian registers it, under a name of this test. */
const INTERPRETER = other.architecture === "arm64" ? "qemu-aarch64-static" : "qemu-x86_64-static";
const MACHINE = other.architecture === "arm64" ? "\\xb7" : "\\x3e";
const NAME = `slipway-test-${process.pid}`;
const MAGIC = `\\x7fELF\\x02\\x01\\x01${"\\x00".repeat(9)}\\x02\\x00${MACHINE}\\x00`;
const MASK = `${"\\xff".repeat(7)}\\x00${"\\xff".repeat(8)}\\xfe\\xff\\xff\\xff`;

let folder: string;
let layout: ImageLayout;
let foreign: Foreign | undefined;
let hasMounted = false;
let hasRegistered = false;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-foreign-"));
  layout = await ImageLayout.open(join(folder, "layout"));
  for (const architecture of Object.keys(PROGRAMS))
    await writeFile(join(folder, `hello-${architecture}`), programFor(architecture), { mode: 0o755 });
  if (!existsSync(join(BINFMT_MISC, "status"))) {
    const mounted = await exec(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT_MISC]);
    hasMounted = mounted.exitCode === 0;
  }
  const interpreter = findTool(INTERPRETER);
  if ((await foreignHere(other)) !== undefined && interpreter !== undefined) {
    const entry = `:${NAME}:M::${MAGIC}:${MASK}:${interpreter}:F`;
    hasRegistered = await writeFile(join(BINFMT_MISC, "register"), entry).then(
      () => true,
      () => false, // not root, not mounted, or not allowed here
    );
  }
  foreign = await foreignHere(other);
});
after(async () => {
  if (hasRegistered) await writeFile(join(BINFMT_MISC, NAME), "-1");
  if (hasMounted) await exec(["umount", BINFMT_MISC]);
  await rm(folder, { recursive: true, force: true });
});

async function build(
  dockerfile: string,
  platforms: readonly Platform[],
): Promise<{ readonly image: BuiltImage; readonly output: string }> {
  const path = join(folder, "Dockerfile");
  await writeFile(path, dockerfile);
  const events: BuildEvent[] = [];
  const [image] = await buildImages({
    images: [{ name: "hello", from: { kind: "context", context: folder, dockerfile: path, args: {} } }],
    layout,
    registry: {} as RegistryClient,
    root: folder,
    commitTimeMs: 0,
    isLocal: true,
    allowHostBases: [],
    platforms,
    onProgress: (event) => events.push(event),
  });
  const output = events.map((event) => (event.kind === "output" ? event.text : "")).join("");
  return { image: image as BuiltImage, output };
}

/** Where there is an interpreter, what was built; else undefined, when the build was refused as it must be. */
async function builtOrRefused(
  dockerfile: string,
  platforms: readonly Platform[],
): Promise<Awaited<ReturnType<typeof build>> | undefined> {
  if (foreign === undefined) return build(dockerfile, platforms);
  const { fact, remedy = "" } = foreign;
  await assert.rejects(build(dockerfile, platforms), (error: SlipwayError) => {
    assert.ok(error instanceof SlipwayError);
    assert.equal(error.code, "DOCKERFILE_UNSUPPORTED");
    assert.ok(error.message.endsWith(`: ${fact}`), error.message);
    assert.ok(remedy !== "" && error.hint?.includes(remedy), error.hint);
    return true;
  });
  return undefined;
}

test("a program of another architecture runs in an image of nothing but it", async () => {
  const dockerfile = `FROM scratch\nCOPY hello-${other.architecture} /hello\nRUN ["/hello"]\n`;
  const built = await builtOrRefused(dockerfile, [other]);
  if (built === undefined) return;
  assert.equal(built.output, TEXT);
  const read = await readImage(layout, "hello", "latest");
  assert.equal(read?.config.architecture, other.architecture);
  assert.equal((await build(dockerfile, [other])).output, "", "it runs once");
});

test("both architectures at once: each runs its own program, and its image says which it is", async () => {
  const dockerfile = 'FROM scratch\nARG TARGETARCH\nCOPY hello-$TARGETARCH /hello\nRUN ["/hello", "both"]\n';
  const built = await builtOrRefused(dockerfile, [own, other]);
  if (built === undefined) return;
  assert.equal(built.output, TEXT + TEXT);
  const { manifests } = await layout.readJson<ImageIndex>(built.image.digest);
  assert.deepEqual(
    manifests.map(({ platform }) => platform?.architecture),
    [own.architecture, other.architecture],
  );
  for (const { architecture } of [own, other]) {
    const read = await readImage(layout, "hello", "latest", { os: "linux", architecture });
    assert.equal(read?.config.architecture, architecture);
  }
});

test("what a command did for one architecture is not taken for another, also where all files are the same", async () => {
  const dockerfile = `FROM scratch\nCOPY hello-${other.architecture} /hello\nRUN ["/hello", "same"]\n`;
  const built = await builtOrRefused(dockerfile, [other]);
  if (built === undefined) return;
  assert.equal(built.output, TEXT);
  assert.equal((await build(dockerfile, [own])).output, TEXT);
});

test("the sandbox of the checks runs it, too", async () => {
  const dockerfile = `FROM scratch\nCOPY hello-${other.architecture} /hello\n`;
  const { image } = await build(dockerfile, [other]);
  const checks = await collect(() =>
    describeImage("hello", (t) => {
      t.command(["/hello"], { isolated: true }).stdout(TEXT.trim());
    }),
  );
  const [result] = await decideChecks(withoutImplied(checks), {
    images: [image],
    root: folder,
    clock: systemClock,
    engine: () =>
      Promise.resolve(
        createSandboxEngine({
          stateDirectory: join(folder, "runs"),
          layersDirectory: join(folder, "layers"),
          clock: systemClock,
        }),
      ),
  });
  if (foreign === undefined) return assert.equal(result?.verdict, "pass", result?.evidence);
  assert.equal(result?.verdict, "unknown");
  assert.ok(result?.evidence?.endsWith(foreign.fact), result?.evidence);
});
