/** Whose the files of a COPY are. */
import { parseGroup, parsePasswd } from "../host/accounts.ts";
import type { ImageFiles } from "../layers.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * `--chown=user[:group]`, names looked up in the image. A number without a group is its own group.
 *
 * @param fail makes the error for a fact; knows file and line
 */
export async function ownerOf(
  chown: string | undefined,
  files: ImageFiles,
  fail: (message: string, hint?: string) => Error,
): Promise<Owner> {
  if (chown === undefined || chown === "") return { uid: 0, gid: 0 };
  const missing = (kind: "user" | "group", name: string): Error =>
    fail(`the image has no ${kind} "${name}"`, "Use a number: --chown=1000:1000.");
  const [user = "", group] = chown.split(":") as [string, string?];
  const account = /^\d+$/.test(user) ? undefined : await accountOf(files, user);
  if (account === undefined && !/^\d+$/.test(user)) throw missing("user", user);
  const uid = account?.uid ?? Number(user);
  if (group === undefined || group === "") return { uid, gid: account?.gid ?? uid };
  if (/^\d+$/.test(group)) return { uid, gid: Number(group) };
  const found = parseGroup(await textOf(files, "/etc/group")).find(({ name }) => name === group);
  if (found === undefined) throw missing("group", group);
  return { uid, gid: found.gid };
}

async function accountOf(files: ImageFiles, user: string): Promise<Owner | undefined> {
  return parsePasswd(await textOf(files, "/etc/passwd")).find(({ name }) => name === user);
}

async function textOf(files: ImageFiles, path: string): Promise<string> {
  const found = files.lookup(path);
  return found.kind === "found" && found.node.kind === "file" ? files.readText(found.node) : "";
}
