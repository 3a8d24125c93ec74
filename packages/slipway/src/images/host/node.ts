/**
 * `slipway/node`: the Node that runs Slipway, where the official image has it, with the accounts it has. This
 * machine's /bin/sh comes along (some 100 kB): a CMD in shell form and `kubectl exec … sh` need it.
 */
import { access, realpath } from "node:fs/promises";
import { join } from "node:path";
import { bytesEntry, directoryEntry, type LayerEntry } from "../layer-entry.ts";
import { accountFiles } from "./accounts.ts";
import { readElf } from "./elf.ts";
import { fileEntry, linkageEntries } from "./files.ts";
import { commonFolders, DEFAULT_PATH, type HostBase, NSSWITCH } from "./host-base.ts";
import { LibraryFinder } from "./libraries.ts";

const SHELL = "/bin/sh";

export async function nodeBase(binary: string = process.execPath): Promise<HostBase> {
  const shell = await access(SHELL).then(
    () => SHELL,
    () => undefined,
  );
  const linkage = await new LibraryFinder().linkage(shell === undefined ? [binary] : [binary, shell]);
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
    ...(shell === undefined ? [] : [await fileEntry(shell, join(await realpath("/bin"), "sh"))]),
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
