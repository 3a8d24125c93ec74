/** What is expected of one path, decided on a file system that is only read: an image's layers or a container's. */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { parse as parseYaml } from "yaml";
import { type CheckOf, type FileExpectation, fail, type Judgement, pass, unknown } from "../check.ts";
import type { ContainerFiles, FileFacts, FoundFile } from "../engines/engine.ts";
import { showMode } from "../spec/expect.ts";
import { fits, judgeDocument, judgeLacks, nearestLine, sectionOf } from "../text.ts";
import { accountsOf, idOfGroup, idOfUser } from "./accounts.ts";
import { NO_ATTRIBUTES } from "./glob.ts";

const MAX_TEXT = 16 * 1024 * 1024;

export async function judgeFile(
  { resource, expectation }: Pick<CheckOf<"file">, "resource" | "expectation">,
  files: ContainerFiles,
): Promise<Judgement> {
  const isLinkKept =
    expectation.matcher === "absent" ||
    expectation.matcher === "entry" ||
    expectation.matcher === "linkedTo" ||
    (expectation.matcher === "kind" && expectation.kind === "symlink");
  const found = await files.lookup(resource.path, { isLinkKept });
  if (found.kind === "unknown") return unknown(found.why);
  if (expectation.matcher === "absent") {
    return found.kind === "absent" ? pass(found.why) : fail(`it is a ${found.file.kind}`);
  }
  if (found.kind === "absent") return fail(found.why);
  return judgeFound(expectation, found, resource.path, files);
}

type Found = Extract<FoundFile, { kind: "found" }>;

async function judgeFound(
  expectation: FileExpectation,
  found: Found,
  path: string,
  files: ContainerFiles,
): Promise<Judgement> {
  const { file } = found;
  switch (expectation.matcher) {
    case "exists":
      return pass();
    case "absent":
      return fail(`it is a ${file.kind}`);
    case "kind":
      return file.kind === expectation.kind ? pass() : fail(`it is a ${file.kind}`);
    case "mode":
      return file.mode === expectation.mode ? pass() : fail(`mode ${showMode(file.mode)}`);
    case "executable":
      return file.kind === "file" && (file.mode & 0o111) !== 0
        ? pass()
        : fail(`${file.kind}, mode ${showMode(file.mode)}`);
    case "entry":
      return judgeEntry(expectation, file);
    case "setuid": {
      const has = (file.mode & 0o6000) !== 0;
      return has === expectation.isWanted ? pass() : fail(`mode ${showMode(file.mode)}`);
    }
    case "capabilities":
      if (file.capabilities === undefined) return NO_ATTRIBUTES;
      return file.capabilities === expectation.text ? pass() : fail(file.capabilities || "none");
    case "ownedBy":
      return judgeOwner(expectation.user, expectation.group, file, files);
    case "allows":
      return judgeAccess(expectation.right, expectation.user, [path, found.path], file, files);
    case "linkedTo":
      return judgeLink(expectation.target, expectation.isResolved, file, path, files);
    case "size":
      return file.size === expectation.bytes ? pass() : fail(`${file.size} bytes`);
    case "maxSize":
      return file.size <= expectation.bytes ? pass() : fail(`${file.size} bytes`);
    case "newerThan":
      return judgeNewer(expectation.path, expectation.seconds, file, files);
    default:
      return judgeContent(expectation, found, files);
  }
}

function judgeEntry(
  { permissions, uid, gid, executableBy }: Extract<FileExpectation, { matcher: "entry" }>,
  file: FileFacts,
): Judgement {
  const mode = goMode(file);
  const bits = { owner: 0o100, group: 0o010, other: 0o001, any: 0o111 };
  const isRight =
    (permissions === undefined || permissions === mode) &&
    (uid === undefined || uid === file.uid) &&
    (gid === undefined || gid === file.gid) &&
    (executableBy === undefined || (file.mode & bits[executableBy]) !== 0);
  return isRight ? pass() : fail(`${mode}, owned by ${file.uid}:${file.gid}`);
}

/** Source: Go's io/fs, FileMode.String: letters for the kind and the special bits, then nine for the permissions. */
export function goMode({ kind, mode }: FileFacts): string {
  const kinds = {
    file: "",
    directory: "d",
    symlink: "L",
    character: "Dc",
    block: "D",
    fifo: "p",
    socket: "S",
  };
  const special = `${mode & 0o4000 ? "u" : ""}${mode & 0o2000 ? "g" : ""}${mode & 0o1000 ? "t" : ""}`;
  const letters = [..."rwxrwxrwx"].map((letter, at) => ((mode >> (8 - at)) & 1 ? letter : "-"));
  // Go writes the bits in the order of its constants: d, a, l, T, L, D, p, S, u, g, c, t.
  const front =
    kind === "character"
      ? `D${special.replace("t", "")}c${special.includes("t") ? "t" : ""}`
      : kinds[kind] + special;
  return `${front === "" ? "-" : front}${letters.join("")}`;
}

type ContentExpectation = Extract<
  FileExpectation,
  { matcher: "sha256" | "contains" | "lacks" | "json" | "yaml" }
>;

