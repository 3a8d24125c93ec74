/** Which programs run on this machine: reads what the kernel's binfmt_misc says, of which `foreign.ts` decides. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readTextIfExists, systemCode } from "@slipway/base";
import { hostPlatform, type Platform } from "../oci.ts";
import { BINFMT_MISC, type BinfmtMisc, type Foreign, foreignTo } from "./foreign.ts";

/**
 * What a machine runs besides, without an interpreter: Linux for amd64 has the system calls of 386 in nearly every
 * distribution (CONFIG_IA32_EMULATION). That arm64 runs arm is no such rule: many processors cannot. containerd's platforms
 * have the same for amd64.
 */
const ALSO: Readonly<Record<string, string>> = { amd64: "386" };

/** Undefined when programs of `platform` run here, by themselves or by an interpreter. */
export async function foreignHere(
  platform: Platform,
  read: () => Promise<BinfmtMisc> = readBinfmtMisc,
): Promise<Foreign | undefined> {
  const { os, architecture } = hostPlatform();
  const own = [architecture, ALSO[architecture]];
  if (platform.os === os && own.includes(platform.architecture)) return undefined;
  return foreignTo(platform, await read());
}

/** Undefined where it is not mounted, or cannot be read. systemd mounts it when it is first looked at. */
export async function readBinfmtMisc(folder: string = BINFMT_MISC): Promise<BinfmtMisc> {
  try {
    const status = await readTextIfExists(join(folder, "status"));
    if (status === undefined) return undefined;
    const names = (await readdir(folder)).filter((name) => name !== "register" && name !== "status");
    const read = async (name: string) => [name, (await readTextIfExists(join(folder, name))) ?? ""] as const;
    return { ...Object.fromEntries(await Promise.all(names.map(read))), status };
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}
