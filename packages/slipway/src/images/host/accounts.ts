/** The passwd and group files of an image, and the lines of this machine's that a base image takes over. */
import { readTextIfExists } from "@slipway/base";

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
  readonly line: string;
}

export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
  readonly line: string;
}

export function parsePasswd(text: string): readonly Account[] {
  return text.split("\n").flatMap((line) => {
    const [name, , uid, gid, , home, shell] = line.split(":");
    if (name === undefined || name === "" || gid === undefined || !/^\d+$/.test(uid ?? "")) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home: home ?? "", shell: shell ?? "", line }];
  });
}

export function parseGroup(text: string): readonly Group[] {
  return text.split("\n").flatMap((line) => {
    const [name, , gid, members] = line.split(":");
    if (name === undefined || name === "" || !/^\d+$/.test(gid ?? "")) return [];
    return [{ name, gid: Number(gid), members: (members ?? "").split(",").filter(Boolean), line }];
  });
}

/** root and nobody, which every image has; Debian's numbers. */
const ALWAYS_PASSWD = [
  "root:x:0:0:root:/root:/bin/sh",
  "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
];
const ALWAYS_GROUP = ["root:x:0:", "nogroup:x:65534:"];

/** Files with the lines given after the two that are always there; a name or id that is there stays as it is. */
export function accountFiles(lines: {
  readonly passwd: readonly string[];
  readonly group: readonly string[];
}): {
  readonly passwd: string;
  readonly group: string;
} {
  return {
    passwd: `${unique([...ALWAYS_PASSWD, ...lines.passwd], 2).join("\n")}\n`,
    group: `${unique([...ALWAYS_GROUP, ...lines.group], 2).join("\n")}\n`,
  };
}

/** This machine's lines for the given names and ids. Passwords are never in passwd; members are left out of group. */
export async function hostAccounts(
  names: readonly string[],
  uids: ReadonlySet<number>,
  gids: ReadonlySet<number>,
): Promise<{ readonly passwd: readonly string[]; readonly group: readonly string[] }> {
  const accounts = parsePasswd((await readTextIfExists("/etc/passwd")) ?? "").filter(
    (account) => names.includes(account.name) || uids.has(account.uid),
  );
  const wanted = new Set([...gids, ...accounts.map((account) => account.gid)]);
  const groups = parseGroup((await readTextIfExists("/etc/group")) ?? "").filter(
    (group) => names.includes(group.name) || wanted.has(group.gid),
  );
  const byNumber = (a: { uid?: number; gid: number }, b: { uid?: number; gid: number }): number =>
    (a.uid ?? a.gid) - (b.uid ?? b.gid);
  return {
    passwd: [...accounts].sort(byNumber).map((account) => account.line),
    group: [...groups].sort(byNumber).map((group) => `${group.name}:x:${group.gid}:`),
  };
}

function unique(lines: readonly string[], idField: number): readonly string[] {
  const names = new Set<string>();
  const ids = new Set<string>();
  return lines.filter((line) => {
    const fields = line.split(":");
    const name = fields[0] as string;
    const id = fields[idField] as string;
    if (names.has(name) || ids.has(id)) return false;
    names.add(name);
    ids.add(id);
    return true;
  });
}
