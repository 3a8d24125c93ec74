/** Which programs run on this machine: asks what the kernel's binfmt_misc says, of which `foreign.ts` decides. */
import { type BinfmtMisc, readBinfmtMisc } from "@slipway/cluster/binfmt-misc";
import { hostPlatform, type Platform } from "../oci.ts";
import { type Foreign, foreignTo } from "./foreign.ts";

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
