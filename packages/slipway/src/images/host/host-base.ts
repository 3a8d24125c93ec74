/** What the bases made from this machine have in common. */
import { directoryEntry, type LayerEntry } from "../layer-entry.ts";
import type { ImageConfigFile } from "../oci.ts";

export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Whether FROM names an image that is made from this machine. */
export const isHostBase = (from: string): boolean => from.startsWith("slipway/");

/** Names are looked up in /etc/hosts first, then by DNS: what every distribution ships. */
export const NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n";

/** What a base is made of, before anything is read or written. */
export interface HostBase {
  readonly name: string;
  readonly entries: readonly LayerEntry[];
  readonly config: ImageConfigFile["config"];
}

/** Folders that every container expects, with Debian's modes. */
export function commonFolders(): readonly LayerEntry[] {
  const plain = [
    "dev",
    "etc",
    "home",
    "proc",
    "run",
    "sys",
    "usr",
    "usr/bin",
    "usr/local",
    "usr/local/bin",
    "var",
  ];
  return [
    ...plain.map((path) => directoryEntry(path)),
    directoryEntry("root", { mode: 0o700 }),
    directoryEntry("tmp", { mode: 0o1777 }),
    directoryEntry("var/tmp", { mode: 0o1777 }),
  ];
}
