/**
 * The command line: turns declarations into commander commands, runs the one that is asked for, and renders what it throws.
 * Nothing heavy is imported here or in the declarations; a command loads what it needs when it runs. Nothing is done
 * before `runCommandLine` is called either: the process that loads this file may not be the one that runs it (`ready.ts`).
 */
import { SlipwayError, systemClock, systemRandom } from "@slipway/base";
import { Command, CommanderError } from "commander";
import manifest from "../../package.json" with { type: "json" };
import { asked } from "./asked.ts";
import {
  type CliContext,
  type CommandDeclaration,
  type CommandInput,
  commonOptions,
  isSet,
} from "./command.ts";
import { failureOf } from "./failure.ts";
import { inSources } from "./own-places.ts";

/** `commands` and `groups` by their words, as in commands.ts. Ends the process. */
export async function runCommandLine(
  commands: Readonly<Record<string, CommandDeclaration>>,
  groups: Readonly<Record<string, string>>,
): Promise<void> {
  const words = asked(process.argv.slice(2), { commands, groups });
  let word: string | undefined = FINISHING;
  const interrupt = listenForInterrupts(() => word);
  process.stderr.on("error", () => {}); // nobody is left to read it
  process.on("uncaughtExceptionMonitor", (error) => {
    if (error.stack !== undefined) error.stack = inSources(error.stack); // Node prints it next
  });
  const output = standardOutput();
  const context: CliContext = {
    cwd: process.cwd(),
    env: process.env,
    clock: systemClock,
    random: systemRandom(),
    signal: interrupt,
    isTerminal: process.stdout.isTTY === true && process.env["CI"] === undefined,
    columns: process.stdout.columns ?? 100,
    confirm:
      // The streams in this order: where nobody reads, the one that is never used is not made.
      process.stdout.isTTY === true && process.env["CI"] === undefined && process.stdin.isTTY === true
        ? (question) => confirm(question, interrupt)
        : undefined,
    write: output.print,
    writeError: (text) => void process.stderr.write(text),
  };
  const program = new Command("slipway")
    .description(manifest.description)
    .version(manifest.version, "--version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand(false)
    .exitOverride()
    .showHelpAfterError("(see --help)")
    // What stands after a command's name is its own: `logs import --cluster` is not the `--cluster` of `logs`.
    .enablePositionalOptions();
  // Making a command costs time, and there are dozens: one that is named is enough.
  const named = Object.entries(commands).filter(([path]) => path.split(" ")[0] === words[0]);
  const made = named.length > 0 ? named : Object.entries(commands);
  for (const [group, summary] of Object.entries(groups))
    if (named.length === 0 || group === words[0])
      program.command(group).summary(summary).description(summary).helpCommand(false).exitOverride();
  for (const [path, declaration] of made) {
    add(program, path.split(" "), declaration, async (input) => {
      word = wordOfInterrupt(declaration, input);
      output.mayEndEarly(declaration.onlyPrints === true);
      process.exitCode = await declaration.run(context, input);
    });
  }
  process.exitCode = await run(program, words, output.print);
  // Sockets kept alive for reuse and the like must not hold the process once the command has answered.
  process.stdout.write("", () => process.exit());
}

/** What a command says to Ctrl-C. Of what only prints there is no step to finish: it ends. */
function wordOfInterrupt(declaration: CommandDeclaration, input: CommandInput): string | undefined {
  if (declaration.onlyPrints) return undefined;
  const { runsUntilStopped, isBrokenOff } = declaration;
  return runsUntilStopped || isBrokenOff || isSet(input, "watch") ? "stopping" : FINISHING;
}

const FINISHING = "interrupted; finishing the step";

function listenForInterrupts(word: () => string | undefined): AbortSignal {
  const interrupt = new AbortController();
  process.on("SIGINT", () => {
    if (interrupt.signal.aborted) process.exit(130); // the second Ctrl-C means it
    const said = word();
    if (said !== undefined) process.stderr.write(`\n${said} (press Ctrl-C again to stop at once)\n`);
    interrupt.abort(new SlipwayError({ code: "INTERRUPTED", message: "interrupted", exitCode: 130 }));
  });
  // A terminal that closes (SIGHUP) takes its text with it, not the release's record.
  for (const signal of ["SIGTERM", "SIGHUP"] as const)
    process.on(signal, () =>
      interrupt.abort(new SlipwayError({ code: "INTERRUPTED", message: "terminated", exitCode: 130 })),
    );
  return interrupt.signal;
}

interface Output {
  print(text: string): void;
  /** What is printed is all that the command is for: without a reader it ends. */
  mayEndEarly(onlyPrints: boolean): void;
}

/** Whoever reads may leave: `slipway history | head` is done then, but a release is not: it goes on to its end, unheard. */
function standardOutput(): Output {
  let onlyPrints = true;
  let isUnheard = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (onlyPrints && error.code === "EPIPE") process.exit(0);
    if (isUnheard) return;
    isUnheard = true;
    process.stderr.write(
      `slipway: the output cannot be written any more (${error.code}); going on without it\n`,
    );
  });
  return {
    print(text) {
      if (!isUnheard) process.stdout.write(text);
    },
    mayEndEarly(value) {
      onlyPrints = value;
    },
  };
}

function add(
  program: Command,
  path: readonly string[],
  declaration: CommandDeclaration,
  run: (input: CommandInput) => Promise<void>,
): void {
  const name = path.at(-1) as string;
  const parent = path.length === 1 ? program : program.commands.find((command) => command.name() === path[0]);
  if (parent === undefined) throw new Error(`no group ${path[0]}`);
  if (parent !== program) parent.enablePositionalOptions();
  const command = parent
    .command(name)
    .summary(declaration.summary)
    .description(wholeSentences(declaration.description ?? declaration.summary))
    .exitOverride();
  for (const argument of declaration.arguments ?? []) command.argument(argument.flags, argument.description);
  for (const option of [...(declaration.options ?? []), ...commonOptions]) {
    if (option.repeatable) command.option(option.flags, option.description, collect);
    else command.option(option.flags, option.description, option.default);
  }
  if (declaration.examples !== undefined)
    command.addHelpText(
      "after",
      `\nExamples:\n${declaration.examples.map((line) => `  $ ${line}`).join("\n")}`,
    );
  command.action((...parameters: unknown[]) => {
    const [options, values] = [parameters.at(-2) as CommandInput["options"], parameters.slice(0, -2)];
    return run({ arguments: values.flat().filter((value) => typeof value === "string"), options });
  });
}

/** Lines of the source are wider than a terminal may be: those that end within a sentence are joined, and wrapped where it is shown. */
function wholeSentences(text: string): string {
  return text.replaceAll(/(?<![.:])\n(?=\S)/g, " ");
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  const { createInterface } = await import("node:readline/promises");
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${question} [y/N] `, { signal });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    prompt.close();
  }
}

async function run(
  program: Command,
  words: readonly string[],
  print: (text: string) => void,
): Promise<number> {
  try {
    await program.parseAsync(words, { from: "user" });
    return Number(process.exitCode ?? 0);
  } catch (thrown) {
    if (thrown instanceof CommanderError)
      return ["commander.helpDisplayed", "commander.version", "commander.help"].includes(thrown.code) &&
        thrown.exitCode === 0
        ? 0
        : 2;
    const isJson = words.includes("--json");
    const { text, exitCode } = failureOf(thrown, isJson);
    if (isJson) print(text);
    else process.stderr.write(text);
    return exitCode;
  }
}
