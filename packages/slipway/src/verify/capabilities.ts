/**
 * What a file gives to whoever runs it, beside its mode: the extended attribute security.capability, as `getcap` writes it
 * (`cap_net_raw=ep`). Source: linux/capability.h (`struct vfs_cap_data`, revisions 1 to 3), cap_to_text(3).
 */
const ATTRIBUTE = "security.capability";
const EFFECTIVE = 1;
/** Words of 32 capabilities in each revision; the third has a user namespace's root after them. */
const WORDS: Readonly<Record<number, number>> = { 1: 1, 2: 2, 3: 2 };

/** By their number. */
const NAMES: readonly string[] = [
  ...["chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"],
  ...[
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
  ],
  ...[
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
  ],
  ...["sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control"],
  ...["setfcap", "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read"],
  ...["perfmon", "bpf", "checkpoint_restore"],
];

/** "" without any; values of attributes are bytes as latin1. What cannot be read is said as it is, and never "". */
export function capabilitiesOf(xattrs: Readonly<Record<string, string>> | undefined): string {
  const value = xattrs?.[ATTRIBUTE];
  if (value === undefined) return "";
  const bytes = Buffer.from(value, "latin1");
  const magic = bytes.length < 4 ? 0 : bytes.readUInt32LE(0);
  const words = WORDS[magic >>> 24];
  if (words === undefined || bytes.length < 4 + 8 * words) return `damaged (${bytes.toString("hex")})`;
  const sets = new Map<string, string[]>();
  for (let number = 0; number < 32 * words; number += 1) {
    const at = 4 + 8 * (number >> 5);
    const isIn = (offset: number): boolean => ((bytes.readUInt32LE(offset) >>> (number & 31)) & 1) === 1;
    const [isPermitted, isInheritable] = [isIn(at), isIn(at + 4)];
    if (!isPermitted && !isInheritable) continue;
    const isEffective = (magic & EFFECTIVE) !== 0;
    const flags = `${isEffective ? "e" : ""}${isInheritable ? "i" : ""}${isPermitted ? "p" : ""}`;
    const named = `cap_${NAMES[number] ?? number}`;
    sets.set(flags, [...(sets.get(flags) ?? []), named]);
  }
  return [...sets].map(([flags, names]) => `${names.join(",")}=${flags}`).join(" ");
}

const CLAUSE = /^cap_\w+(?:,cap_\w+)*=e?i?p?$/;

/** As `capabilitiesOf` writes them; `+` is how `getcap` writes some. Undefined: it would never be written. */
export function asCapabilities(text: unknown): string | undefined {
  if (typeof text !== "string") return undefined;
  const written = text.replaceAll("+", "=");
  return written.split(" ").every((clause) => CLAUSE.test(clause)) ? written : undefined;
}
