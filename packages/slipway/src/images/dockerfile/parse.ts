/**
 * A Dockerfile as stages and instructions with line numbers. `dockerfile-ast` finds instructions, flags, heredocs
 * and the escape character; what an instruction means is decided in `stage.ts`.
 *
 * What only a build engine can do is found here, before anything is built: all of it, never just the first.
 */
import { nearest, SlipwayError } from "@slipway/base";
import { type Instruction as AstInstruction, DockerfileParser } from "dockerfile-ast";
import { type Heredoc, joinLines, takeHeredocs, unmasked } from "./heredoc.ts";
import { invalid } from "./invalid.ts";
import { mountSources, unsupportedRun } from "./run-flags.ts";

export interface Instruction {
  /** Upper case: `COPY`. */
  readonly keyword: string;
  /** From 1. */
  readonly line: number;
  readonly flags: readonly { readonly name: string; readonly value: string | undefined }[];
  /** Everything after keyword and flags, lines joined, comments inside left out. */
  readonly text: string;
  /** `<<NAME` in RUN, COPY and ADD, in their order. */
  readonly heredocs: readonly Heredoc[];
}

export interface Stage {
  readonly index: number;
  /** `AS name`, lower case. */
  readonly name: string | undefined;
  readonly line: number;
  /** As written, variables not yet replaced. */
  readonly from: string;
  readonly platform: string | undefined;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  /** How errors name the file. */
  readonly where: string;
  readonly escapeChar: string;
  /** ARG before the first FROM. */
  readonly globalArgs: readonly Instruction[];
  readonly stages: readonly Stage[];
}

/** Rejects with DOCKERFILE_INVALID: file:line, what is wrong. */
export function parseDockerfile(text: string, where: string): Dockerfile {
  const escapeChar = DockerfileParser.parse(text).getEscapeCharacter();
  const source = takeHeredocs(text, escapeChar, where);
  const ast = DockerfileParser.parse(source.text);
  const globalArgs: Instruction[] = [];
  const stages: { -readonly [K in keyof Stage]: K extends "instructions" ? Instruction[] : Stage[K] }[] = [];
  for (const node of ast.getInstructions()) {
    const instruction = readInstruction(node, escapeChar, source.heredocs);
    if (instruction.keyword === "FROM") stages.push(readFrom(instruction, stages.length, where));
    else if (stages.length > 0) stages.at(-1)?.instructions.push(instruction);
    else if (instruction.keyword === "ARG") globalArgs.push(instruction);
    else throw invalid(where, instruction.line, `${instruction.keyword} stands before the first FROM`);
  }
  if (stages.length === 0) throw invalid(where, 1, "there is no FROM");
  return { where, escapeChar, globalArgs, stages };
}

/**
 * The stages that `last` needs, by FROM, COPY --from and RUN --mount, in the order of the file; it is the last of them.
 * `fromOf` gives a stage's FROM with its variables replaced.
 */
export function neededStages(
  dockerfile: Dockerfile,
  fromOf: (stage: Stage) => string,
  last: Stage,
): readonly Stage[] {
  const needed = new Set<Stage>();
  const visit = (stage: Stage | undefined): void => {
    if (stage === undefined || needed.has(stage)) return;
    needed.add(stage);
    visit(findStage(dockerfile, fromOf(stage), stage.index));
    for (const instruction of stage.instructions) {
      for (const name of sourcesOf(instruction)) visit(findStage(dockerfile, name, stage.index));
    }
  };
  visit(last);
  return dockerfile.stages.filter((stage) => needed.has(stage));
}

/** Stages and images that an instruction takes files from. */
export function sourcesOf(instruction: Instruction): readonly string[] {
  const from = instruction.flags.find((flag) => flag.name === "from")?.value;
  return [...(from === undefined ? [] : [from]), ...mountSources(instruction)];
}

/** What came with BuildKit, each with its line: `Dockerfile:3 RUN --mount`. */
export function modernInstructions(dockerfile: Dockerfile, stages: readonly Stage[]): readonly string[] {
  return stages.flatMap((stage) =>
    stage.instructions.flatMap(({ keyword, line, flags, heredocs }) => {
      const flag = flags.find(({ name }) =>
        ["mount", "network", "security", "chmod", "link", "parents"].includes(name),
      );
      const what = heredocs.length > 0 ? "<<" : flag === undefined ? undefined : `--${flag.name}`;
      return what === undefined ? [] : [`${dockerfile.where}:${line} ${keyword} ${what}`];
    }),
  );
}

/** An earlier stage by name or number. */
export function findStage(dockerfile: Dockerfile, name: string, before: number): Stage | undefined {
  const earlier = dockerfile.stages.slice(0, before);
  return (
    earlier.findLast((stage) => stage.name === name.toLowerCase()) ??
    (/^\d+$/.test(name) ? earlier[Number(name)] : undefined)
  );
}

// What is not supported

const SUPPORTED = new Set([
  "ADD",
  "ARG",
  "CMD",
  "COPY",
  "ENTRYPOINT",
  "ENV",
  "EXPOSE",
  "HEALTHCHECK",
  "LABEL",
  "MAINTAINER",
  "RUN",
  "SHELL",
  "STOPSIGNAL",
  "USER",
  "VOLUME",
  "WORKDIR",
]);

