/** Users and groups, from /etc/passwd, /etc/group and /etc/shadow of the file system itself. */
import { type Account, type Group, parseGroup, parsePasswd } from "../../images/host/accounts.ts";
import { type CheckOf, fail, type Judgement, pass, unknown } from "../check.ts";
import type { ContainerFiles } from "../engines/engine.ts";
import { textIfThere } from "../packages/database.ts";

export interface Accounts {
  readonly users: readonly Account[];
  readonly groups: readonly Group[];
  readonly hasPasswd: boolean;
  readonly hasGroup: boolean;
}

export async function accountsOf(files: ContainerFiles): Promise<Accounts> {
  const passwd = await textIfThere(files, "/etc/passwd");
  const group = await textIfThere(files, "/etc/group");
  return {
    users: parsePasswd(passwd ?? ""),
    groups: parseGroup(group ?? ""),
    hasPasswd: passwd !== undefined,
    hasGroup: group !== undefined,
  };
}

export function idOfUser(accounts: Accounts, name: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name);
  return accounts.users.find((one) => one.name === name)?.uid ?? (name === "root" ? 0 : undefined);
}

export function idOfGroup(accounts: Accounts, name: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name);
  return accounts.groups.find((one) => one.name === name)?.gid ?? (name === "root" ? 0 : undefined);
}

export async function judgeUser(
  { resource: { name }, expectation }: Pick<CheckOf<"user">, "resource" | "expectation">,
  files: ContainerFiles,
): Promise<Judgement> {
  const accounts = await accountsOf(files);
  const account = accounts.users.find((one) => one.name === name);
  if (expectation.matcher === "absent") return judgeAbsent(account?.uid, accounts.hasPasswd, "/etc/passwd");
  if (account === undefined) {
    return fail(accounts.hasPasswd ? "/etc/passwd does not know it" : "the image has no /etc/passwd");
  }
  const memberOf = accounts.groups.filter((one) => one.members.includes(name)).map((one) => one.name);
  const primary = accounts.groups.find((one) => one.gid === account.gid)?.name;
  switch (expectation.matcher) {
    case "exists":
      return pass();
    case "uid":
      return account.uid === expectation.id ? pass() : fail(`uid ${account.uid}`);
    case "gid":
      return account.gid === expectation.id ? pass() : fail(`gid ${account.gid}`);
    case "home":
      return account.home === expectation.value ? pass() : fail(`home ${account.home}`);
    case "shell":
      return account.shell === expectation.value ? pass() : fail(`shell ${account.shell}`);
    case "primaryGroup": {
      const isSame = primary === expectation.value || String(account.gid) === expectation.value;
      return isSame ? pass() : fail(`primary group ${primary ?? account.gid}`);
    }
    case "groups": {
      const all = [...(primary === undefined ? [] : [primary]), ...memberOf];
      return expectation.names.every((one) => all.includes(one))
        ? pass()
        : fail(`in ${all.join(", ") || "none"}`);
    }
    case "locked":
      return judgeLocked(account, expectation.isWanted, files);
  }
}

async function judgeLocked(account: Account, isWanted: boolean, files: ContainerFiles): Promise<Judgement> {
  let field = account.line.split(":")[1] ?? "";
  if (field === "x") {
    const shadow = await textIfThere(files, "/etc/shadow");
    const line = shadow?.split("\n").find((one) => one.startsWith(`${account.name}:`));
    if (line === undefined) {
      return unknown(shadow === undefined ? "the image has no /etc/shadow" : "/etc/shadow does not know it");
    }
    field = line.split(":")[1] ?? "";
  }
  const isLocked = /^[!*]/.test(field);
  if (isLocked === isWanted) return pass();
  return fail(isLocked ? "it is locked" : field === "" ? "it needs no password" : "it has a password");
}

export async function judgeGroup(
  { resource: { name }, expectation }: Pick<CheckOf<"group">, "resource" | "expectation">,
  files: ContainerFiles,
): Promise<Judgement> {
  const accounts = await accountsOf(files);
  const group = accounts.groups.find((one) => one.name === name);
  if (expectation.matcher === "absent") return judgeAbsent(group?.gid, accounts.hasGroup, "/etc/group");
  if (group === undefined) {
    return fail(accounts.hasGroup ? "/etc/group does not know it" : "the image has no /etc/group");
  }
  switch (expectation.matcher) {
    case "exists":
      return pass();
    case "gid":
      return group.gid === expectation.id ? pass() : fail(`gid ${group.gid}`);
    case "members":
      return expectation.names.every((one) => group.members.includes(one))
        ? pass()
        : fail(`members ${group.members.join(", ") || "none"}`);
  }
}

/** Without the file there are no such names; that it is gone is told, because it is seldom meant. */
function judgeAbsent(id: number | undefined, hasFile: boolean, file: string): Judgement {
  if (id !== undefined) return fail(`it has the id ${id}`);
  return pass(hasFile ? `${file} was read` : `there is no ${file}, so there are no names`);
}
