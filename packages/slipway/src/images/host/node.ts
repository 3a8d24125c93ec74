/** `slipway/node`: the Node that runs Slipway, where the official image has it, with the accounts it has. */
import { bytesEntry, directoryEntry, type LayerEntry } from "../layer-writer.ts";
import { accountFiles } from "./accounts.ts";
import { readElf } from "./elf.ts";
import { fileEntry, linkageEntries } from "./files.ts";
import { commonFolders, DEFAULT_PATH, type HostBase, NSSWITCH } from "./host-base.ts";
import { LibraryFinder } from "./libraries.ts";

export async function nodeBase(binary: string = process.execPath): Promise<HostBase> {
  const linkage = await new LibraryFinder().linkage([binary]);
  const machine = (await readElf(binary))?.machine ?? 0;
  const accounts = accountFiles({
    passwd: ["node:x:1000:1000::/home/node:/bin/sh"],
    group: ["node:x:1000:"],
  });
  const entries: LayerEntry[] = [
    ...commonFolders(),
    directoryEntry("home/node", { uid: 1000, gid: 1000 }),
    bytesEntry("etc/passwd", accounts.passwd),
    bytesEntry("etc/group", accounts.group),
    bytesEntry("etc/nsswitch.conf", NSSWITCH),
    ...(await linkageEntries(linkage, machine)),
    { ...(await fileEntry(binary, "/usr/local/bin/node")), mode: 0o755 },
  ];
  return {
    name: "slipway/node",
    entries,
    config: {
      Env: [`PATH=${DEFAULT_PATH}`, `NODE_VERSION=${process.version.slice(1)}`],
      Cmd: ["node"],
    },
  };
}
