/** `slipway/host/PROGRAM`: an installed program with what its package put beside it. */
import { access, constants, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { bytesEntry, type LayerEntry } from "../layer-entry.ts";
import { accountFiles, hostAccounts } from "./accounts.ts";
import { readElf } from "./elf.ts";
import { fileEntry, linkageEntries, treeEntries } from "./files.ts";
import { commonFolders, DEFAULT_PATH, type HostBase, NSSWITCH } from "./host-base.ts";
import { LibraryFinder } from "./libraries.ts";

/** What cannot be guessed from the name: how the program runs in front, its accounts, further files. */
interface ProgramFacts {
  readonly cmd?: readonly string[];
  readonly stopSignal?: string;
  readonly accounts?: readonly string[];
  readonly files?: readonly string[];
}

const KNOWN: Readonly<Record<string, ProgramFacts>> = {
  nginx: {
    cmd: ["nginx", "-g", "daemon off;"],
    stopSignal: "SIGQUIT", // ends after the requests in flight; SIGTERM cuts them
    accounts: ["www-data", "nginx"],
    files: ["/var/www/html"],
  },
};

export async function programBase(program: string, where: string): Promise<HostBase> {
  const path = await findProgram(program);
  if (path === undefined) throw missing(program, where);
  const elf = await readElf(path);
  if (elf === undefined) throw notElf(program, path, where);
  const known = KNOWN[program] ?? {};

  const trees = await Promise.all([
    ...installed(program).map((folder) => treeEntries(folder, { isEmpty: false })),
    ...(known.files ?? []).map((folder) => treeEntries(folder, { isEmpty: false })),
    ...state(program).map((folder) => treeEntries(folder, { isEmpty: true })),
  ]);
  const binaries = trees.flatMap((tree) => tree.binaries);
  const linkage = await new LibraryFinder().linkage([path, ...binaries]);
  const carried: LayerEntry[] = trees.flatMap((tree) => tree.entries);
  const accounts = accountFiles(
    await hostAccounts(
      [program, ...(known.accounts ?? [])],
      new Set(carried.map((entry) => entry.uid)),
      new Set(carried.map((entry) => entry.gid)),
    ),
  );
  const imagePath = join(await realpath(dirname(path)), program);
  const entries: LayerEntry[] = [
    ...commonFolders(),
    bytesEntry("etc/passwd", accounts.passwd),
    bytesEntry("etc/group", accounts.group),
    bytesEntry("etc/nsswitch.conf", NSSWITCH),
    ...(await linkageEntries(linkage, elf.machine)),
    ...carried,
    { ...(await fileEntry(path, imagePath)), mode: 0o755 },
  ];
  return {
    name: `slipway/host/${program}`,
    entries,
    config: {
      Env: [`PATH=${DEFAULT_PATH}`],
      Cmd: known.cmd ?? [imagePath],
      ...(known.stopSignal === undefined ? {} : { StopSignal: known.stopSignal }),
    },
  };
}

/** Where Debian's packages and `make install` put a program's own files. */
function installed(program: string): readonly string[] {
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  return [
    `/etc/${program}`,
    `/usr/share/${program}`,
    `/usr/lib/${program}`,
    `/usr/lib/${triplet}/${program}`,
    `/usr/local/etc/${program}`,
    `/usr/local/share/${program}`,
    `/usr/local/lib/${program}`,
  ];
}

/** Folders that it writes to: taken over empty, with their owners. */
function state(program: string): readonly string[] {
  return [`/var/log/${program}`, `/var/lib/${program}`, `/var/cache/${program}`, `/run/${program}`];
}

/** The services' folders are searched too: an ordinary user's PATH often leaves /usr/sbin out. */
async function findProgram(program: string): Promise<string | undefined> {
  const folders = [...(process.env["PATH"] ?? "").split(":"), ...DEFAULT_PATH.split(":")];
  for (const folder of folders.filter((one) => one.startsWith("/"))) {
    const path = join(folder, program);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK | constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function missing(program: string, where: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGES_HOST_PROGRAM_MISSING",
    where,
    message: `${program} is not installed on this machine`,
    hint: `Install it: apt-get install ${program === "nginx" ? "nginx-light" : program}`,
    exitCode: 3,
  });
}

function notElf(program: string, path: string, where: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGES_HOST_PROGRAM_UNSUPPORTED",
    where,
    message: `${path} is a script; only binary programs can be taken over from this machine`,
    hint: `Use an image of a registry that has ${program}, or { archive }.`,
    exitCode: 2,
  });
}
