/**
 * RUN: from the instruction and the image so far to the layer that it makes, by running it in the sandbox or by
 * finding what the same command made before.
 */
import { SlipwayError, shellLine } from "@slipway/base";
import { bytesEntry } from "../layer-entry.ts";
import { writeLayer } from "../layer-writer.ts";
import { ImageFiles } from "../layers.ts";
import type { ImageLayout } from "../layout.ts";
import type { Descriptor, Platform } from "../oci.ts";
import { knownRun, type RunResult, rememberRun, runKey } from "../run/cache.ts";
import { changedEntries } from "../run/collect.ts";
import type { RunMount, RunRequest } from "../run/request.ts";
import type { RunSandbox } from "../run/sandbox.ts";
import { copyEntries } from "./copy.ts";
import { HEREDOC, type Heredoc } from "./heredoc.ts";
import type { Instruction } from "./parse.ts";
import { parseMount } from "./run-flags.ts";
import type { SourceTree } from "./tree.ts";
import { parseJsonForm } from "./words.ts";

/** What running needs beside the image; the same for all commands of a stage. */
export interface RunPorts {
  readonly layout: ImageLayout;
  /** What the stage is for: the same program may do something else on another machine. */
  readonly platform: Platform;
  /** Opened once, before the first command; DOCKERFILE_RUN_REFUSED where this machine runs none. */
  readonly sandbox: () => Promise<RunSandbox>;
  /** For `--mount=type=secret`, by id. */
  readonly secrets: Readonly<Record<string, Uint8Array>>;
  /** For commands that do not say it themselves. */
  readonly network: "host" | "none";
  readonly onOutput: (text: string) => void;
}

/** The image so far, as RUN sees it. */
export interface RunState {
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly string[];
  readonly contents: readonly string[];
  readonly env: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly shell: readonly string[];
  /** What the first FROM of the chain named; undefined for scratch. */
  readonly baseName: string | undefined;
  /** Of every file in the layer, seconds since the epoch. */
  readonly mtime: number;
  readonly context: SourceTree;
  readonly treeOf: (name: string) => Promise<SourceTree>;
  readonly expand: (word: string) => string;
  readonly fail: (message: string, hint?: string) => Error;
  /** `Dockerfile:12`. */
  readonly where: string;
}

export async function runInstruction(
  instruction: Instruction,
  state: RunState,
  ports: RunPorts,
): Promise<RunResult> {
  const { layout } = ports;
  const script = await scriptMount(instruction, layout);
  let isLineOpen = false;
  const request: RunRequest = {
    layers: state.layers,
    diffIds: state.diffIds,
    argv: script === undefined ? commandOf(instruction, state.shell) : [script.target],
    env: state.env,
    user: state.user,
    workingDir: state.workingDir,
    network: networkOf(instruction) ?? ports.network,
    mounts: [...(await mountsOf(instruction, state, ports)), ...(script === undefined ? [] : [script])],
    onOutput: (text) => {
      isLineOpen = text === "" ? isLineOpen : !text.endsWith("\n");
      ports.onOutput(text);
    },
  };
  const sandbox = await ports.sandbox();
  const key = runKey({
    ...request,
    contents: state.contents,
    ids: sandbox.ids === "one-uid" ? "one-uid" : "all",
    architecture: architectureOf(ports.platform),
    mtime: state.mtime,
  });
  const known = await knownRun(layout, key);
  if (known !== undefined) return known;
  const outcome = await sandbox
    .run(request)
    .catch((error: unknown) => {
      throw atLine(error, state.where);
    })
    .finally(() => {
      // The next command's first line is not the rest of this one's last.
      if (isLineOpen) ports.onOutput("\n");
    });
  if (outcome.kind === "failed") {
    if (outcome.exitCode === NOT_FOUND && (await isAbsent(request, layout)))
      throw noShell(request.argv[0] ?? "", instruction, state);
    throw failed(instruction, state, outcome, sandbox.ids);
  }
  try {
    const lower = await ImageFiles.open(layout, { layers: state.layers });
    const entries = await changedEntries(outcome.archive, lower);
    const options = { mtime: state.mtime, compression: "gzip" } as const;
    const result = entries.length === 0 ? "empty" : await writeLayer(layout, entries, options);
    await rememberRun(layout, key, result);
    return result;
  } finally {
    await outcome.dispose();
  }
}

