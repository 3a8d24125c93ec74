/**
 * Questions to git, several in one go: they share a shell, in which git answers them side by side. To start one process out of
 * ours takes longer than git does, the more so the more memory ours has (uv_spawn forks).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import type { Readable } from "node:stream";
import { shellLine } from "@slipway/base";

interface Question {
  /** For a shell. */
  readonly line: string;
  /** What git printed; undefined when it failed, or is not there. */
  readonly answer: (text: string | undefined) => void;
}

/** By the environment that they are asked in. */
const waiting = new Map<NodeJS.ProcessEnv, Question[]>();
const staying = new WeakMap<NodeJS.ProcessEnv, StayingShell>();

export function askGit(
  root: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  return new Promise((answer) => {
    const question: Question = { line: shellLine(["git", "-C", root, ...args]), answer };
    const others = waiting.get(env);
    if (others !== undefined) return void others.push(question);
    const questions = [question];
    waiting.set(env, questions);
    queueMicrotask(() => {
      waiting.delete(env);
      for (const some of shells(questions)) if (!staying.get(env)?.ask(some)) askAll(some, env);
    });
  });
}

/** A shell that stays answers what is asked in this environment, as long as it is not busy. To be closed. */
export function stayShell(env: NodeJS.ProcessEnv): { close(): void } {
  const shell = new StayingShell(env);
  staying.set(env, shell);
  return {
    close() {
      staying.delete(env);
      shell.close();
    },
  };
}

/** The first descriptor after the standard ones. */
const FIRST_OUTPUT = 3;
/** `>&10` is an error of syntax to dash, which is Debian's /bin/sh (POSIX, "Redirection": one digit is enough). */
const MAX_QUESTIONS = 10 - FIRST_OUTPUT;
/** Linux takes 128 KiB for one argument (execve(2), MAX_ARG_STRLEN). */
export const MAX_LINE_BYTES = 100_000;

function shells(questions: readonly Question[]): readonly (readonly Question[])[] {
  const all: Question[][] = [];
  let bytes = MAX_LINE_BYTES;
  for (const question of questions) {
    const more = Buffer.byteLength(question.line) + 100; // with what stands around it
    if (bytes + more > MAX_LINE_BYTES || all.at(-1)?.length === MAX_QUESTIONS) {
      all.push([]);
      bytes = 0;
    }
    all.at(-1)?.push(question);
    bytes += more;
  }
  return all;
}

/** What git starts to stay in the background must not hold the outputs open. */
const CLOSED = Array.from({ length: MAX_QUESTIONS }, (_, at) => `${FIRST_OUTPUT + at}>&-`).join(" ");

/** Behind what git printed comes its exit code, and `end`. */
function scriptFor(questions: readonly Question[], end = ""): string {
  const lines = questions.map(
    ({ line }, at) => `{ ${line}; printf "\\n%s${end}" $?; } >&${FIRST_OUTPUT + at} ${CLOSED} &`,
  );
  return `${lines.join("\n")}\nwait`;
}

const outputsOf = ({ stdio }: ChildProcess): readonly Readable[] => stdio.slice(FIRST_OUTPUT) as Readable[];

/** Undefined when git failed, or the text is not whole. */
const answerIn = (text: string): string | undefined => (text.endsWith("\n0") ? text.slice(0, -2) : undefined);

function askAll(questions: readonly Question[], env: NodeJS.ProcessEnv): void {
  const stdio = ["ignore", "ignore", "ignore", ...questions.map(() => "pipe" as const)] as const;
  const child = spawn("/bin/sh", ["-c", scriptFor(questions)], { env, stdio: [...stdio] });
  child.on("error", () => {}); // the outputs end without an answer
  for (const [at, output] of outputsOf(child).entries()) {
    let text = "";
    output.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    output.on("error", () => {});
    output.on("close", () => questions[at]?.answer(answerIn(text)));
  }
}

class StayingShell {
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;
  /** What is open of the last questions. */
  readonly #open = new Map<
    Readable,
    { readonly question: Question; readonly end: string; text: string; tail: string }
  >();

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** False where it is busy. What it does not answer because it ended is asked of another shell. */
  ask(questions: readonly Question[]): boolean {
    if (this.#open.size > 0) return false;
    this.#child ??= this.#start();
    const end = `\n${randomUUID()}`;
    for (const [at, output] of outputsOf(this.#child).slice(0, questions.length).entries())
      this.#open.set(output, { question: questions[at] as Question, end, text: "", tail: "" });
    this.#child.stdin?.write(`${scriptFor(questions, end.replace("\n", "\\n"))}\n`);
    return true;
  }

  /** It ends at the end of its input, also when that comes with ours. */
  close(): void {
    this.#child?.stdin?.end();
    this.#child = undefined;
  }

  #start(): ChildProcess {
    const outputs = Array.from({ length: MAX_QUESTIONS }, () => "pipe" as const);
    const child = spawn("/bin/sh", [], { env: this.#env, stdio: ["pipe", "ignore", "ignore", ...outputs] });
    child.on("error", () => {}); // the outputs end
    child.stdin?.on("error", () => {});
    for (const output of outputsOf(child)) {
      output.setEncoding("utf8").on("data", (part: string) => this.#heard(output, part));
      output.on("error", () => {});
      output.on("close", () => this.#lost(child, output));
    }
    return child;
  }

  #heard(output: Readable, part: string): void {
    const one = this.#open.get(output);
    if (one === undefined) return;
    one.text += part;
    // Of the text itself `endsWith` would copy all that there is, for each part.
    one.tail = (one.tail + part).slice(-one.end.length);
    if (one.tail !== one.end) return;
    this.#open.delete(output);
    one.question.answer(answerIn(one.text.slice(0, -one.end.length)));
  }

  #lost(child: ChildProcess, output: Readable): void {
    if (this.#child === child) this.#child = undefined;
    const one = this.#open.get(output);
    this.#open.delete(output);
    if (one !== undefined) askAll([one.question], this.#env);
  }
}