const COPY_FLAGS = new Set(["from", "chown", "chmod", "link"]);
/** Of instructions that an engine has no other flags for, either. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  FROM: ["platform"],
  HEALTHCHECK: ["interval", "timeout", "start-period", "start-interval", "retries"],
};

/** Why this instruction needs a build engine; undefined when it does not. */
function unsupportedReason(instruction: Instruction): string | undefined {
  const { keyword } = instruction;
  if (keyword === "ONBUILD") return "acts in later builds";
  if (keyword === "RUN") return unsupportedRun(instruction);
  if (keyword !== "COPY" && keyword !== "ADD") return undefined;
  const flag = instruction.flags.find((one) => !COPY_FLAGS.has(one.name));
  if (flag !== undefined) return `has the flag --${flag.name}`;
  const chmod = instruction.flags.find((one) => one.name === "chmod")?.value;
  if (chmod !== undefined && !/^[0-7]{3,4}$/.test(chmod) && !chmod.includes("$")) {
    return `has a --chmod that is not octal (${chmod})`;
  }
  if (keyword === "ADD" && /(?:^|[\s"[,])(?:https?:\/\/|git@|ssh:\/\/|git:\/\/)/.test(instruction.text)) {
    return "fetches from the network";
  }
  return undefined;
}

/** Rejects with DOCKERFILE_UNSUPPORTED, which lists every such instruction of the stages, or with DOCKERFILE_INVALID. */
export function refuseUnsupported(dockerfile: Dockerfile, stages: readonly Stage[], imageName: string): void {
  refuseUnknown(dockerfile, stages);
  const found = stages.flatMap((stage) =>
    stage.instructions.flatMap((instruction) => {
      const reason = unsupportedReason(instruction);
      return reason === undefined ? [] : [{ instruction, reason }];
    }),
  );
  if (found.length === 0) return;
  const lines = found.map(({ instruction, reason }) => {
    const shown = `${instruction.keyword} ${instruction.text}`.split("\n")[0]?.slice(0, 60) ?? "";
    return `  ${dockerfile.where}:${instruction.line}: ${shown}  (${reason})`;
  });
  const count = found.length === 1 ? "1 instruction needs" : `${found.length} instructions need`;
  throw new SlipwayError({
    code: "DOCKERFILE_UNSUPPORTED",
    where: `${dockerfile.where}:${found[0]?.instruction.line ?? 1}`,
    message: `${count} a build engine:\n${lines.join("\n")}`,
    hint:
      `Build with an engine: --builder docker, buildx or podman; or images.${imageName} = { command: "docker build -t ` +
      `$SLIPWAY_IMAGE . && docker save -o $SLIPWAY_ARCHIVE $SLIPWAY_IMAGE" }; or give a built image: ` +
      `{ archive: "image.tar" } or { ref: "registry/image:tag" }.`,
    exitCode: 2,
  });
}

/** An engine would not know it either: a word that is no instruction at all is a mistake of the file. */
function refuseUnknown({ where }: Dockerfile, stages: readonly Stage[]): void {
  const known = [...SUPPORTED, "FROM", "ONBUILD"];
  const instructions = stages.flatMap((stage) => stage.instructions);
  for (const instruction of instructions) refuseFlags(instruction, where);
  const unknown = instructions.find(({ keyword }) => !known.includes(keyword));
  if (unknown === undefined) return;
  const near = nearest(unknown.keyword, known);
  throw invalid(
    where,
    unknown.line,
    `unknown instruction ${unknown.keyword}`,
    near === undefined ? `Known: ${known.toSorted().join(", ")}.` : `Did you mean ${near}?`,
  );
}

function refuseFlags({ keyword, flags, line }: Instruction, where: string): void {
  const known = FLAGS[keyword];
  const unknown = known === undefined ? undefined : flags.find(({ name }) => !known.includes(name));
  if (known === undefined || unknown === undefined) return;
  const near = nearest(unknown.name, known);
  const hint = near === undefined ? `Known: --${known.join(", --")}.` : `Did you mean --${near}?`;
  throw invalid(where, line, `${keyword} has no flag --${unknown.name}`, hint);
}

// From the syntax tree

interface WithFlags {
  getFlags?(): readonly { getName(): string; getValue(): string | null }[];
}
function readInstruction(
  node: AstInstruction,
  escapeChar: string,
  heredocs: ReadonlyMap<number, readonly Heredoc[]>,
): Instruction {
  const flags = (node as unknown as WithFlags).getFlags?.() ?? [];
  const { line } = node.getRange().start;
  return {
    keyword: node.getKeyword(),
    line: line + 1,
    flags: flags.map((flag) => ({ name: flag.getName(), value: flag.getValue() ?? undefined })),
    text: unmasked(joinLines(node.getRawArgumentsContent() ?? "", escapeChar)),
    heredocs: heredocs.get(line) ?? [],
  };
}

function readFrom(
  instruction: Instruction,
  index: number,
  where: string,
): Stage & { instructions: Instruction[] } {
  refuseFlags(instruction, where);
  const match = /^(\S+)(?:\s+as\s+(\S+))?$/i.exec(instruction.text);
  if (match === null)
    throw invalid(where, instruction.line, `"FROM ${instruction.text}" is not FROM image [AS name]`);
  return {
    index,
    name: match[2]?.toLowerCase(),
    line: instruction.line,
    from: match[1] as string,
    platform: instruction.flags.find((flag) => flag.name === "platform")?.value,
    instructions: [],
  };
}
