/**
 * The last programs of the chain that starts a container: from here on nothing of the caller's environment or rights
 * is left. The working directory of the caller is the root that is entered.
 */
import type { IdMode, Tools } from "./protocol.ts";
import type { Identity } from "./users.ts";

/** Docker's default set: what images expect of root. */
const CAPABILITIES =
  "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,net_raw,sys_chroot,mknod,audit_write,setfcap";

export interface Become {
  readonly tools: Tools;
  readonly idMode: IdMode;
  readonly identity: Identity;
  /** In the new root. */
  readonly workingDir: string;
  /** `NAME=value`, complete: nothing is inherited. */
  readonly environment: readonly string[];
}

/** Words to put before a command of the image. */
export function becomeCommand({
  tools,
  idMode,
  identity,
  workingDir,
  environment,
}: Become): readonly string[] {
  const { uid, gid, groups } = identity;
  const clean = [tools.env, "-i", ...environment];
  const capabilities = ["--inh-caps=-all", `--bounding-set=-all,+${CAPABILITIES.replaceAll(",", ",+")}`];
  const enter = ["--root=.", `--wd=${workingDir}`];
  if (idMode === "one-uid") {
    // The one uid there is appears under the number that the image asks for.
    const shown = uid === 0 && gid === 0 ? [] : ["--user", `--map-user=${uid}`, `--map-group=${gid}`];
    const dropped = shown.length === 0 ? [tools.setpriv, ...capabilities] : [];
    return [...clean, ...dropped, tools.unshare, ...shown, ...enter, "--"];
  }
  const group = groups.length === 0 ? ["--clear-groups"] : [`--groups=${groups.join(",")}`];
  // The user comes last, in unshare: without root's rights there would be no chroot.
  const user = uid === 0 ? [] : [`--setuid=${uid}`];
  return [
    ...clean,
    ...[tools.setpriv, `--regid=${gid}`, ...group, ...capabilities],
    ...[tools.unshare, ...enter, ...user, "--"],
  ];
}