async function judgeContent(
  expectation: ContentExpectation,
  { file, path }: Found,
  files: ContainerFiles,
): Promise<Judgement> {
  if (file.kind !== "file") return fail(`it is a ${file.kind}`);
  if (expectation.matcher !== "sha256" && file.size > MAX_TEXT) {
    return unknown(`it has ${file.size} bytes; contents are read up to ${MAX_TEXT}`);
  }
  const content = await files.read(path);
  if (expectation.matcher === "sha256") {
    const hex = createHash("sha256").update(content).digest("hex");
    return hex === expectation.hex ? pass() : fail(`sha256 ${hex}`);
  }
  const text = Buffer.from(content).toString("utf8");
  if (expectation.matcher === "json" || expectation.matcher === "yaml") {
    try {
      const document: unknown = expectation.matcher === "json" ? JSON.parse(text) : parseYaml(text);
      return judgeDocument(document, expectation.document);
    } catch (error) {
      return fail(`it is not ${expectation.matcher.toUpperCase()}: ${firstLine(error)}`);
    }
  }
  const part = sectionOf(text, expectation.section);
  if (part === undefined) return fail("it has no such section");
  if (expectation.matcher === "lacks") return judgeLacks("it", part, expectation.match);
  if (fits(part, expectation.match)) return pass();
  const lines = part.replace(/\n$/, "").split("\n");
  const near = nearestLine(lines, expectation.match);
  return fail(
    part === "" ? "it is empty" : `not in its ${lines.length} ${lines.length === 1 ? "line" : "lines"}`,
    near === undefined ? undefined : `${near.text}  (line ${near.line} of ${lines.length})`,
  );
}

async function judgeOwner(
  user: string | undefined,
  group: string | undefined,
  file: FileFacts,
  files: ContainerFiles,
): Promise<Judgement> {
  const accounts = await accountsOf(files);
  const uid = user === undefined ? file.uid : idOfUser(accounts, user);
  const gid = group === undefined ? file.gid : idOfGroup(accounts, group);
  // A name that the accounts do not have owns nothing, provided that they could be read.
  if (uid === undefined || gid === undefined) {
    const name = uid === undefined ? `user ${user}` : `group ${group}`;
    return unknown(
      `the image's accounts do not know the ${name}; the file belongs to ${file.uid}:${file.gid}`,
    );
  }
  return file.uid === uid && file.gid === gid ? pass() : fail(`owned by ${file.uid}:${file.gid}`);
}

/** `paths`: as it was asked for, and where that leads. */
async function judgeAccess(
  right: "read" | "write" | "execute",
  user: string,
  paths: readonly string[],
  file: FileFacts,
  files: ContainerFiles,
): Promise<Judgement> {
  const accounts = await accountsOf(files);
  const uid = idOfUser(accounts, user);
  if (uid === undefined) return unknown(`the image's accounts do not know the user ${user}`);
  const bit = { read: 4, write: 2, execute: 1 }[right];
  const seen = showAccess(file);
  if (uid === 0) return right !== "execute" || (file.mode & 0o111) !== 0 ? pass("root") : fail(seen);
  const account = accounts.users.find((one) => one.uid === uid);
  const groups = accounts.groups.filter((one) => account !== undefined && one.members.includes(account.name));
  const isMember = (gid: number): boolean => account?.gid === gid || groups.some((one) => one.gid === gid);
  const may = (wanted: number, { mode, uid: owner, gid }: FileFacts): boolean =>
    ((mode >> (owner === uid ? 6 : isMember(gid) ? 3 : 0)) & wanted) !== 0;
  if (!may(bit, file)) return fail(seen);
  for (const folder of await foldersAbove(paths, files)) {
    if (folder.kind === "unknown") return unknown(folder.why);
    // A folder without an entry of its own is made by whoever unpacks the layer, for everyone.
    if (folder.kind === "absent" || may(1, folder.file)) continue;
    return fail(`${folder.path} may not be entered: ${showAccess(folder.file)}`);
  }
  return pass();
}

const showAccess = ({ mode, uid, gid }: FileFacts): string =>
  `mode ${showMode(mode)}, owned by ${uid}:${gid}`;

/** Every folder on the way, and of those that are links also the folders on the way to where they lead. */
async function foldersAbove(paths: readonly string[], files: ContainerFiles): Promise<readonly FoundFile[]> {
  const waiting = [...new Set(paths)];
  const seen = new Map<string, FoundFile>();
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const parent = posix.dirname(path);
    if (seen.has(parent)) continue;
    const found = await files.lookup(parent);
    seen.set(parent, found);
    if (parent !== "/") waiting.push(parent);
    if (found.kind === "found" && found.path !== parent) waiting.push(found.path);
  }
  return [...seen.values()];
}

async function judgeLink(
  target: string,
  isResolved: boolean,
  file: FileFacts,
  path: string,
  files: ContainerFiles,
): Promise<Judgement> {
  if (file.kind !== "symlink") return fail(`it is a ${file.kind}`);
  if (!isResolved) return file.link === target ? pass() : fail(`linked to ${file.link}`);
  const end = await files.lookup(path);
  if (end.kind === "unknown") return unknown(end.why);
  if (end.kind === "absent") return fail(`linked to ${file.link}: ${end.why}`);
  return end.path === target ? pass() : fail(`resolves to ${end.path}`);
}

async function judgeNewer(
  other: string | undefined,
  seconds: number | undefined,
  file: FileFacts,
  files: ContainerFiles,
): Promise<Judgement> {
  let bound = seconds ?? 0;
  if (other !== undefined) {
    const found = await files.lookup(other);
    if (found.kind === "unknown") return unknown(found.why);
    if (found.kind === "absent") return fail(found.why);
    bound = found.file.mtime;
  }
  return file.mtime > bound ? pass() : fail(`modified ${new Date(file.mtime * 1000).toISOString()}`);
}

export const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
