/** The image that the cases of `cases.ts` run: one static busybox under the names of a few tools, and known files. */
import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildImages } from "../../images/build.ts";
import type { BuiltImage } from "../../images/image.ts";
import { ImageLayout } from "../../images/layout.ts";
import { createRegistryClient } from "../../images/registry/client.ts";

const TOOLS = [
  "sh",
  "sleep",
  "cat",
  "echo",
  "env",
  "id",
  "pwd",
  "hostname",
  "ls",
  "touch",
  "httpd",
  "nslookup",
  "test",
  "stat",
];
const DOCKERFILE = `FROM slipway/host/busybox
COPY bin/ /bin/
COPY passwd group /etc/
COPY www/ /www/
COPY odd/ /odd/
COPY private.txt /data/private.txt
ENV GREETING=hello COLOUR=red
EXPOSE 8080
CMD ["sleep", "86400"]
`;

/** `folder` must be empty; the layout is made in it. Needs the package busybox-static on this machine. */
export async function buildCasesImage(folder: string): Promise<BuiltImage> {
  const context = join(folder, "context");
  for (const name of ["bin", "www", "odd"]) await mkdir(join(context, name), { recursive: true });
  for (const tool of TOOLS) await symlink("/usr/bin/busybox", join(context, "bin", tool));
  const files: Readonly<Record<string, string>> = {
    Dockerfile: DOCKERFILE,
    passwd: "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n",
    group: "root:x:0:\napp:x:1000:\nextra:x:44:app\n",
    "www/index.html": "the page\n",
    "private.txt": "private\n",
    "odd/lines": "echo ran\n",
    "odd/windows": "#!/bin/sh\r\necho ran\r\n",
    "odd/plain": "#!/bin/sh\necho ran\n",
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(context, name), text);
  await symlink("/www/index.html", join(context, "www", "link.html"));
  await chmod(join(context, "private.txt"), 0o640);
  for (const name of ["lines", "windows"]) await chmod(join(context, "odd", name), 0o755);
  for (const [name, bytes] of Object.entries(oddPrograms(await readFile("/usr/bin/busybox"))))
    await writeFile(join(context, "odd", name), bytes, { mode: 0o755 });
  return buildContext(folder, context, "cases");
}

/** What has become of a program of this machine (of 64 bits, as all that run Docker) so that the kernel takes none of them. */
function oddPrograms(whole: Buffer): Readonly<Record<string, Buffer>> {
  const foreign = Buffer.from(whole.subarray(0, 4096));
  foreign.writeUInt16LE(75, 18); // a VAX, which QEMU does not have
  const loader = Buffer.from("/lib/nowhere.so\0");
  const unloaded = Buffer.alloc(64 + 56);
  whole.copy(unloaded, 0, 0, 64);
  unloaded.writeBigUInt64LE(64n, 32); // where its parts begin, and how many there are
  unloaded.writeUInt16LE(1, 56);
  unloaded.writeUInt32LE(3, 64); // PT_INTERP
  unloaded.writeBigUInt64LE(120n, 72);
  unloaded.writeBigUInt64LE(BigInt(loader.length), 96);
  return { cut: whole.subarray(0, 64), foreign, unloaded: Buffer.concat([unloaded, loader]) };
}

/** The image of a folder with a Dockerfile, as the daemonless builder makes it; its layers lie in `folder`. */
export async function buildContext(folder: string, context: string, name: string): Promise<BuiltImage> {
  const registry = createRegistryClient({});
  try {
    const [built] = await buildImages({
      images: [
        {
          name,
          from: { kind: "context", context, dockerfile: join(context, "Dockerfile"), args: {} },
        },
      ],
      layout: await ImageLayout.open(join(folder, "layout")),
      registry,
      root: folder,
      commitTimeMs: 0,
      isLocal: true,
      allowHostBases: [],
    });
    return built as BuiltImage;
  } finally {
    await registry.close();
  }
}