const architectureOf = ({ architecture, variant }: Platform): string =>
  variant === undefined ? architecture : `${architecture}/${variant}`;

/** What the sandbox says, at the line that it was for. */
function atLine(error: unknown, where: string): unknown {
  if (!(error instanceof SlipwayError)) return error;
  const { code, message, hint, exitCode } = error;
  const place = error.where === undefined || error.where === "build" ? "" : `${error.where}: `;
  return new SlipwayError({ code, where, message: `${place}${message}`, hint, cause: error, exitCode });
}

/** The words that are executed: exec form as it is, everything else through the shell. */
export function commandOf(instruction: Instruction, shell: readonly string[]): readonly string[] {
  const { text, heredocs } = instruction;
  if (heredocs.length === 0) return parseJsonForm(text) ?? [...shell, text];
  const only = wholeScript(instruction);
  if (only !== undefined) return [...shell, only.content];
  // The shell reads the texts itself, variables included.
  const bodies = heredocs.map(({ name, content }) => `\n${content}${name}`).join("");
  return [...shell, `${text}${bodies}\n`];
}

/** `RUN <<EOF` and nothing else. */
function wholeScript({ text, heredocs }: Instruction): Heredoc | undefined {
  return heredocs.length === 1 && text.replace(HEREDOC, "").trim() === "" ? heredocs[0] : undefined;
}

/** A script that names its interpreter is shown to the command as a file, and run. */
async function scriptMount(
  instruction: Instruction,
  layout: ImageLayout,
): Promise<(RunMount & { readonly kind: "bind" }) | undefined> {
  const script = wholeScript(instruction);
  if (script?.content.startsWith("#!") !== true) return undefined;
  const entries = [bytesEntry("file", script.content, { mode: 0o755 })];
  const layer = await writeLayer(layout, entries, { mtime: 0, compression: "none" });
  const target = `/run/slipway/${script.name}`;
  return { kind: "bind", target, layer: layer.descriptor, diffId: layer.diffId, path: "/file" };
}

function networkOf(instruction: Instruction): "host" | "none" | undefined {
  const value = instruction.flags.find((flag) => flag.name === "network")?.value;
  return value === undefined || value === "default" ? undefined : value === "none" ? "none" : "host";
}

async function mountsOf(
  instruction: Instruction,
  state: RunState,
  ports: RunPorts,
): Promise<readonly RunMount[]> {
  const mounts: RunMount[] = [];
  for (const { name, value } of instruction.flags) {
    if (name !== "mount") continue;
    const mount = parseMount(state.expand(value ?? ""), state.workingDir, state.fail);
    if (mount.type === "tmpfs")
      mounts.push({ kind: "tmpfs", target: mount.target, sizeBytes: mount.sizeBytes });
    else if (mount.type === "cache") {
      const { type: _, ...facts } = mount;
      mounts.push({ kind: "cache", ...facts });
    } else if (mount.type === "secret") {
      const content = ports.secrets[mount.id];
      if (content === undefined) {
        if (!mount.isRequired) continue;
        throw state.fail(
          `the secret ${mount.id} is not given`,
          `Name it in the configuration: secrets: { ${mount.id}: { file: "…" } } or { env: "…" }.`,
        );
      }
      const { type: _, isRequired: __, ...facts } = mount;
      mounts.push({ kind: "secret", ...facts, content });
    } else {
      const tree = mount.from === undefined ? state.context : await state.treeOf(mount.from);
      mounts.push(await bindMount(mount, tree, state, ports.layout));
    }
  }
  return mounts;
}

