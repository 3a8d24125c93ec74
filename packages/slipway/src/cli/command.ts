/**
 * What a command is: data (words, options, examples) and a body. The path of the file is the command. Help, the
 * parser and the reference page come from the declaration; the body gets everything it needs from the context and
 * returns an exit code.
 */
import type { Clock, Random } from "@slipway/base";

export interface CliContext {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborts on Ctrl-C; a command then leaves a state that the next one can go on from. */
  readonly signal: AbortSignal;
  readonly isTerminal: boolean;
  /** Width of the terminal in columns. */
  readonly columns: number;
  /** Asks a person; undefined where nobody could answer (no terminal, CI). */
  readonly confirm?: ((question: string) => Promise<boolean>) | undefined;
  write(text: string): void;
  writeError(text: string): void;
}

export interface OptionDeclaration {
  /** As commander reads it: `--env <name>`, `-f, --follow`. */
  readonly flags: string;
  readonly description: string;
  readonly default?: string | boolean;
  /** May be given several times; read with `listOption`. */
  readonly repeatable?: true;
}

export interface ArgumentDeclaration {
  /** `[release]` optional, `<pod>` required, `[names...]` many. */
  readonly flags: string;
  readonly description: string;
}

export interface CommandInput {
  readonly arguments: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
}

export interface CommandDeclaration {
  readonly summary: string;
  readonly description?: string;
  readonly arguments?: readonly ArgumentDeclaration[];
  readonly options?: readonly OptionDeclaration[];
  readonly examples?: readonly string[];
  /**
   * What it prints is all it is for: when the reader of its output leaves (`| head`), it ends at once, with 0. Every other
   * command goes on to its end without its output, and ends with the exit code of what it did.
   */
  readonly onlyPrints?: true;
  /** Ctrl-C is how it ends, and no interruption. */
  readonly runsUntilStopped?: true;
  /** Ctrl-C breaks it off: there is no step that has to be finished first. */
  readonly isBrokenOff?: true;
  /** The exit code: 0 ok · 1 check or deploy failed · 2 usage or config · 3 environment · 4 only unknown · 5 changes (plan) · 130 interrupted. */
  run(context: CliContext, input: CommandInput): Promise<number>;
}

/** Every command has these. */
export const commonOptions: readonly OptionDeclaration[] = [
  {
    flags: "--config <file>",
    description: "use this configuration instead of searching for slipway.config.ts",
  },
  { flags: "--env <name>", description: 'environment; default: "local" when there is one' },
  { flags: "--json", description: "print JSON: one object, or one line for each event of long work" },
];

export const dryRunOption: OptionDeclaration = {
  flags: "--dry-run",
  description: "say what would be done and change nothing",
};

export const builderOption: OptionDeclaration = {
  flags: "--builder <name>",
  description:
    "who builds Dockerfiles: slipway (no engine needed), docker, buildx, podman; default: SLIPWAY_BUILDER, else auto, the engine that answers, else slipway",
};

export const allowDirtyOption: OptionDeclaration = {
  flags: "--allow-dirty",
  description: "take uncommitted changes to an environment that is not local",
};

export const rebindOption: OptionDeclaration = {
  flags: "--rebind <cluster>",
  description: "the cluster of this name was rebuilt: bind the name to what is there now (several: a,b)",
};

export function rebindOf(input: CommandInput): readonly string[] | undefined {
  return textOption(input, "rebind")
    ?.split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/** What decides whether a release may begin: the same for a plan and for what carries it out. */
export const planOptions: readonly OptionDeclaration[] = [
  { flags: "--allow-held", description: "deploy although a rollback has put these images on hold" },
  {
    flags: "--skip-unreachable",
    description: "go on without clusters that cannot be reached; the release cannot become healthy then",
  },
  rebindOption,
];

/** What `deploy` takes and `ship` hands on to it. */
export const deployOptions: readonly OptionDeclaration[] = [
  allowDirtyOption,
  ...planOptions,
  { flags: "--message <text>", description: "shown to whoever meets the lock" },
  { flags: "--wait <duration>", description: "wait this long for a lock that somebody holds" },
  {
    flags: "--approve-gates",
    description: "pass gates that wait for a person, in your name and without asking",
  },
  dryRunOption,
];

export function textOption(input: CommandInput, name: string): string | undefined {
  const value = input.options[name];
  return typeof value === "string" ? value : undefined;
}

/** Those of these options that were given, as words for another command: `--env production`. */
export function optionWords(input: CommandInput, names: readonly string[]): readonly string[] {
  return names.flatMap((name) => {
    const value = textOption(input, name);
    return value === undefined ? [] : [`--${name}`, value];
  });
}

export function listOption(input: CommandInput, name: string): readonly string[] {
  const value = input.options[name];
  return Array.isArray(value) ? value : [];
}

/** `12` or `#12`, as people write release numbers; undefined for anything else. */
export function releaseNumber(text: string): number | undefined {
  const number = Number(text.replace(/^#/, ""));
  return Number.isInteger(number) && number > 0 ? number : undefined;
}

export function isSet(input: CommandInput, name: string): boolean {
  return input.options[name] === true;
}