/** The files of a bind mount, kept as a layer of their own: shared by digest like any other, and unpacked once. */
async function bindMount(
  mount: { readonly source: string; readonly target: string },
  tree: SourceTree,
  state: RunState,
  layout: ImageLayout,
): Promise<RunMount> {
  const isFolder = (await tree.get(mount.source.replace(/^\.?\/+|^\.$/, ""), true))?.kind === "directory";
  const path = isFolder ? "/tree" : "/file";
  const { entries } = await copyEntries({
    tree,
    sources: [mount.source],
    destination: path,
    workingDir: "/",
    owner: { uid: 0, gid: 0 },
    mode: undefined,
    files: await ImageFiles.open(layout, { layers: [] }),
    fail: state.fail,
  });
  const layer = await writeLayer(layout, entries, { mtime: 0, compression: "none" });
  return { kind: "bind", target: mount.target, layer: layer.descriptor, diffId: layer.diffId, path };
}

/** Of a shell, and of chroot and env, when the program is not there. */
const NOT_FOUND = 127;

/** Whether the program that was to be executed is not in the image; only said of an absolute path. */
async function isAbsent({ argv, layers }: RunRequest, layout: ImageLayout): Promise<boolean> {
  const [program = ""] = argv;
  if (!program.startsWith("/") || program.startsWith("/run/slipway/")) return false;
  const files = await ImageFiles.open(layout, { layers });
  return files.lookup(program).kind === "absent";
}

function noShell(program: string, instruction: Instruction, { shell, where }: RunState): SlipwayError {
  const isShell = parseJsonForm(instruction.text) === undefined && program === shell[0];
  const shown = instruction.text.split("\n")[0]?.slice(0, 60) ?? "";
  return new SlipwayError({
    code: "DOCKERFILE_RUN_FAILED",
    where,
    message: isShell
      ? `RUN ${shown}: there is no ${program} in the image, which runs every RUN line that is not a list`
      : `RUN ${shown}: there is no ${program} in the image`,
    hint: isShell
      ? 'Name the shell that it has before this line: SHELL ["/usr/bin/dash", "-c"]; or write a list, which needs none: RUN ["node", "setup.js"].'
      : "Correct the path.",
    exitCode: 1,
  });
}

function failed(
  instruction: Instruction,
  { where, baseName }: RunState,
  outcome: { readonly exitCode: number; readonly lastLines: readonly string[] },
  ids: RunSandbox["ids"],
): SlipwayError {
  const exec = parseJsonForm(instruction.text);
  const shown = exec === undefined ? (instruction.text.split("\n")[0] as string) : shellLine(exec);
  const lines = outcome.lastLines.filter((line, index, all) => line !== "" || all.length > index + 1);
  return new SlipwayError({
    code: "DOCKERFILE_RUN_FAILED",
    where,
    message: [`RUN ${shown} exited ${outcome.exitCode}${lines.length === 0 ? "" : ":"}`, ...lines].join(
      "\n  ",
    ),
    hint: lacksPackageManager(outcome.exitCode, shown, baseName)
      ? `slipway/node is Node alone, without ${PACKAGE_MANAGER.exec(shown)?.[0]}. An image of the configuration that is { node: "FOLDER" } needs no Dockerfile and gets its node_modules from the lockfile; or build FROM an image of a registry that has it, like node:24-slim.`
      : ids === "one-uid"
        ? "This account has one uid for builds; a command that changes to other users fails. Give it a range in /etc/subuid and /etc/subgid (package uidmap), or run as root."
        : "Correct the command; the layers before it are kept, so the next build begins here.",
    exitCode: 1,
  });
}

const PACKAGE_MANAGER = /\b(?:npm|npx|yarn|pnpm|corepack)\b/;

function lacksPackageManager(exitCode: number, command: string, baseName: string | undefined): boolean {
  return exitCode === NOT_FOUND && baseName === "slipway/node" && PACKAGE_MANAGER.test(command);
}
